"""Devices by name, whatever is published of them."""

import pytest

from canteen.core.errors import InvalidRequest
from canteen.core.units import exact
from canteen.factors.hardware import device, devices


def test_a_device_is_found_whatever_its_case() -> None:
    assert device("h100").peak["bf16"].to("TFLOP/s").central == 989


@pytest.mark.parametrize(("alias", "name"), [("H100 SXM", "H100"), ("a100 80gb", "A100")])
def test_a_device_goes_by_its_other_names_too(alias: str, name: str) -> None:
    assert device(alias) is device(name)


def test_an_unknown_device_lists_the_nearest_names() -> None:
    with pytest.raises(InvalidRequest, match="H100"):
        device("H10")


def test_every_device_can_be_planned_with() -> None:
    for one in devices().values():
        assert one.peak, one.name
        assert one.bandwidth.central > 0
        assert one.power_max.central > 0
        assert one.kind == "cpu" or one.memory is not None


def test_what_a_board_embodies_is_its_own_and_its_share_of_the_server() -> None:
    embodied = device("H100").embodied

    assert embodied is not None
    assert embodied.central == 164 + 5700 / 8
    assert embodied.high == 273 + 5700 / 8


def test_a_power_borrowed_from_another_processor_is_uncertain() -> None:
    host = device("2 x Xeon 8488C")

    assert host.power_idle is not None
    for power in (host.power_idle, host.power_max):
        assert power.high / power.low > 2


def test_a_share_of_a_host_has_its_share_of_everything() -> None:
    host = device("2 x Xeon 8488C")

    half = host.part(0.5, exact(384, "GiB"))

    assert half.bandwidth.central == host.bandwidth.central / 2
    assert half.power_max.central == host.power_max.central / 2
    assert half.memory == exact(384, "GiB")
