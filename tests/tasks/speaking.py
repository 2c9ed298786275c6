"""Models for tests of tasks: one that says what a function makes of what it is asked."""

from collections.abc import AsyncGenerator, Callable, Sequence
from itertools import pairwise

from canteen.core.classifier import Classifier
from canteen.core.errors import ContextTooLong, ModelNotFound
from canteen.core.generation import (
    Chunk,
    EmbeddingRequest,
    Embeddings,
    GenerationRequest,
    Message,
    ScoreRequest,
    Scores,
    Usage,
)
from canteen.engines.echo import EchoEmbedder
from canteen.tasks.model import Model

Say = Callable[[Sequence[Message]], str]
PIECE = 7


def echoed(messages: Sequence[Message]) -> str:
    """What was said last."""
    return messages[-1].content


class Speaking:
    """Answers in small pieces, of at most `max_tokens` words; keeps what it was asked."""

    def __init__(
        self,
        say: Say = echoed,
        likely: Callable[[str], float] = lambda text: 0.0,
        *,
        context: int = 8192,
        can_embed: bool = True,
    ) -> None:
        self.asked: list[GenerationRequest] = []
        self._say = say
        self._likely = likely
        self._context = context
        self._can_embed = can_embed

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Chunk]:
        self.asked.append(request)
        read = sum(len(one.content.split()) for one in request.messages)
        if read >= self._context:
            raise ContextTooLong(read, self._context)
        words = self._say(request.messages).split(" ")
        limit = request.sampling.max_tokens or len(words)
        text = " ".join(words[:limit])
        cuts = [*range(0, len(text), PIECE), len(text)]
        for start, end in pairwise(cuts):
            yield Chunk(text[start:end], num_tokens=1)
        usage = Usage(prompt_tokens=read, completion_tokens=min(limit, len(words)))
        yield Chunk(finish_reason="stop" if len(words) <= limit else "length", usage=usage)

    async def score(self, request: ScoreRequest) -> Scores:
        logprobs = tuple(
            tuple(self._likely(text) for text in prompt.continuations) for prompt in request.prompts
        )
        return Scores(logprobs, Usage(prompt_tokens=1))

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        if not self._can_embed:
            raise ModelNotFound(request.model)
        return EchoEmbedder().embed(request)

    async def context_length(self, model: str) -> int:
        return self._context

    def digest(self, model: str) -> str:
        return "sha256:speaking"

    def classifier(self, name: str) -> Classifier:
        raise ModelNotFound(name)


def model_of(models: Speaking, heard: list[str] | None = None) -> Model:
    """What a task works with; the pieces of its answer are put into `heard`."""
    pieces = [] if heard is None else heard
    return Model(models, "speaking", "all-minilm", "test", on_text=pieces.append)
