"""The bookkeeping of one node: its meter, accounts, bills and ledger, wired and kept going."""

import asyncio
import contextlib

from canteen.core.engine import Embedder, Engine
from canteen.metering.ledger import Ledger
from canteen.metering.meter import Meter
from canteen.metering.metered import Metered, MeteredEmbedder
from canteen.metering.node import Node
from canteen.metering.rates import Rates
from canteen.metering.till import Till

TICK_S = 1.0


class Accounting:
    """What a service needs to charge for what it does."""

    def __init__(self, meter: Meter, rates: Rates, database_url: str) -> None:
        self.rates = rates
        self.node = Node(meter)
        self.ledger = Ledger(database_url, rates, meter.source, self.node.accounts)
        self.till = Till(rates, meter.source, accounts=self.node.accounts, book=self.ledger)
        self._ticking: asyncio.Task[None] | None = None

    def metered(self, engine: Engine) -> Engine:
        """The engine, its requests charged."""
        return Metered(engine, self.node, self.till)

    def metered_embedder(self, embedder: Embedder) -> Embedder:
        """The embedder, its requests charged."""
        return MeteredEmbedder(embedder, self.node, self.till)

    def start(self) -> None:
        """Open the ledger and read the meter each second; a second call does nothing. Raises
        NewerDatabase."""
        if self._ticking is None:
            self.ledger.start()
            self._ticking = asyncio.ensure_future(self._tick())

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
        self.ledger.tick()

    async def _tick(self) -> None:
        while True:
            self.book()
            await asyncio.sleep(TICK_S)
