"""Models that are elsewhere, wired: each behind its circuit breaker and a queue of its own."""

from collections.abc import Callable
from pathlib import Path

from canteen.core.errors import UpstreamFailed
from canteen.core.model import ModelCard
from canteen.core.upstream import Upstream
from canteen.metering.accounting import Accounting
from canteen.runtime.admission import Limited, LimitedEmbedder
from canteen.runtime.breaker import Breaker
from canteen.runtime.gate import Gate
from canteen.runtime.guarded import Guarded, GuardedEmbedder
from canteen.runtime.slot import Health, Served
from canteen.settings import variable


class Upstreams:
    """The upstreams that were asked in this life of the service, whose breakers outlive what the
    pool keeps of them."""

    def __init__(self, books: Accounting, make_gate: Callable[[int], Gate], most_at_once: int):
        self._books = books
        self._make_gate = make_gate
        self._most_at_once = most_at_once
        self._breakers: dict[str, Breaker] = {}

    def breaker(self, card: ModelCard) -> Breaker:
        """That of a model, which its other names share."""
        return self._breakers.setdefault(card.digest, Breaker())

    def made(self, card: ModelCard) -> tuple[Served, Health]:
        """What serves a model; nothing is sent yet."""
        from canteen.engines import openai

        upstream = Upstream(**card.upstream)
        client = openai.Client(upstream, lambda: _key(card.name, upstream))
        breaker, patience_s = self.breaker(card), upstream.patience_s
        if card.kind == "embedder":
            embedder = GuardedEmbedder(openai.OpenAIEmbedder(upstream, client), breaker, patience_s)
            metered_embedder = self._books.metered_embedder(embedder)
            return LimitedEmbedder(metered_embedder, self._make_gate(self._most_at_once)), (
                embedder.circuit
            )
        engine = Guarded(
            openai.OpenAIEngine(upstream, client, card.context_length, self._most_at_once),
            breaker,
            patience_s,
        )
        gate = self._make_gate(self._most_at_once)
        return Limited(self._books.metered(engine), gate), engine.circuit


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
    if not key:
        raise UpstreamFailed(
            f"the key of '{name}' cannot be read; see its --key-file or --key-env",
            code="upstream_refused",
        )
    return key
