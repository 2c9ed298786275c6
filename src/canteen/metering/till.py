"""Where charges are put on bills, and bills become receipts."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from canteen.core.footprint import Charge, Receipt
from canteen.core.generation import Usage
from canteen.metering.node import Accounts
from canteen.metering.rates import Rates
from canteen.metering.receipt import provenance

# Whoever settles again, as a handler and the door behind it do, does so at once.
_REMEMBERED = 256
_HOUR_S = 3600


class Book(Protocol):
    """Where receipts are kept."""

    def add(self, receipt: Receipt) -> None: ...


@dataclass(frozen=True, slots=True)
class Order:
    """Which model works for whom. Empty where nobody said."""

    model: str
    digest: str
    engine: str
    caller_id: str = ""
    conversation_id: str = ""
    operation: str = ""
    prompt_version: str = ""


@dataclass(slots=True)
class _Bill:
    order: Order
    charge: Charge | None = None
    usage: Usage = field(default_factory=Usage)


class Till:
    """The bills of all requests under way. `meter` names what counts the energy."""

    def __init__(
        self,
        rates: Rates,
        meter: str,
        *,
        accounts: Callable[[], Accounts],
        book: Book,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._rates = rates
        self._accounts = accounts
        self._book = book
        self._clock = clock
        self._provenance = provenance(rates.footprint(Charge(1, 0, 1, 0)), meter)
        self._bills: dict[str, _Bill] = {}
        self._settled: OrderedDict[str, Receipt] = OrderedDict()
        self._settled_s = clock()
        self._idle_uj = self._untold_uj = 0

    def open(self, receipt_id: str, order: Order) -> None:
        """A model is about to work for a request. Opening again, as a request of several parts
        does, changes nothing."""
        self._bills.setdefault(receipt_id, _Bill(order))

    def knows(self, receipt_id: str) -> bool:
        """Whether there is a bill, or a receipt not long ago."""
        return receipt_id in self._bills or receipt_id in self._settled

    def add(self, receipt_id: str, charge: Charge, usage: Usage) -> None:
        """A part of a request has ended. What comes after the receipt is on no bill."""
        bill = self._bills.get(receipt_id)
        if bill is not None:
            bill.charge = (bill.charge or Charge()) + charge
            bill.usage += usage

    def settle(self, receipt_id: str, queue_s: float = 0.0) -> Receipt | None:
        """The receipt, the same one each time; None where no model worked. `queue_s` is what
        the request waited before any did."""
        bill = self._bills.pop(receipt_id, None)
        if bill is None or bill.charge is None:
            return self._settled.get(receipt_id)
        ended_s = self._clock()
        receipt = Receipt(
            id=receipt_id,
            model=bill.order.model,
            digest=bill.order.digest,
            engine=bill.order.engine,
            caller_id=bill.order.caller_id,
            ended_s=ended_s,
            usage=replace(bill.usage, queue_s=queue_s),
            charge=bill.charge,
            footprint=self._rates.footprint(bill.charge),
            operation=bill.order.operation,
            conversation_id=bill.order.conversation_id,
            prompt_version=bill.order.prompt_version,
            idle_share_uj=self._idle_share_uj(bill.charge.energy_uj, ended_s),
            provenance=self._provenance,
        )
        self._settled[receipt_id] = receipt
        if len(self._settled) > _REMEMBERED:
            self._settled.popitem(last=False)
        self._book.add(receipt)
        return receipt

    def _idle_share_uj(self, energy_uj: int, now_s: float) -> int:
        """A part of this hour's idle energy that no receipt has told yet, in proportion to the
        energy of this request and of those under way."""
        accounts = self._accounts()
        grown_uj = accounts.energy_uj["idle"] - self._idle_uj
        self._idle_uj += grown_uj
        since_hour_s = now_s % _HOUR_S
        if now_s - self._settled_s > since_hour_s:
            # The rest was before the hour began, and is no request's any more.
            self._untold_uj = 0
            grown_uj = int(grown_uj * since_hour_s / (now_s - self._settled_s))
        self._settled_s = now_s
        self._untold_uj += grown_uj
        whole_uj = energy_uj + accounts.open_uj
        share_uj = self._untold_uj * energy_uj // whole_uj if whole_uj else 0
        self._untold_uj -= share_uj
        return share_uj
