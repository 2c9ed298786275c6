"""NVML with a make-believe driver."""

import pytest

from canteen.metering.probes.counter import Unavailable
from canteen.metering.probes.nvml import Nvml
from tests.metering.probes.hardware import JOULE, Driver


def test_all_boards_count_together_in_microjoules() -> None:
    driver = Driver(1000, 50)
    counter = Nvml(JOULE, driver)
    before_uj = counter.read_uj()

    driver.energies_mj[1] += 7

    assert counter.read_uj() - before_uj == 7000
    assert counter.source == "NVML total energy of 2 boards"
    assert counter.most_w == 1.5 * 2 * 700


def test_a_machine_without_boards_has_none() -> None:
    with pytest.raises(Unavailable) as caught:
        Nvml(JOULE, Driver())

    assert caught.value.state == "absent"


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (Driver.NVMLError_NoPermission("no"), "forbidden"),
        (Driver.NVMLError("no driver"), "absent"),
    ],
)
def test_what_the_driver_refuses_is_told(error: Exception, state: str) -> None:
    with pytest.raises(Unavailable) as caught:
        Nvml(JOULE, Driver(1, error=error))

    assert caught.value.state == state
