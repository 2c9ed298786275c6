"""Where charges are put on bills, and bills become receipts."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from canteen.core.footprint import Charge, Elsewhere, Footprint, Part, Phase, Receipt, TokenRates
from canteen.core.generation import Usage
from canteen.metering import told
from canteen.metering.elsewhere import footprint, less, part_of, parts, provenance_of, summed
from canteen.metering.node import Accounts
from canteen.metering.terms import Terms

# Whoever settles again, as a handler and the door behind it do, does so at once.
_REMEMBERED = 256
_HOUR_S = 3600


class Book(Protocol):
    """Where receipts are kept, and on what terms they were told."""

    def add(self, receipt: Receipt, terms: Terms) -> None: ...


@dataclass(frozen=True, slots=True)
class Order:
    """Which model works for whom, whether it writes, and the chain that was asked. Empty where
    nobody said."""

    model: str
    digest: str
    engine: str
    caller_id: str = ""
    conversation_id: str = ""
    operation: str = ""
    prompt_version: str = ""
    phase: Phase = "inference"
    asked: str = ""
    writes: bool = False


@dataclass(slots=True)
class _Bill:
    receipt_id: str
    node: str
    order: Order
    terms: Terms
    charge: Charge | None = None
    usage: Usage = field(default_factory=Usage)
    modelled: dict[tuple[str, TokenRates], Usage] = field(default_factory=dict)
    told: list[Part] = field(default_factory=list)

    def own(self) -> Part:
        """What this node did."""
        charge = self.charge or Charge()
        return Part(
            charge.node or self.node,
            self.receipt_id,
            self.order.model,
            less(self.usage, (*self.modelled.values(), *(part.usage for part in self.told))),
            charge,
            self.terms.boundary,
            self.terms.grade,
            self.terms.rates.footprint(charge),
        )

    def footprint(self) -> Footprint:
        """What all that is on it means."""
        own = self.own()
        return summed(own, parts(own, self.elsewhere(), self.told))

    def elsewhere(self) -> tuple[Elsewhere, ...]:
        """What others did and told nothing of."""
        return tuple(part_of(model, rates, used) for (model, rates), used in self.modelled.items())


class Till:
    """The bills of all requests under way at `node`. `terms` says what counts the energy now."""

    def __init__(
        self,
        terms: Callable[[], Terms],
        *,
        accounts: Callable[[], Accounts],
        book: Book,
        clock: Callable[[], float] = time.time,
        node: str = "",
    ) -> None:
        self._node = node
        self._terms = terms
        self._now = terms()
        self._hour = _Hour(accounts, clock)
        self._book = book
        self._clock = clock
        self._bills: dict[str, _Bill] = {}
        self._settled: OrderedDict[str, Receipt] = OrderedDict()

    def look(self) -> None:
        """See what counts the energy now, and what hour it is; to be called each second. A bill
        has the worst terms of its time: of an energy that was modelled in part, none is counted."""
        self._hour.look()
        now = self._terms()
        if now is self._now:
            return
        self._now = now
        for bill in self._bills.values():
            bill.terms = max(bill.terms, now, key=lambda one: one.grade)

    def open(self, receipt_id: str, order: Order) -> None:
        """A model is about to work for a request. Of one of several parts, which opens again, the
        receipt names the model that writes, and of a chain the one that was tried last. What comes
        after the receipt changes nothing."""
        if receipt_id in self._settled:
            return
        self.look()
        bill = self._bills.setdefault(receipt_id, _Bill(receipt_id, self._node, order, self._now))
        is_tried_instead = order.asked and order.asked == bill.order.asked
        if is_tried_instead or order.writes > bill.order.writes:
            bill.order = order

    def knows(self, receipt_id: str) -> bool:
        """Whether there is a bill, or a receipt not long ago."""
        return receipt_id in self._bills or receipt_id in self._settled

    def add(
        self, receipt_id: str, charge: Charge, usage: Usage, terms: Terms | None = None
    ) -> None:
        """A part of a request has ended, charged on the terms of this machine or of the one that
        did it. What comes after the receipt is on no bill."""
        bill = self._bills.get(receipt_id)
        if bill is not None:
            bill.charge = (bill.charge or Charge()) + charge
            bill.usage += usage
            bill.terms = terms or bill.terms

    def add_elsewhere(self, receipt_id: str, model: str, rates: TokenRates, usage: Usage) -> None:
        """A part that somebody else's service did has ended, as the model of this name; where it
        is a Canteen, the usage has its receipt."""
        self.add(receipt_id, Charge(), replace(usage, receipts=()))
        bill = self._bills.get(receipt_id)
        if bill is None:
            return
        cost = footprint(part_of(model, rates, usage)).cost
        if theirs := told.priced(told.read(usage.receipts, model), cost):
            bill.told += theirs
        elif usage.prompt_tokens + usage.completion_tokens:
            key = (model, rates)
            bill.modelled[key] = bill.modelled.get(key, Usage()) + usage

    def so_far(self, receipt_id: str) -> tuple[Usage, Callable[[], Footprint]] | None:
        """What is on the bill of a request under way, and what that means; None before its first
        part has ended, and after its receipt."""
        bill = self._bills.get(receipt_id)
        if bill is None or bill.charge is None:
            return None
        return bill.usage, bill.footprint

    def settle(self, receipt_id: str, queue_s: float = 0.0) -> Receipt | None:
        """The receipt, the same one each time; None where no model worked. `queue_s` is what
        the request waited before any did."""
        self.look()
        bill = self._bills.pop(receipt_id, None)
        if bill is None or bill.charge is None:
            return self._settled.get(receipt_id)
        own, elsewhere = bill.own(), bill.elsewhere()
        did = parts(own, elsewhere, bill.told)
        whole = summed(own, did)
        receipt = Receipt(
            id=receipt_id,
            model=bill.order.model,
            digest=bill.order.digest,
            engine=bill.order.engine,
            caller_id=bill.order.caller_id,
            ended_s=self._clock(),
            usage=replace(bill.usage, queue_s=queue_s),
            charge=bill.charge,
            footprint=whole,
            phase=bill.order.phase,
            operation=bill.order.operation,
            conversation_id=bill.order.conversation_id,
            prompt_version=bill.order.prompt_version,
            boundary=bill.terms.boundary,
            grade=max((part.grade for part in did), default=bill.terms.grade),
            # What a machine of a cluster idles is not in the accounts of this one.
            idle_share_uj=0 if bill.charge.node else self._hour.share_uj(bill.charge.energy_uj),
            provenance=provenance_of(bill.terms.provenance, receipt_id, whole, did),
            asked=bill.order.asked,
            elsewhere=elsewhere,
            node=own.node,
            parts=did,
        )
        self._settled[receipt_id] = receipt
        if len(self._settled) > _REMEMBERED:
            self._settled.popitem(last=False)
        self._book.add(receipt, bill.terms)
        return receipt


class _Hour:
    """How much of the accounting hour's energy was idle so far, and how much was for requests."""

    def __init__(self, accounts: Callable[[], Accounts], clock: Callable[[], float]) -> None:
        self._accounts = accounts
        self._clock = clock
        self._begin()

    def look(self) -> None:
        """Whether another hour has begun: what idled before is no request's any more."""
        if int(self._clock() // _HOUR_S) != self._hour:
            self._begin()

    def share_uj(self, energy_uj: int) -> int:
        """Of what has idled in this hour so far, the part of a request that ends now: by its
        energy over that of all that ended in the hour, and of those under way."""
        accounts = self._accounts()
        self._ended_uj += energy_uj
        idle_uj = accounts.energy_uj["idle"] - self._idle_uj
        whole_uj = self._ended_uj + accounts.open_uj
        return idle_uj * energy_uj // whole_uj if whole_uj else 0

    def _begin(self) -> None:
        self._hour = int(self._clock() // _HOUR_S)
        self._idle_uj = self._accounts().energy_uj["idle"]
        self._ended_uj = 0
