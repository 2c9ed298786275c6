"""The bookkeeping of one node: its meter, accounts, bills and ledger, wired and kept going."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from canteen.core.engine import Embedder, Engine, Home
from canteen.core.footprint import Account, Charge, TokenRates
from canteen.core.generation import Usage
from canteen.core.units import Quantity
from canteen.metering.cluster import Nodes, Replicas
from canteen.metering.consumer import process_cpu_s
from canteen.metering.ledger import Ledger
from canteen.metering.meter import Meter
from canteen.metering.metered import Metered, MeteredEmbedder
from canteen.metering.node import Node
from canteen.metering.rates import Rates
from canteen.metering.tab import Tab
from canteen.metering.terms import Terms, terms
from canteen.metering.till import Order, Till

TICK_S = 1.0


class _Nowhere:
    """Counts nothing."""

    def open(self, request_id: str, account: Account = "requests") -> None: ...

    def close(self, request_id: str) -> Charge:
        return Charge()


@dataclass(frozen=True, slots=True)
class _Abroad:
    """Bills of what is not done here."""

    till: Till
    model: str
    told: TokenRates

    def add(self, receipt_id: str, charge: Charge, usage: Usage) -> None:
        self.till.add_elsewhere(receipt_id, self.model, self.told, usage)


class Accounting:
    """What a service needs to charge for what it does. `rates` are those of a meter's joule;
    `name` is the node's, on its receipts."""

    def __init__(
        self,
        meter: Meter,
        rates: Callable[[Quantity], Rates],
        database_url: str,
        name: str = "",
    ) -> None:
        self._rates = rates
        self._terms: dict[str, Terms] = {}
        self._is_open = False
        self._nodes: Nodes | None = None
        self.node = Node(meter)
        self.ledger = Ledger(database_url, meter.boundary, self.node.accounts)
        self.till = Till(self.terms, accounts=self.node.accounts, book=self.ledger, node=name)
        self._ticking: asyncio.Task[None] | None = None

    @property
    def rates(self) -> Rates:
        """What a joule that is counted now means."""
        return self.terms().rates

    def terms(self) -> Terms:
        """What counts now: where a counter has died, a model goes on in its place."""
        return self._terms_of(self.node.meter)

    def cluster(self, make_meter: Callable[[Home], Meter]) -> Nodes:
        """The accounts of a cluster's nodes, kept going with those of this machine."""
        self._nodes = Nodes(make_meter, self._terms_of, self.till)
        return self._nodes

    def metered_on(self, engine: Engine, replicas: Replicas, nodes: Nodes) -> Engine:
        """The engine of a cluster, its requests charged where they ran."""
        return Metered(engine, replicas, nodes)

    def embedder_on(self, embedder: Embedder, replicas: Replicas, nodes: Nodes) -> Embedder:
        """The embedder of a cluster."""
        return MeteredEmbedder(embedder, replicas, nodes)

    def _terms_of(self, meter: Meter) -> Terms:
        if meter.source not in self._terms:
            self._terms[meter.source] = terms(meter, self._rates(meter.joule))
        return self._terms[meter.source]

    def metered(self, engine: Engine) -> Engine:
        """The engine, its requests charged."""
        return Metered(engine, self.node, self.till)

    def metered_embedder(self, embedder: Embedder) -> Embedder:
        """The embedder, its requests charged."""
        return MeteredEmbedder(embedder, self.node, self.till)

    def elsewhere(self, engine: Engine, model: str, told: TokenRates) -> Engine:
        """The engine of an upstream, whose tokens are on the bill and whose energy is on no meter
        of ours."""
        return Metered(engine, _Nowhere(), _Abroad(self.till, model, told))

    def embedder_elsewhere(self, embedder: Embedder, model: str, told: TokenRates) -> Embedder:
        """The embedder of an upstream."""
        return MeteredEmbedder(embedder, _Nowhere(), _Abroad(self.till, model, told))

    def start(self) -> None:
        """Open the ledger and read the meter each second, while this event loop runs; a second
        call does nothing. Raises NewerDatabase."""
        if not self._is_open:
            self.ledger.start()
            self._is_open = True
        if self._ticking is None or self._ticking.done():
            self._ticking = asyncio.ensure_future(self._tick())

    @contextlib.contextmanager
    def helper(self, pid: int) -> Iterator[None]:
        """While a program brings or prepares a model, its work is accounted as loading."""
        self.start()
        helper = self.node.helper(lambda: process_cpu_s(pid))
        try:
            yield
        finally:
            helper.ended()

    @contextlib.contextmanager
    def tab(self, receipt_id: str, order: Order) -> Iterator[Tab]:
        """While a training is under way; after it, its receipt can be settled."""
        self.start()
        self.till.open(receipt_id, order)
        self.node.open(receipt_id, "train")
        tab = Tab(self.node, receipt_id, lambda charge: self.rates.footprint(charge))
        try:
            yield tab
        finally:
            charge = self.node.close(receipt_id)
            self.till.add(receipt_id, charge, Usage(prompt_tokens=tab.tokens))

    async def close(self) -> None:
        """Write everything down."""
        if self._ticking is None:
            return
        self._ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._ticking
        self.book()
        # On this thread, since at the end of a program there are no others to be had.
        self.ledger.close()

    def book(self) -> None:
        """Book what was counted until now."""
        self.node.tick()
        if self._nodes is not None:
            self._nodes.tick()
        self.till.look()
        self.ledger.tick()

    async def _tick(self) -> None:
        while True:
            self.book()
            await asyncio.sleep(TICK_S)
