"""A machine with accelerator boards counts what both use."""

import pytest

from canteen.core.units import exact
from canteen.metering.probes.auto import with_boards
from canteen.metering.probes.boards import WithBoards
from canteen.metering.probes.declared import Declared
from canteen.metering.probes.nvml import Nvml
from canteen.metering.probes.watched import Watched
from tests.metering.probes.hardware import JOULE, Driver, Hand, Time


def test_both_counts_add_up_from_where_they_began() -> None:
    clock, machine, boards = Time(), Hand(), Hand("boards", "two boards", "gpu")
    meters = [Watched(one, Declared(100.0, JOULE, clock), clock) for one in (machine, boards)]
    meter = WithBoards(*meters)
    clock.now_s += 1
    machine.energy_uj += 30_000_000
    boards.energy_uj += 500_000_000

    reading = meter.read(1.0)

    assert (reading.energy_uj, reading.boards_uj) == (530_000_000, 500_000_000)
    assert (meter.name, meter.boundary, meter.grade) == ("hand+boards", "cpu+gpu", "A")


def test_beside_a_model_the_boards_joules_are_told_in_the_models() -> None:
    clock, boards = Time(), Hand("boards", "two boards", "gpu", joule=exact(1.1, "J"))
    model = Declared(0.0, JOULE, clock)
    meter = WithBoards(model, Watched(boards, Declared(100.0, JOULE, clock), clock))
    clock.now_s += 1
    boards.energy_uj += 500_000_000

    assert meter.read(1.0).energy_uj == pytest.approx(550_000_000, abs=1)
    assert meter.boundary == "it"


def test_a_machine_whose_boards_do_not_count_is_as_it_was() -> None:
    machine = Declared(100.0, JOULE)

    # The driver's counter stands still.
    found = with_boards({"nvml": lambda joule: Nvml(joule, Driver(1000))}, JOULE, machine)

    assert found is machine
