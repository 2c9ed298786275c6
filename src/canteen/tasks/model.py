"""A model as a task sees it: text in, text or scores out, and what that took, added up."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from canteen.core.classifier import Classifier
from canteen.core.engine import fold
from canteen.core.errors import InvalidRequest
from canteen.core.generation import (
    Chunk,
    Completion,
    EmbeddingRequest,
    Embeddings,
    GenerationRequest,
    Grammar,
    Message,
    SamplingParams,
    ScorePrompt,
    ScoreRequest,
    Scores,
    Usage,
)
from canteen.core.model import full_name

T = TypeVar("T")

# However tasks nest what they ask, no more of it is with the models: the queue is everybody's.
MOST_AT_ONCE = 32
# The likeliest text, the same each time.
GREEDY = SamplingParams(temperature=0.0)


class Models(Protocol):
    """What answers requests by the name of their model."""

    def generate(self, request: GenerationRequest) -> AsyncGenerator[Chunk]: ...

    async def score(self, request: ScoreRequest) -> Scores: ...

    async def embed(self, request: EmbeddingRequest) -> Embeddings: ...

    async def context_length(self, model: str) -> int: ...

    def digest(self, model: str) -> str: ...

    def classifier(self, name: str) -> Classifier: ...


@dataclass(slots=True)
class _Making:
    """What is being made for several, and how many wait for it."""

    future: "asyncio.Future[Any]"
    num_waiting: int = 0


@dataclass(slots=True)
class Model:
    """The models that a task works with: `name` writes and scores, `embedder` embeds.

    `id` is that of the whole request, whose parts get ids of their own. `on_text` hears the
    pieces of the text that is the answer, where a task writes one. `usage` is of all parts.
    """

    models: Models
    name: str
    embedder: str
    id: str
    caller_id: str = ""
    prompt_version: str = ""
    on_text: Callable[[str], object] = lambda piece: None
    usage: Usage = field(default_factory=Usage)
    _ids: "itertools.count[int]" = field(default_factory=itertools.count)
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_AT_ONCE))
    _made: dict[Hashable, "_Making"] = field(default_factory=dict)

    async def context_length(self) -> int:
        """Tokens that prompt and completion may have together."""
        return await self.models.context_length(self.name)

    def classifier(self, name: str) -> Classifier:
        """A classifier that was fitted to these models; raises InvalidRequest for others."""
        found = self.models.classifier(name)
        mine = self.embedder if found.method == "head" else self.name
        if full_name(mine) != full_name(found.model):
            raise InvalidRequest(
                f"classifier '{name}' was fitted to '{found.model}'; ask that model, not '{mine}'",
                param="classifier",
            )
        if self.models.digest(mine) != found.digest:
            raise InvalidRequest(
                f"model '{mine}' has changed since classifier '{name}' was fitted; fit it again",
                param="classifier",
            )
        return found

    async def write(
        self,
        messages: Sequence[Message],
        sampling: SamplingParams = GREEDY,
        grammar: Grammar | None = None,
        *,
        is_answer: bool = False,
    ) -> Completion:
        """A completion; the pieces of one that `is_answer` are told as they come."""
        request = GenerationRequest(
            id=self._next_id(),
            model=self.name,
            messages=tuple(messages),
            sampling=sampling,
            grammar=grammar,
            is_streamed=False,
            caller_id=self.caller_id,
            prompt_version=self.prompt_version,
        )
        told = self._told(request, is_answer=is_answer)
        async with self._places, aclosing(told) as chunks:
            completion = await fold(chunks)
        self._add(completion.usage)
        return completion

    async def once(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """What `make` gives, made once for all inputs that this model works on. Where it fails, the
        next one tries again; when nobody waits for it any more, it is given up."""
        making = self._made.get(key)
        if making is None:
            making = self._made[key] = _Making(asyncio.ensure_future(make()))
        making.num_waiting += 1
        is_made = False
        try:
            made: T = await asyncio.shield(making.future)
            is_made = True
            return made
        finally:
            making.num_waiting -= 1
            is_over = making.future.done() or not making.num_waiting
            if not is_made and is_over and self._made.get(key) is making:
                making.future.cancel()
                del self._made[key]

    async def score(self, prompts: Sequence[ScorePrompt]) -> tuple[tuple[float, ...], ...]:
        """Natural-log probabilities of each prompt's continuations."""
        request = ScoreRequest(
            id=self._next_id(),
            model=self.name,
            prompts=tuple(prompts),
            caller_id=self.caller_id,
            prompt_version=self.prompt_version,
        )
        async with self._places:
            scores = await self.models.score(request)
        self._add(scores.usage)
        return scores.logprobs

    async def embed(
        self, texts: Sequence[str], *, truncate: bool = True, query: str | None = None
    ) -> tuple[tuple[float, ...], ...]:
        """Unit vectors, shape (texts, dimensions), or with a query logits of how well each text
        answers it, shape (texts, 1); what a text has over the context is left out."""
        request = EmbeddingRequest(
            id=self._next_id(),
            model=self.embedder,
            inputs=tuple(texts),
            truncate=truncate,
            query=query,
            caller_id=self.caller_id,
            prompt_version=self.prompt_version,
        )
        async with self._places:
            made = await self.models.embed(request)
        self._add(made.usage)
        return made.vectors

    async def _told(self, request: GenerationRequest, *, is_answer: bool) -> AsyncGenerator[Chunk]:
        async with aclosing(self.models.generate(request)) as chunks:
            async for chunk in chunks:
                if is_answer and chunk.text:
                    self.on_text(chunk.text)
                yield chunk

    def _next_id(self) -> str:
        return f"{self.id}-{next(self._ids)}"

    def _add(self, usage: Usage) -> None:
        self.usage = self.usage + usage
