"""Models that are elsewhere, wired: each behind its circuit breaker and a queue of its own, and
looked at where it is one of a pool."""

from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from canteen.core.errors import InvalidRequest, UpstreamFailed
from canteen.core.footprint import TokenRates
from canteen.core.model import ModelCard
from canteen.core.units import Input, Quantity, sourced
from canteen.core.upstream import Upstream
from canteen.metering.accounting import Accounting
from canteen.metering.elsewhere import TokenPrices, token_rates
from canteen.metering.metrics import Metrics
from canteen.planning.saas import token_prices
from canteen.runtime.admission import Limited, LimitedEmbedder
from canteen.runtime.balance import Balance, Member
from canteen.runtime.breaker import Breaker
from canteen.runtime.gate import Gate
from canteen.runtime.guarded import Circuit, Guarded, GuardedEmbedder, Named, Probe
from canteen.runtime.slot import Health, Served
from canteen.runtime.threads import in_thread
from canteen.settings import variable

if TYPE_CHECKING:
    from canteen.engines.openai_looks import Lookout


class Upstreams:
    """The upstreams that were asked in this life of the service, whose breakers outlive what the
    pool keeps of them."""

    def __init__(
        self,
        books: Accounting,
        metrics: Metrics,
        make_gate: Callable[[int], Gate],
        most_at_once: int,
    ) -> None:
        self._books = books
        self._metrics = metrics
        self._make_gate = make_gate
        self._most_at_once = most_at_once
        self._breakers: dict[str, Breaker] = {}
        self._lookouts: list[Lookout] = []
        self.balance = Balance(self._member)
        self._rates: dict[str, TokenRates] = {}

    async def made(self, card: ModelCard) -> tuple[Served, Health]:
        """What serves a model; nothing is sent yet."""
        from canteen.engines import openai

        upstream = Upstream(**card.upstream)
        client = openai.Client(upstream, lambda: _key(card.name, upstream))
        gate, told = self._make_gate(self._most_at_once), await self._told(card, upstream)
        circuit = partial(self._circuit, card, upstream)
        if card.kind == "embedder":
            embedder = GuardedEmbedder(openai.OpenAIEmbedder(upstream, client), circuit)
            billed = self._books.embedder_elsewhere(embedder, card.name, told)
            return LimitedEmbedder(billed, gate), embedder.circuit
        engine = Guarded(
            openai.OpenAIEngine(upstream, client, card.context_length, self._most_at_once), circuit
        )
        return Limited(self._books.elsewhere(engine, card.name, told), gate), engine.circuit

    def _circuit(self, card: ModelCard, upstream: Upstream, probe: Probe) -> Circuit:
        """That of a model, whose breaker its other names share."""
        tell = partial(self._metrics.upstreams.count, card.name)
        named = Named(card.name, upstream.base_url)
        return Circuit(named, self._breaker(card), probe, upstream.patience_s, tell)

    def _breaker(self, card: ModelCard) -> Breaker:
        return self._breakers.setdefault(card.digest, Breaker())

    def _member(self, card: ModelCard) -> Member:
        """What is known of an upstream as one of a pool."""
        from canteen.engines import openai
        from canteen.engines.openai_looks import Lookout

        upstream = Upstream(**card.upstream)
        lookout = Lookout(upstream, openai.Client(upstream, lambda: _key(card.name, upstream)))
        self._lookouts.append(lookout)
        return Member(
            f"{upstream.model} at {upstream.base_url}",
            self._breaker(card),
            lookout.look,
            partial(self._metrics.upstreams.tell_up, card.name),
        )

    async def close(self) -> None:
        """Look at nobody any more."""
        await self.balance.close()
        for lookout in self._lookouts:
            await lookout.close()

    async def _told(self, card: ModelCard, upstream: Upstream) -> TokenRates:
        """What its tokens mean, by the prices of the day that it was first asked."""
        if card.digest not in self._rates:
            asked = await in_thread(prices, upstream, date.today())
            self._rates[card.digest] = token_rates(asked)
        return self._rates[card.digest]


def prices(upstream: Upstream, on: date) -> TokenPrices:
    """What is set, else what the public list says of the model, else nothing. A price that is not
    set for prompts from a cache is that of the others."""
    if upstream.price_in is not None or upstream.price_out is not None:
        read = _set(upstream.price_in, "read", on)
        return TokenPrices(read, read, _set(upstream.price_out, "written", on))
    try:
        if upstream.price_of:
            return TokenPrices(*token_prices(upstream.price_of, on))
        return TokenPrices(*token_prices(upstream.model, on, upstream.base_url))
    except InvalidRequest:
        return TokenPrices()


def _set(per_million: float | None, what: str, on: date) -> Quantity | None:
    if per_million is None:
        return None
    usd = per_million / 1e6
    name = f"price of a token {what}"
    told = Input(name, usd, usd, usd, "USD", "a setting of the model", on.isoformat(), "declared")
    return sourced(told, "D")


def _key(name: str, upstream: Upstream) -> str:
    """Read anew each time, so that a key can be changed under a running service."""
    if upstream.key_variable:
        key = variable(upstream.key_variable)
    elif upstream.key_file:
        try:
            key = Path(upstream.key_file).read_text().strip()
        except (OSError, ValueError):
            key = ""
    else:
        return ""
    if not key or not key.isascii() or not key.isprintable():
        raise UpstreamFailed(
            f"the key of '{name}' cannot be read; see its --key-file or --key-env",
            code="upstream_refused",
        )
    return key
