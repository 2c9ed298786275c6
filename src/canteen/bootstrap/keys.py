"""The keys and their limits, given what they need of the rooms that they do not know."""

from typing import Protocol

from canteen.metering.accounting import Accounting
from canteen.metering.keys.book import KeyBook
from canteen.metering.keys.holds import Holds
from canteen.metering.keys.limiter import Limiter
from canteen.metering.keys.ring import KeyRing
from canteen.runtime.catalog import Catalog
from canteen.settings import Settings

# Of a model whose context is not known, as an upstream's may be.
_UNKNOWN_CONTEXT = 131_072


class Wired(Protocol):
    """What the keys use of the services."""

    settings: Settings
    catalog: Catalog
    accounting: Accounting


def ring(services: Wired) -> KeyRing:
    """Who shows which key."""
    settings = services.settings
    book = KeyBook(services.accounting.ledger.tables)

    def is_there() -> bool:
        return bool(settings.database) or (settings.home / "canteen.db").exists()

    return KeyRing(book, settings.keys, has_tokens=bool(settings.jwks_url), is_there=is_there)


def limiter(services: Wired) -> Limiter:
    """How much each key may have."""

    def context_length(model: str) -> int:
        card = services.catalog.get(model)
        told = card.parameters.get("context_length") or card.context_length
        return int(told or _UNKNOWN_CONTEXT)

    accounting = services.accounting
    tables, at_once = accounting.ledger.kept_tables(), accounting.ledger.tables_at_once()
    holds = Holds(tables, close=tables.close, at_once=at_once)
    return Limiter.on(holds, accounting.till, context_length)
