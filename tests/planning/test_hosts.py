"""Devices as hosts, and instances as machines for a load."""

import datetime

import pytest

from canteen.core.errors import InvalidRequest
from canteen.factors.hardware import device
from canteen.planning import roofline
from canteen.planning.fleet import Machine
from canteen.planning.hosts import Served, host, machines

DAY = datetime.date(2026, 11, 1)
# Since when there are prices of all clouds.
LATER = datetime.date(2026, 11, 23)
PRIOR = roofline.prior("H100", has_experts=False)


def found(needed_bytes: float, day: datetime.date = DAY) -> dict[str, Machine]:
    served = Served("bf16", False, lambda kind, memory_bytes: int(memory_bytes // needed_bytes))
    return {one.name: one for one in machines(served, None, day)}


def test_devices_together_have_their_sums() -> None:
    h100 = device("H100")

    both = host(h100, 2, "bf16", PRIOR)

    assert both.bandwidth.central == 2 * h100.bandwidth.central
    assert both.peak.central == 2 * h100.peak["bf16"].central
    assert both.power_max.central == 2 * h100.power_max.central


def test_a_model_is_put_on_as_few_devices_as_hold_it() -> None:
    assert found(70e9)["p5.48xlarge"].num_devices_used == 1
    assert found(100e9)["p5.48xlarge"].num_devices_used == 2
    assert found(100e9)["g5.48xlarge"].num_devices_used == 8


def test_a_model_that_no_device_holds_leaves_no_room_for_a_sequence() -> None:
    assert found(1e12)["p5.48xlarge"].max_sequences == 0


def test_machines_of_every_cloud_are_found_each_in_its_usual_region() -> None:
    regions = {one.region for one in found(1e9, LATER).values()}

    assert {"us-east-1", "us-central1", "eastus"} <= regions


def test_machines_of_a_region_are_those_of_its_cloud() -> None:
    served = Served("bf16", False, lambda kind, memory_bytes: 1)

    there = list(machines(served, "us-central1", LATER))
    assert there
    assert {one.name[:2] for one in there} <= {"a2", "a3", "g2"}


def test_a_day_without_prices_has_no_machines() -> None:
    served = Served("bf16", False, lambda kind, memory_bytes: 1)

    assert list(machines(served, "us-east-1", datetime.date(1990, 1, 1))) == []


def test_an_unknown_device_lists_the_nearest() -> None:
    with pytest.raises(InvalidRequest, match="H100"):
        device("H10O")
