"""The deferred requests, given what they need of the rooms that they do not know."""

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from canteen.core.errors import EngineError
from canteen.metering.accounting import Accounting
from canteen.metering.metrics import Metrics
from canteen.metering.store import connect
from canteen.runtime.deferred import reply, webhook
from canteen.runtime.deferred.batches import Batches, line_ended
from canteen.runtime.deferred.book import DeferredBook
from canteen.runtime.deferred.broker import Broker, Message, TableBroker
from canteen.runtime.deferred.files import Files
from canteen.runtime.deferred.outbox import Letter, Outbox
from canteen.runtime.deferred.posting import Post, Send, Undelivered
from canteen.runtime.deferred.webhook import Webhooks
from canteen.settings import Settings


class Wired(Protocol):
    """What the deferred requests use of the services."""

    settings: Settings
    accounting: Accounting
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class DeferredRooms:
    """What is kept of them, and what sends word of their ends."""

    book: DeferredBook
    files: Files
    batches: Batches
    webhooks: Webhooks
    broker: Broker | None
    outbox: Outbox
    post: Post

    def tidy(self) -> None:
        """Forget what is old, and end what is too late. Blocks."""
        self.batches.tidy()
        self.book.tidy()
        self.outbox.tidy()
        self.files.tidy()


def deferred(services: Wired) -> DeferredRooms:
    """The deferred requests of a store; raises InvalidRequest for a bad webhook secret."""
    settings, tables = services.settings, services.accounting.ledger.tables
    webhooks = Webhooks(settings.webhook_secret, settings.webhook_hosts)
    senders: dict[str, Send] = {webhook.KIND: webhooks.send}
    broker = _broker(settings.broker)
    if broker is not None:
        senders[reply.MESSAGE] = partial(_publish, broker)
    outbox = Outbox(tables)
    book = DeferredBook(tables, [reply.write, line_ended])
    return DeferredRooms(
        book=book,
        files=Files(tables),
        batches=Batches(tables, book),
        webhooks=webhooks,
        broker=broker,
        outbox=outbox,
        post=Post(outbox, senders, services.metrics.tell_outbox_lag),
    )


def _broker(url: str) -> Broker | None:
    """The broker of a URL, if there is one; raises InvalidRequest for another kind of URL."""
    if not url:
        return None
    tables = connect(url, setting="CANTEEN_BROKER", is_own=False)
    return TableBroker(tables, is_postgresql=url.startswith("postgres"))


async def _publish(broker: Broker, letter: Letter) -> None:
    message = Message(letter.target, letter.id, letter.headers, letter.body)
    try:
        await asyncio.to_thread(broker.publish, message)
    except EngineError as error:
        raise Undelivered(error.message) from error
