"""Receipts and accounts for the tests of the ledger."""

from canteen.core.footprint import Charge, Receipt
from canteen.core.generation import Usage
from canteen.core.units import Boundary, Quantity, exact
from canteen.factors.places import Site
from canteen.metering.node import ACCOUNTS, Accounts
from canteen.metering.rates import Price, Rates, rates
from canteen.metering.terms import Terms

JOULE = Quantity(1, 0.9, 1.1, "J", "B", Boundary(energy="it", time="active"))
PLACE = Site(
    "a place",
    exact(1.5),
    exact(0.5, "L/kWh"),
    Quantity(3, 2, 5, "L/kWh"),
    exact(400, "g/kWh"),
)
RATES: Rates = rates(JOULE, PLACE, Price(instance=exact(3.6, "USD/h")))
TERMS = Terms(RATES, "modelled", "it", "B")
COUNTED = Terms(RATES, "RAPL counters: package-0", "cpu", "A")


class Books:
    """A node whose accounts are set by hand, and a clock."""

    def __init__(self) -> None:
        self.now_s = 1_000_000.0
        self.energy_uj = dict.fromkeys(ACCOUNTS, 0)

    def clock(self) -> float:
        return self.now_s

    def accounts(self) -> Accounts:
        total = sum(self.energy_uj.values())
        return Accounts(dict(self.energy_uj), dict.fromkeys(ACCOUNTS, 0), total, 0, 0)

    def receipt(
        self, number: int, prefill_uj: int = 1, decode_uj: int = 2, **facts: str
    ) -> Receipt:
        """A receipt, whose energy the node has counted."""
        self.energy_uj["requests"] += prefill_uj + decode_uj
        charge = Charge(prefill_uj, decode_uj, 10, 20)
        return Receipt(
            id=f"rcpt_{number:032x}",
            model=facts.get("model", "echo"),
            digest="sha256:0",
            engine="echo",
            caller_id=facts.get("caller_id", ""),
            conversation_id=facts.get("conversation_id", ""),
            ended_s=self.now_s,
            usage=Usage(prompt_tokens=3, completion_tokens=4),
            charge=charge,
            footprint=RATES.footprint(charge),
        )
