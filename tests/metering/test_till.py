"""Charges are put on bills, and each bill becomes one receipt."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.core.footprint import Charge, Receipt
from canteen.core.generation import Usage
from canteen.metering.receipt import as_json, derivation
from canteen.metering.terms import Terms
from canteen.metering.till import Order, Till
from tests.metering.books import COUNTED, TERMS, Books

ORDER = Order("echo", "sha256:0", "echo", "a-key")


class Kept:
    def __init__(self) -> None:
        self.receipts: list[Receipt] = []

    def add(self, receipt: Receipt, terms: Terms) -> None:
        self.receipts.append(receipt)


def till(kept: Kept) -> Till:
    books = Books()
    return Till(lambda: TERMS, accounts=books.accounts, book=kept, clock=books.clock)


def test_the_parts_of_a_request_are_on_one_receipt() -> None:
    kept = Kept()
    desk = till(kept)
    desk.open("r", ORDER)

    desk.add("r", Charge(1, 2, 3, 4), Usage(prompt_tokens=5))
    desk.add("r", Charge(10, 20, 30, 40), Usage(prompt_tokens=6))
    receipt = desk.settle("r")

    assert receipt is not None
    assert receipt.charge == Charge(11, 22, 33, 44)
    assert receipt.usage.prompt_tokens == 11


def test_the_receipt_names_the_model_that_writes() -> None:
    desk = till(Kept())
    reads, writes = replace(ORDER, model="reads"), replace(ORDER, model="writes", writes=True)
    named = []

    for name, orders in (("r", (reads, writes)), ("w", (writes, reads))):
        for order in orders:
            desk.open(name, order)
            desk.add(name, Charge(1), Usage())
        named.append(desk.settle(name))

    assert [receipt and receipt.model for receipt in named] == ["writes", "writes"]


def test_settling_again_gives_the_same_receipt_and_books_it_once() -> None:
    kept = Kept()
    desk = till(kept)
    desk.open("r", ORDER)
    desk.add("r", Charge(1), Usage())

    assert desk.settle("r") is desk.settle("r")
    assert len(kept.receipts) == 1


def test_where_no_model_worked_there_is_no_receipt() -> None:
    kept = Kept()
    desk = till(kept)
    desk.open("r", ORDER)

    assert desk.settle("r") is None
    assert desk.settle("another") is None
    assert kept.receipts == []


def test_a_receipt_tells_energy_water_carbon_and_cost() -> None:
    desk = till(Kept())
    desk.open("r", ORDER)
    desk.add("r", Charge(0, 3_600_000_000, 0, 1_000_000), Usage())
    receipt = desk.settle("r")
    assert receipt is not None

    told = as_json(receipt)

    assert told["energy_wh"]["central"] == pytest.approx(1.5)
    assert told["energy_wh"]["boundary"] == "facility"
    assert told["water_ml"]["site"]["central"] == pytest.approx(0.5)
    assert told["water_ml"]["source"]["central"] == pytest.approx(4.5)
    assert told["carbon_g"]["central"] == pytest.approx(0.6)
    assert told["carbon_g"]["embodied"] is None
    assert told["cost_usd"]["central"] == pytest.approx(0.001)
    assert derivation(receipt)["device_us"] == {"prefill": 0, "decode": 1_000_000}


class Meters:
    """What counts, as a test says."""

    def __init__(self) -> None:
        self.terms = COUNTED
        self.books, self.kept = Books(), Kept()
        self.desk = Till(
            lambda: self.terms,
            accounts=self.books.accounts,
            book=self.kept,
            clock=self.books.clock,
        )

    def settled(self, name: str) -> Receipt:
        self.desk.add(name, Charge(1), Usage())
        receipt = self.desk.settle(name)
        assert receipt is not None
        return receipt


def test_a_receipt_tells_what_counted_its_energy_and_how_well() -> None:
    meters = Meters()
    meters.desk.open("counted", ORDER)
    counted = meters.settled("counted")

    meters.terms = TERMS
    meters.desk.open("modelled", ORDER)
    modelled = meters.settled("modelled")

    told = as_json(counted)["energy_uj"], as_json(modelled)["energy_uj"]
    assert [(one["boundary"], one["grade"]) for one in told] == [("cpu", "A"), ("it", "B")]


def test_what_was_modelled_for_a_part_of_its_time_is_not_told_as_counted() -> None:
    meters = Meters()
    meters.desk.open("long", ORDER)
    meters.terms = TERMS
    meters.desk.look()
    meters.terms = COUNTED
    meters.desk.open("later", ORDER)

    assert meters.settled("long").grade == "B"
    assert meters.settled("later").grade == "A"


def shares_uj(idle_uj: int, energies_uj: list[int]) -> list[int]:
    """Of requests that end after so much has idled."""
    books, kept = Books(), Kept()
    desk = Till(lambda: TERMS, accounts=books.accounts, book=kept, clock=books.clock)
    books.energy_uj["idle"] += idle_uj
    for number, energy_uj in enumerate(energies_uj):
        desk.open(str(number), ORDER)
        desk.add(str(number), Charge(energy_uj), Usage())
        desk.settle(str(number))
    return [one.idle_share_uj for one in kept.receipts]


def test_each_request_shares_what_idled_by_its_part_of_the_hours_energy_so_far() -> None:
    assert shares_uj(900, [10, 20, 30]) == [900, 600, 450]


@given(st.integers(0, 10**10), st.lists(st.integers(0, 10**6), max_size=20))
def test_no_request_shares_more_than_there_was_of_idle_energy(
    idle_uj: int, energies_uj: list[int]
) -> None:
    assert all(0 <= share_uj <= idle_uj for share_uj in shares_uj(idle_uj, energies_uj))


def test_idle_energy_of_the_hour_before_is_nobodys() -> None:
    books, kept = Books(), Kept()
    books.now_s = 3600.0 * 100 - 900
    desk = Till(lambda: TERMS, accounts=books.accounts, book=kept, clock=books.clock)
    books.now_s += 900
    books.energy_uj["idle"] += 500
    desk.look()
    books.now_s += 900
    books.energy_uj["idle"] += 700
    desk.open("r", ORDER)
    desk.add("r", Charge(1), Usage())

    receipt = desk.settle("r")

    assert receipt is not None
    assert receipt.idle_share_uj == 700
