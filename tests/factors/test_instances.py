"""Machines for rent: what they have, and what they cost on a day."""

import datetime
import itertools

import pytest

from canteen.core.errors import InvalidRequest
from canteen.factors.instances import (
    USUAL_REGIONS,
    instance,
    instances,
    price,
    region_for,
)
from canteen.factors.places import operator_of
from canteen.factors.table import load

OCTOBER_2023 = datetime.date(2023, 10, 15)
TODAY = datetime.date(2026, 11, 23)


@pytest.mark.parametrize(
    ("name", "then", "today"),
    [
        ("p5.48xlarge", 98.32, 55.04),
        ("g5.48xlarge", 16.288, 16.288),
        ("m7i.48xlarge", 9.6768, 9.6768),
        ("p4d.24xlarge", 32.7726, 21.9576),
    ],
)
def test_a_price_is_that_of_the_day(name: str, then: float, today: float) -> None:
    assert price(instance(name), "us-east-1", OCTOBER_2023).central == then
    assert price(instance(name), "us-east-1", TODAY).central == today


def test_a_price_names_its_source_and_its_day() -> None:
    (told,) = price(instance("p5.48xlarge"), "us-east-1", OCTOBER_2023).inputs

    assert "AWS" in told.source
    assert told.as_of == "2023-10-15"


def test_a_day_before_the_first_price_is_told_the_days_that_have_one() -> None:
    days = "from 2023-07-26 to 2025-05-31 and from 2025-06-01"
    with pytest.raises(InvalidRequest, match=days):
        price(instance("p5.48xlarge"), "us-east-1", datetime.date(2020, 1, 1))


def test_a_region_without_a_price_lists_those_that_have_one() -> None:
    with pytest.raises(InvalidRequest, match="us-east-1"):
        price(instance("m7i.48xlarge"), "mars-north-1", TODAY)


def test_a_machine_is_rented_in_its_clouds_usual_region() -> None:
    assert region_for(instance("a2-highgpu-8g"), "") == "us-central1"
    assert region_for(instance("a3-highgpu-8g"), "") == "us-east4"
    assert region_for(instance("Standard_ND96isr_H100_v5"), "") == "eastus"
    assert region_for(instance("p5.48xlarge"), "EU-NORTH-1") == "EU-NORTH-1"
    assert region_for(instance("p5.48xlarge"), "SWE") == "SWE"


def test_a_region_of_another_cloud_is_refused_with_those_of_the_machines_own() -> None:
    with pytest.raises(InvalidRequest, match=r"google, which has no region.*us-central1"):
        region_for(instance("a3-highgpu-8g"), "eu-north-1")


def test_every_cloud_has_a_usual_region_of_its_own() -> None:
    for cloud in {one.provider for one in instances().values()}:
        assert operator_of(USUAL_REGIONS[cloud]) == cloud


def test_an_unknown_instance_lists_the_nearest_names() -> None:
    with pytest.raises(InvalidRequest, match=r"p5\.48xlarge"):
        instance("p5.49xlarge")


@pytest.mark.parametrize(
    ("name", "gigabytes"), [("p5.48xlarge", 640), ("g5.48xlarge", 192), ("m7i.48xlarge", 824.6)]
)
def test_a_model_can_be_in_the_memory_of_all_devices(name: str, gigabytes: float) -> None:
    assert instance(name).model_memory.to("GB").central == pytest.approx(gigabytes, rel=1e-3)


@pytest.mark.parametrize(
    "name",
    [
        "p3.2xlarge", "p3.16xlarge", "p4d.24xlarge", "p5.48xlarge", "p5e.48xlarge",
        "g4dn.12xlarge", "g5.4xlarge", "g6.48xlarge", "m7i.48xlarge", "c7i.48xlarge",
        "r7i.48xlarge", "Standard_ND96isr_H100_v5", "a3-highgpu-8g",
    ],
)  # fmt: skip
def test_the_families_that_serve_models_are_known(name: str) -> None:
    assert instance(name).name == name


def test_a_machine_without_a_price_on_demand_says_so() -> None:
    with pytest.raises(InvalidRequest, match=r"p5e\.48xlarge is known: the catalogue lists it"):
        price(instance("p5e.48xlarge"), "us-east-1", TODAY)


def test_every_instance_has_a_device_and_a_price_or_a_reason_for_none() -> None:
    priced = {row.name for row in load("prices").rows}

    for one in instances().values():
        assert one.hardware.peak
        assert (one.name in priced) != bool(one.unpriced)


def test_prices_of_a_machine_and_region_do_not_overlap() -> None:
    spans: dict[tuple[str, str], list[tuple[datetime.date, datetime.date]]] = {}
    for row in load("prices").rows:
        span = (row.date("valid_from") or datetime.date.min, row.date("valid_to") or TODAY)
        spans.setdefault((row.name, row.text("region")), []).append(span)

    for held in spans.values():
        held.sort()
        assert all(before[1] < after[0] for before, after in itertools.pairwise(held))
