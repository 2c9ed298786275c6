"""Models with a gate before them: the engine and the embedder that the pool hands out."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from canteen.core.engine import Capabilities, Embedder, Engine, EngineStats
from canteen.core.generation import (
    Chunk,
    EmbeddingRequest,
    Embeddings,
    GenerationRequest,
    ScoreRequest,
    Scores,
)
from canteen.runtime.gate import Gate


class Limited:
    """An Engine behind a gate."""

    def __init__(self, engine: Engine, gate: Gate) -> None:
        self._engine = engine
        self.name = engine.name
        self.gate = gate

    @property
    def capabilities(self) -> Capabilities:
        """The engine's."""
        return self._engine.capabilities

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Chunk]:
        """Wait for a place, then generate; the usage tells how long it waited."""
        async with (
            self.gate.enter(request) as (ticket, queue_s),
            aclosing(self._engine.generate(request)) as chunks,
        ):
            async for chunk in chunks:
                ticket.see(chunk)
                if chunk.usage is not None:
                    chunk = replace(chunk, usage=replace(chunk.usage, queue_s=queue_s))
                yield chunk

    async def score(self, request: ScoreRequest) -> Scores:
        """Wait for a place, then score."""
        async with self.gate.enter(request) as (ticket, queue_s):
            scores = await self._engine.score(request)
            ticket.finish(scores.usage)
        return replace(scores, usage=replace(scores.usage, queue_s=queue_s))

    async def stats(self) -> EngineStats:
        """The engine's."""
        return await self._engine.stats()

    async def close(self) -> None:
        """Close the engine."""
        await self._engine.close()


class LimitedEmbedder:
    """An Embedder behind a gate."""

    def __init__(self, embedder: Embedder, gate: Gate) -> None:
        self._embedder = embedder
        self.name = embedder.name
        self.gate = gate

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        """Wait for the turn, then embed."""
        async with self.gate.enter(request) as (ticket, queue_s):
            embeddings = await self._embedder.embed(request)
            ticket.finish(embeddings.usage)
        return replace(embeddings, usage=replace(embeddings.usage, queue_s=queue_s))

    async def stats(self) -> EngineStats:
        """The embedder's."""
        return await self._embedder.stats()

    async def close(self) -> None:
        """Close the embedder."""
        await self._embedder.close()
