"""A model as a task sees it: text in, text or scores out, and what that took, added up."""

import itertools
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Protocol

from canteen.core.engine import fold
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

DEFAULT_EMBEDDER = "all-minilm"
# The likeliest text, the same each time.
GREEDY = SamplingParams(temperature=0.0)


class Models(Protocol):
    """What answers requests by the name of their model."""

    def generate(self, request: GenerationRequest) -> AsyncGenerator[Chunk]: ...

    async def score(self, request: ScoreRequest) -> Scores: ...

    async def embed(self, request: EmbeddingRequest) -> Embeddings: ...

    async def context_length(self, model: str) -> int: ...


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

    async def context_length(self) -> int:
        """Tokens that prompt and completion may have together."""
        return await self.models.context_length(self.name)

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
        async with aclosing(self._told(request, is_answer=is_answer)) as chunks:
            completion = await fold(chunks)
        self._add(completion.usage)
        return completion

    async def score(self, prompts: Sequence[ScorePrompt]) -> tuple[tuple[float, ...], ...]:
        """Natural-log probabilities of each prompt's continuations."""
        request = ScoreRequest(
            id=self._next_id(),
            model=self.name,
            prompts=tuple(prompts),
            caller_id=self.caller_id,
            prompt_version=self.prompt_version,
        )
        scores = await self.models.score(request)
        self._add(scores.usage)
        return scores.logprobs

    async def embed(
        self, texts: Sequence[str], *, truncate: bool = True
    ) -> tuple[tuple[float, ...], ...]:
        """Unit vectors, shape (texts, dimensions); what a text has over the context is left out."""
        request = EmbeddingRequest(
            id=self._next_id(),
            model=self.embedder,
            inputs=tuple(texts),
            truncate=truncate,
            caller_id=self.caller_id,
            prompt_version=self.prompt_version,
        )
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
