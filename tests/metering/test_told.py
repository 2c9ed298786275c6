"""What another Canteen's receipt tells is taken over, kept, and booked as that node's."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from canteen.core.footprint import Charge, Receipt
from canteen.core.generation import Usage
from canteen.core.units import exact
from canteen.metering import lookup, sums
from canteen.metering.elsewhere import TokenPrices, token_rates
from canteen.metering.ledger import Ledger
from canteen.metering.receipt import as_json
from canteen.metering.store import connect
from canteen.metering.till import Order, Till
from canteen.metering.told import read
from tests.metering.books import RATES, TERMS, Books

UNPRICED = token_rates(TokenPrices())
CHARGE = Charge(3_000, 5_000, 10, 20)
USED = Usage(prompt_tokens=7, cached_tokens=2, completion_tokens=4)


class Node:
    """A Canteen with books and a till, whose receipts go into a list."""

    def __init__(self, name: str) -> None:
        self.books = Books()
        self.receipts: list[Receipt] = []
        books = self.books
        self.till = Till(
            lambda: TERMS, accounts=books.accounts, book=self, clock=books.clock, node=name
        )

    def add(self, receipt: Receipt, terms: object) -> None:
        """As a till's book."""
        self.receipts.append(receipt)

    def worked(self, receipt_id: str, charge: Charge = CHARGE) -> dict[str, Any]:
        """The receipt of an answer that it gave itself, as it is sent."""
        self.till.open(receipt_id, Order("echo", "sha256:0", "echo"))
        self.till.add(receipt_id, charge, USED)
        return self._settled(receipt_id)

    def passed_on(
        self, receipt_id: str, *theirs: dict[str, Any], own: Charge | None = None, told: Any = None
    ) -> dict[str, Any]:
        """The receipt of an answer that others gave, with these receipts."""
        self.till.open(receipt_id, Order("upstream:b", "sha256:1", "openai", asked="pool:latest"))
        for receipt in theirs:
            used = replace(USED, receipts=(receipt,))
            self.till.add_elsewhere(receipt_id, "upstream:b", told or UNPRICED, used)
        if own is not None:
            self.till.add(receipt_id, own, Usage(prompt_tokens=5))
        return self._settled(receipt_id)

    def _settled(self, receipt_id: str) -> dict[str, Any]:
        receipt = self.till.settle(receipt_id)
        assert receipt is not None
        return as_json(receipt)


def test_the_figures_are_those_of_the_node_that_did_it() -> None:
    theirs = Node("b").worked("rcpt_b")

    mine = Node("gateway").passed_on("rcpt_g", theirs)

    assert mine["node"] == "gateway"
    assert mine["energy_uj"]["prefill"] == mine["energy_uj"]["decode"] == 0
    for figure in ("energy_wh", "cost_usd"):
        assert mine[figure] == pytest.approx(theirs[figure]), figure
    for source in ("site", "source"):
        assert mine["water_ml"][source] == pytest.approx(theirs["water_ml"][source])
    assert mine["carbon_g"]["central"] == pytest.approx(theirs["carbon_g"]["central"])
    (part,) = mine["nodes"]
    assert (part["node"], part["id"]) == ("b", "rcpt_b")
    assert part["energy_uj"] == {"prefill": 3_000, "decode": 5_000, "boundary": "it", "grade": "B"}
    assert mine["provenance"] == ["node b: as its own receipts tell"]


def test_grades_are_kept() -> None:
    theirs = Node("b").worked("rcpt_b")

    mine = Node("gateway").passed_on("rcpt_g", theirs)

    assert mine["energy_uj"]["grade"] == theirs["energy_uj"]["grade"] == "B"
    assert mine["energy_wh"]["grade"] == theirs["energy_wh"]["grade"]


def test_over_two_gateways_each_node_is_named_once() -> None:
    first, second = Node("b").worked("rcpt_b"), Node("c").worked("rcpt_c")
    between = Node("between").passed_on("rcpt_m", first, second, own=Charge(100, 0, 1, 0))

    mine = Node("gateway").passed_on("rcpt_g", between)

    energies = {part["node"]: part["energy_uj"]["prefill"] for part in mine["nodes"]}
    assert energies == {"b": 3_000, "between": 100, "c": 3_000}
    assert mine["energy_wh"]["central"] == pytest.approx(between["energy_wh"]["central"])


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("node",), None),
        (("node",), "a\nline"),
        (("id",), 7),
        (("tokens", "prompt"), -1),
        (("energy_uj", "prefill"), 1 << 60),
        (("energy_uj", "boundary"), "moon"),
        (("energy_wh", "boundary"), "it"),
        (("energy_wh", "central"), "much"),
        (("energy_wh", "low"), 1e9),
        (("energy_wh", "high"), 1e300),
        (("energy_wh", "high"), 10**400),
        (("energy_wh", "grade"), "Z"),
        (("water_ml", "site"), None),
        (("carbon_g",), None),
        (("nodes",), 3),
    ],
)
def test_what_cannot_be_read_is_modelled(path: tuple[str, ...], value: Any) -> None:
    theirs = deepcopy(Node("b").worked("rcpt_b"))
    place = theirs
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value

    mine = Node("gateway").passed_on("rcpt_g", theirs)

    if path == ("node",) and value is None:
        # Of a service in another's back: it was modelled there.
        assert mine["nodes"][0]["node"] is None
        return
    assert not read([theirs], "upstream:b")
    assert mine["energy_wh"]["grade"] == "D"
    assert "modelled" in mine["provenance"][0]


def test_a_price_that_is_set_here_is_the_price() -> None:
    priced = token_rates(TokenPrices(exact(1e-6, "USD"), exact(1e-6, "USD"), exact(2e-6, "USD")))

    mine = Node("gateway").passed_on("rcpt_g", Node("b").worked("rcpt_b"), told=priced)

    assert mine["cost_usd"]["central"] == pytest.approx(7e-6 + 8e-6)


def test_the_ledger_keeps_who_did_what_and_sums_it_by_node(url: str) -> None:
    gateway, members = Node("gateway"), {name: Node(name) for name in "bc"}
    for number, name in enumerate("bbc"):
        theirs = members[name].worked(f"rcpt_{name}{number}", Charge(10 + number, 20, 1, 1))
        gateway.passed_on(f"rcpt_g{number}", theirs, own=Charge(1, 2, 1, 1) if number else None)
    ledger = kept(url, gateway)

    again = ledger.receipt("rcpt_g1")
    told = {one["node"]: one for one in ledger.sums("node", sums.Span())["sums"]}
    (by_model,) = ledger.sums("model", sums.Span())["sums"]
    ledger.close()

    assert again is not None
    assert again.provenance[-1] == "node b: as its own receipts tell"
    assert [(part.node, part.charge.energy_uj) for part in again.parts] == [
        ("gateway", 3),
        ("b", 31),
    ]
    assert {name: one["requests"] for name, one in told.items()} == {"b": 2, "c": 1, "gateway": 2}
    assert told["b"]["energy_uj"] == {"prefill": 21, "decode": 40}
    assert told["c"]["energy_uj"] == {"prefill": 12, "decode": 20}
    assert told["gateway"]["energy_uj"] == {"prefill": 2, "decode": 4}
    assert told["b"]["tokens"] == {"prompt": 14, "cached": 4, "completion": 8}
    assert told["gateway"]["tokens"] == {"prompt": 10, "cached": 0, "completion": 0}
    whole = RATES.footprint(Charge(12, 20, 1, 1)).energy.to("Wh").central
    assert told["c"]["energy_wh"]["central"] == pytest.approx(whole)
    by_node = sum(one["energy_wh"]["central"] for one in told.values())
    assert by_model["energy_wh"]["central"] == pytest.approx(by_node)


def test_a_ledger_that_all_nodes_share_counts_an_answer_once(url: str) -> None:
    member, gateway = Node("b"), Node("gateway")
    gateway.passed_on("rcpt_g", member.worked("rcpt_b"))
    kept(url, member).close()
    kept(url, gateway).close()

    (told,) = sums.sums(connect(url), "node", sums.Span())["sums"]

    assert told["node"] == "b"
    assert told["energy_uj"] == {"prefill": 3_000, "decode": 5_000}
    assert lookup.receipt(connect(url), "rcpt_g") is not None


def test_what_no_node_tells_is_of_none(url: str) -> None:
    gateway = Node("gateway")
    gateway.passed_on("rcpt_g", {"is": "no receipt"})
    ledger = kept(url, gateway)

    (told,) = ledger.sums("node", sums.Span())["sums"]
    ledger.close()

    assert told["node"] is None
    assert told["tokens"] == {"prompt": 7, "cached": 2, "completion": 4}
    assert told["energy_uj"] == {"prefill": 0, "decode": 0}


def kept(url: str, node: Node) -> Ledger:
    """A ledger with all the receipts of a node."""
    ledger = Ledger(url, "it", node.books.accounts, node.books.clock)
    ledger.start()
    for receipt in node.receipts:
        ledger.add(receipt, TERMS)
    return ledger
