"""What others did for a request is on its receipt and in the sums, and on no meter of ours."""

from dataclasses import replace
from pathlib import Path

import pytest

from canteen.core.footprint import Charge, Receipt
from canteen.core.generation import Usage
from canteen.core.units import exact
from canteen.metering import sums
from canteen.metering.elsewhere import TokenPrices, footprint, part_of, token_rates
from canteen.metering.ledger import Ledger
from canteen.metering.receipt import as_json
from canteen.metering.terms import Terms
from canteen.metering.till import Order, Till
from tests.metering.books import RATES, TERMS, Books

PRICES = TokenPrices(exact(3e-6, "USD"), exact(1e-6, "USD"), exact(9e-6, "USD"))
TOLD = token_rates(PRICES)
USED = Usage(prompt_tokens=100, cached_tokens=40, completion_tokens=20)
ORDER = Order("upstream:a", "sha256:0", "openai", "a-key", asked="big:latest")


class Kept:
    def __init__(self) -> None:
        self.receipts: list[tuple[Receipt, Terms]] = []

    def add(self, receipt: Receipt, terms: Terms) -> None:
        self.receipts.append((receipt, terms))


def receipt_of(*charges: Charge, receipt_id: str = "r") -> Receipt:
    """The receipt of an answer from elsewhere, and of these charges."""
    books = Books()
    till = Till(lambda: TERMS, accounts=books.accounts, book=Kept(), clock=books.clock)
    till.open(receipt_id, ORDER)
    till.add_elsewhere(receipt_id, "upstream:a", TOLD, USED)
    for charge in charges:
        till.add(receipt_id, charge, Usage(prompt_tokens=5))
    receipt = till.settle(receipt_id)
    assert receipt is not None
    return receipt


def test_tokens_from_elsewhere_cost_what_is_asked_for_them() -> None:
    cost = footprint(part_of("upstream:a", TOLD, USED)).cost

    assert cost is not None
    assert cost.central == pytest.approx(60 * 3e-6 + 40 * 1e-6 + 20 * 9e-6)


def test_what_costs_nobody_knows_how_much_has_no_price() -> None:
    assert footprint(part_of("upstream:a", token_rates(TokenPrices()), USED)).cost is None


def test_its_energy_and_water_are_modelled_and_say_so() -> None:
    receipt = receipt_of()

    for figure in (receipt.footprint.energy, receipt.footprint.water_source):
        assert figure.grade == "D"
        assert figure.high > 5 * figure.low > 0
    assert receipt.grade == "D"
    assert receipt.charge == Charge()
    assert "modelled" in receipt.provenance[0]
    assert "upstream:a" in receipt.provenance[0]


def test_the_receipt_tells_who_of_a_chain_answered() -> None:
    told = as_json(receipt_of())

    assert told["model"] == "upstream:a"
    assert told["asked"] == "big:latest"


def test_our_part_and_theirs_add_up() -> None:
    charge = Charge(3_000_000, 5_000_000, 10, 20)

    whole = receipt_of(charge)

    parts = (RATES.footprint(charge), footprint(part_of("upstream:a", TOLD, USED)))
    assert whole.footprint.energy.central == pytest.approx(
        sum(part.energy.central for part in parts)
    )
    assert whole.usage.prompt_tokens == 105


def test_a_chain_that_falls_back_tells_of_the_last_one() -> None:
    books = Books()
    till = Till(lambda: TERMS, accounts=books.accounts, book=Kept(), clock=books.clock)
    for model in ("upstream:a", "upstream:b"):
        till.open("r", replace(ORDER, model=model))
    till.add_elsewhere("r", "upstream:b", TOLD, USED)

    receipt = till.settle("r")

    assert receipt is not None
    assert receipt.model == "upstream:b"


def test_the_ledger_keeps_it_and_sums_it(tmp_path: Path) -> None:
    books = Books()
    ledger = Ledger(f"sqlite:///{tmp_path / 'canteen.db'}", "it", books.accounts, books.clock)
    ledger.start()
    receipt = receipt_of(receipt_id="rcpt_1")
    for one in (receipt_of(receipt_id="rcpt_0"), receipt):
        ledger.add(one, TERMS)
    ledger.add(books.receipt(7), TERMS)

    kept = ledger.receipt("rcpt_1")
    (mine, theirs) = ledger.sums("model", sums.Span())["sums"]
    ledger.close()

    assert kept is not None
    assert kept.footprint.energy.central == pytest.approx(receipt.footprint.energy.central)
    assert kept.asked == "big:latest"
    assert kept.provenance == receipt.provenance
    assert theirs["model"] == "upstream:a"
    assert mine["model"] == "echo"
    cost = receipt.footprint.cost
    assert cost is not None
    assert theirs["cost_usd"]["central"] == pytest.approx(2 * cost.central)
    assert theirs["energy_wh"]["grade"] == "D"
    assert mine["energy_wh"]["grade"] != "D"
