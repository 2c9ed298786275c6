"""Factors: every number of every file has a value, a unit, a source and a date."""

import datetime
from importlib import resources
from typing import Any

import pytest

from canteen.core.errors import InvalidRequest
from canteen.core.units import conversion
from canteen.factors.table import find, load

SUBJECTS = sorted(
    file.name.removesuffix(".toml")
    for file in resources.files("canteen.factors").iterdir()
    if file.name.endswith(".toml")
)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_number_has_a_unit_a_source_and_a_date(subject: str) -> None:
    table = load(subject)

    told = [one for row in table.rows for one in row.inputs.values()]

    assert told
    for one in told:
        assert conversion(one.unit, one.unit) == 1
        assert one.source
        assert datetime.date.fromisoformat(one.as_of) <= datetime.date.today()
        assert one.low <= one.value <= one.high, one


@pytest.mark.parametrize("subject", SUBJECTS)
def test_no_number_hides_from_the_check(subject: str) -> None:
    for row in load(subject).rows:
        checked = {name for name, value in row.fields.items() if _holds_numbers(value)}
        assert checked == set(row.inputs), row.name


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_source_can_be_found(subject: str) -> None:
    for source in load(subject).sources.values():
        assert source.url.startswith("https://") or source.title.startswith("assumption:")


def test_names_are_found_whatever_their_case() -> None:
    assert find("h100 sxm", ["H100 SXM", "A100"], "device", "device") == "H100 SXM"


def test_an_unknown_name_lists_the_nearest() -> None:
    with pytest.raises(InvalidRequest, match=r"no device 'h10O'.*H100") as caught:
        find("h10O", ["H100", "MI300X"], "device", "device")

    assert caught.value.param == "device"


def _holds_numbers(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_numbers(one) for one in value.values())
    return isinstance(value, int | float) and not isinstance(value, bool)
