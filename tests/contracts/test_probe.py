"""What every counter of energy must do, whatever it reads."""

from itertools import pairwise
from pathlib import Path

import pytest

from canteen.metering.probes.counter import check_alive
from tests.metering.probes.hardware import Machine, Time, nvml, perf, rapl, spinning


@pytest.fixture(params=[rapl, perf, nvml], ids=lambda make: str(make.__name__))
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Machine:
    """Every counter, on make-believe hardware."""
    made: Machine = request.param(tmp_path)
    return made


def test_it_counts_what_is_used_and_never_goes_back(machine: Machine) -> None:
    counter = machine.open_counter()
    counts = [counter.read_uj()]

    for _ in range(4):
        machine.use(400_000)
        counts.append(counter.read_uj())

    assert [after - before for before, after in pairwise(counts)] == [400_000] * 4


def test_it_stands_still_while_nothing_is_used(machine: Machine) -> None:
    counter = machine.open_counter()

    assert counter.read_uj() == counter.read_uj()


def test_it_is_alive_when_it_moves(machine: Machine) -> None:
    clock = Time()

    check_alive(machine.open_counter(), spinning(machine, clock, 10_000_000), clock)


def test_it_says_what_it_is(machine: Machine) -> None:
    counter = machine.open_counter()

    assert counter.name
    assert counter.source
    assert 0 < counter.tick_s <= 0.1
    assert counter.most_w > 0
