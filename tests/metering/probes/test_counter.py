"""A counter is believed when it moves while the machine works, by a credible power."""

from pathlib import Path

import pytest

from canteen.metering.probes.counter import Unavailable, check_alive
from tests.metering.probes.hardware import Time, rapl, spinning


@pytest.mark.parametrize("power_w", [1, 40, 1000])
def test_a_counter_that_moves_by_a_credible_power_is_alive(tmp_path: Path, power_w: int) -> None:
    machine, clock = rapl(tmp_path), Time()

    check_alive(machine.open_counter(), spinning(machine, clock, power_w * 250_000), clock)


@pytest.mark.parametrize(
    ("energy_uj", "state"), [(0, "frozen"), (100, "implausible"), (2_500_000_000, "implausible")]
)
def test_a_counter_that_does_not_is_not_used(tmp_path: Path, energy_uj: int, state: str) -> None:
    machine, clock = rapl(tmp_path), Time()

    with pytest.raises(Unavailable) as caught:
        check_alive(machine.open_counter(), spinning(machine, clock, energy_uj), clock)

    assert caught.value.state == state
