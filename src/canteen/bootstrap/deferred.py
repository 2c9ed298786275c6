"""The deferred requests, given what they need of the rooms that they do not know."""

from dataclasses import dataclass
from typing import Protocol

from canteen.metering.accounting import Accounting
from canteen.metering.metrics import Metrics
from canteen.runtime.deferred import reply
from canteen.runtime.deferred.batches import Batches, line_ended
from canteen.runtime.deferred.book import DeferredBook
from canteen.runtime.deferred.files import Files
from canteen.runtime.deferred.outbox import Outbox
from canteen.runtime.deferred.posting import Post
from canteen.runtime.deferred.webhook import KIND, Webhooks
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
    post: Post


def deferred(services: Wired) -> DeferredRooms:
    """The deferred requests of a store; raises InvalidRequest for a bad webhook secret."""
    settings, tables = services.settings, services.accounting.ledger.tables
    webhooks = Webhooks(settings.webhook_secret, settings.webhook_hosts)
    senders = {KIND: webhooks.send}
    book = DeferredBook(tables, [reply.write, line_ended])
    return DeferredRooms(
        book=book,
        files=Files(tables),
        batches=Batches(tables, book),
        webhooks=webhooks,
        post=Post(Outbox(tables), senders, services.metrics.tell_outbox_lag),
    )
