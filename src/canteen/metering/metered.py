"""Models whose requests are charged: wrappers between the gate and the worker."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from canteen.core.engine import Capabilities, Embedder, Engine, EngineStats
from canteen.core.footprint import Account, Charge
from canteen.core.generation import (
    Chunk,
    EmbeddingRequest,
    Embeddings,
    GenerationRequest,
    Request,
    ScoreRequest,
    Scores,
    Usage,
)


class Bills(Protocol):
    """Where charges are written, each on the bill of its receipt."""

    def add(self, receipt_id: str, charge: Charge, usage: Usage) -> None: ...


class Accounts(Protocol):
    """What counts what requests take."""

    def open(self, request_id: str, account: Account = "requests") -> None: ...

    def close(self, request_id: str) -> Charge: ...


class Metered:
    """An Engine whose requests are charged at their end, however they end: before the caller
    sees the last chunk, so that it can carry the receipt."""

    def __init__(self, engine: Engine, node: Accounts, bills: Bills) -> None:
        self._engine = engine
        self._node = node
        self._bills = bills
        self.name = engine.name

    @property
    def capabilities(self) -> Capabilities:
        """The engine's."""
        return self._engine.capabilities

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Chunk]:
        """Generate, and charge; a request that is given up pays for what it was given."""
        num_tokens = 0
        usage: Usage | None = None
        _open(self._node, request)
        try:
            async with aclosing(self._engine.generate(request)) as chunks:
                async for chunk in chunks:
                    num_tokens += chunk.num_tokens
                    if chunk.usage is not None:
                        usage = chunk.usage
                        _close(self._node, self._bills, request, usage)
                    yield chunk
        finally:
            if usage is None:
                _close(self._node, self._bills, request, Usage(completion_tokens=num_tokens))

    async def score(self, request: ScoreRequest) -> Scores:
        """Score, and charge."""
        usage = Usage()
        _open(self._node, request)
        try:
            made = await self._engine.score(request)
            usage = made.usage
        finally:
            _close(self._node, self._bills, request, usage)
        return made

    async def stats(self) -> EngineStats:
        """The engine's."""
        return await self._engine.stats()

    async def close(self) -> None:
        """Close the engine."""
        await self._engine.close()


class MeteredEmbedder:
    """An Embedder whose requests are charged at their end."""

    def __init__(self, embedder: Embedder, node: Accounts, bills: Bills) -> None:
        self._embedder = embedder
        self._node = node
        self._bills = bills
        self.name = embedder.name

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        """Embed, and charge."""
        usage = Usage()
        _open(self._node, request)
        try:
            made = await self._embedder.embed(request)
            usage = made.usage
        finally:
            _close(self._node, self._bills, request, usage)
        return made

    async def stats(self) -> EngineStats:
        """The embedder's."""
        return await self._embedder.stats()

    async def close(self) -> None:
        """Close the embedder."""
        await self._embedder.close()


def _open(node: Accounts, request: Request) -> None:
    """What nobody gets a receipt for is the service's own: it warms up a model."""
    node.open(request.id, "requests" if request.receipt_id else "load")


def _close(node: Accounts, bills: Bills, request: Request, usage: Usage) -> None:
    charge = node.close(request.id)
    if request.receipt_id:
        bills.add(request.receipt_id, charge, usage)
