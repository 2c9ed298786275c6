"""Charges are put on bills, and each bill becomes one receipt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.core.footprint import Charge, Receipt
from canteen.core.generation import Usage
from canteen.metering.receipt import as_json, derivation
from canteen.metering.till import Order, Till
from tests.metering.books import RATES, Books

ORDER = Order("echo", "sha256:0", "echo", "a-key")


class Kept:
    def __init__(self) -> None:
        self.receipts: list[Receipt] = []

    def add(self, receipt: Receipt) -> None:
        self.receipts.append(receipt)


def till(kept: Kept) -> Till:
    books = Books()
    return Till(RATES, "modelled", accounts=books.accounts, book=kept, clock=books.clock)


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


@given(
    st.lists(
        st.tuples(st.integers(0, 10**9), st.integers(0, 10**6), st.floats(0.001, 5000)),
        max_size=20,
    )
)
def test_receipts_share_no_more_than_there_was_of_idle_energy(
    turns: list[tuple[int, int, float]],
) -> None:
    books, kept = Books(), Kept()
    desk = Till(RATES, "modelled", accounts=books.accounts, book=kept, clock=books.clock)
    for number, (idle_uj, energy_uj, passed_s) in enumerate(turns):
        books.now_s += passed_s
        books.energy_uj["idle"] += idle_uj
        desk.open(str(number), ORDER)
        desk.add(str(number), Charge(energy_uj), Usage())
        desk.settle(str(number))

    assert sum(one.idle_share_uj for one in kept.receipts) <= books.energy_uj["idle"]
    assert all(one.idle_share_uj >= 0 for one in kept.receipts)


def test_idle_energy_of_the_hour_before_is_nobodys() -> None:
    books, kept = Books(), Kept()
    books.now_s = 3600.0 * 100 - 900
    desk = Till(RATES, "modelled", accounts=books.accounts, book=kept, clock=books.clock)
    books.now_s += 1800
    books.energy_uj["idle"] += 1000
    desk.open("r", ORDER)
    desk.add("r", Charge(1), Usage())

    receipt = desk.settle("r")

    assert receipt is not None
    assert receipt.idle_share_uj == 500
