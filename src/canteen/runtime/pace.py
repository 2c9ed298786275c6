"""How fast a model works, as measured on its last requests: what the next one will take."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from canteen.core.generation import (
    EmbeddingRequest,
    GenerationRequest,
    Message,
    Request,
    ScoreRequest,
)

# Of every ten thousand requests the last twenty or so count.
KEPT = 0.95
# English in the usual vocabularies, until the model's own is known.
TOKENS_PER_CHARACTER = 0.25


@dataclass(slots=True)
class Ratio:
    """A moving average of so much of one thing per unit of another: two decaying sums, so that
    a long request weighs more than a short one."""

    amount: float = 0.0
    units: float = 0.0

    def see(self, amount: float, units: float) -> None:
        """Take another pair into the average."""
        self.amount = KEPT * self.amount + amount
        self.units = KEPT * self.units + units

    def __call__(self, default: float = 0.0) -> float:
        """The average, or the default before anything was seen."""
        return self.amount / self.units if self.units else default


@dataclass(frozen=True, slots=True)
class Work:
    """What a request is expected to be: tokens of the prompt, tokens of each answer, and the
    number of answers (sequences) side by side."""

    prompt_tokens: float
    completion_tokens: float = 0.0
    num_seqs: int = 1

    @property
    def num_tokens(self) -> float:
        """All of them."""
        return self.prompt_tokens + self.completion_tokens * self.num_seqs


@dataclass(slots=True)
class Pace:
    """Moving averages over requests: they carry the load under which they were taken."""

    prefill_s_per_token: Ratio = field(default_factory=Ratio)
    decode_s_per_token: Ratio = field(default_factory=Ratio)
    tokens_per_answer: Ratio = field(default_factory=Ratio)
    tokens_per_character: Ratio = field(default_factory=Ratio)

    def expected(self, request: Request) -> Work:
        """The work in a request, from its length and from what answers were like lately.

        Characters are counted and not tokens: to look at a request must cost next to nothing.
        """
        prompt_tokens = self._prompt_tokens(request)
        if not isinstance(request, GenerationRequest):
            return Work(prompt_tokens)
        limit = request.sampling.max_tokens
        usual = self.tokens_per_answer(float(limit or 0))
        completion = usual if limit is None else min(usual, float(limit))
        return Work(prompt_tokens, completion, request.n)

    def service_s(self, work: Work) -> float:
        """Seconds from leaving the queue to the end; 0 while nothing is known."""
        gaps = max(work.completion_tokens - 1, 0.0)
        return work.prompt_tokens * self.prefill_s_per_token() + gaps * self.decode_s_per_token()

    def _prompt_tokens(self, request: Request) -> float:
        per_character = self.tokens_per_character(TOKENS_PER_CHARACTER)
        return num_characters(request) * per_character + _num_ids(request)


def num_characters(request: Request) -> int:
    """Characters that have to be made into tokens."""
    if isinstance(request, EmbeddingRequest):
        return sum(len(text) for text in request.inputs if isinstance(text, str))
    if isinstance(request, ScoreRequest):
        return sum(_said(prompt.messages) for prompt in request.prompts)
    tools = sum(len(tool.description) + len(str(tool.parameters)) for tool in request.tools)
    return len(request.prompt or "") + _said(request.messages) + tools


def _said(messages: Iterable[Message]) -> int:
    return sum(len(message.content) for message in messages)


def _num_ids(request: Request) -> int:
    """Tokens that came as such."""
    if isinstance(request, EmbeddingRequest):
        return sum(len(ids) for ids in request.inputs if not isinstance(ids, str))
    if isinstance(request, ScoreRequest):
        return 0
    return len(request.prompt_tokens or ())
