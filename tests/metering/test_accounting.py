"""The bookkeeping of a service: on what terms, and which programs are in the books."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from canteen.core.units import Boundary, Quantity
from canteen.metering.accounting import Accounting
from canteen.metering.consumer import process_cpu_s
from canteen.metering.probes.modelled import Modelled
from canteen.metering.rates import Price, Rates, rates
from tests.metering.accounting import CountingMeter
from tests.metering.books import PLACE

IT = Boundary(energy="it", time="active")
COUNTED = Quantity(1.06, 1.03, 1.1, "J", "C", IT)
GUESSED = Quantity(1.06, 0.5, 2.0, "J", "C", IT)
SPIN = "import time\nwhile time.process_time() < 0.3: pass\nprint('done', flush=True)\ninput()"


@pytest.fixture
def meter() -> CountingMeter:
    meter = CountingMeter()
    meter.source, meter.boundary, meter.grade, meter.joule = "a counter", "cpu", "A", COUNTED
    return meter


@pytest.fixture
async def books(meter: CountingMeter, tmp_path: Path) -> AsyncIterator[Accounting]:
    def of_joule(joule: Quantity) -> Rates:
        return rates(joule, PLACE, Price())

    books = Accounting(meter, of_joule, f"sqlite:///{tmp_path / 'canteen.db'}")
    yield books
    await books.close()


async def test_terms_are_those_of_what_counts_now(books: Accounting, meter: CountingMeter) -> None:
    before = books.terms()
    meter.source, meter.grade, meter.joule = "a model", "C", GUESSED
    after = books.terms()

    assert before is not after is books.terms()
    assert (before.source, before.grade) == ("a counter", "A")
    assert (after.source, after.grade, after.boundary) == ("a model", "C", "cpu")
    assert books.rates.energy.high > before.rates.energy.high
    assert after.provenance[0] == "energy: a model"


async def test_what_a_program_takes_is_loading_and_the_books_are_open_for_it(
    tmp_path: Path,
) -> None:
    model = Modelled(0.0, 100.0, 1, Quantity(1, 0.5, 2, "J", "C", IT))
    url = f"sqlite:///{tmp_path / 'canteen.db'}"
    books = Accounting(model, lambda joule: rates(joule, PLACE, Price()), url)
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SPIN, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert program.stdout is not None
    with books.helper(program.pid):
        await program.stdout.readline()
        books.book()
    await program.communicate(b"\n")
    booked = books.node.accounts()
    await books.close()

    # 100 W for 0.3 s of processor time at the least, as coarse as the system's clock.
    assert booked.energy_uj["load"] > 27_000_000
    assert sum(booked.energy_uj.values()) == booked.meter_uj
    assert (tmp_path / "canteen.db").exists()


def test_the_time_of_a_process_that_is_not_there_is_not_known() -> None:
    assert process_cpu_s(2**31 - 1) is None
