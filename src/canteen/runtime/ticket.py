"""One request at the gate: what it is expected to take, and what became of it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from canteen.core.generation import Chunk, Priority, Request, Usage
from canteen.runtime.pace import Pace, Work, num_characters

# A token that is written takes a step of its own; those of a prompt are read many at a time.
COST_PER_COMPLETION_TOKEN = 2.0
# A batch caller is given one token for so many that go to an interactive one.
BATCH_COST = 8.0


@dataclass(slots=True, eq=False)
class Ticket:
    """Times are of `clock`. `turn` is set once it has to wait, `admitted_s` once it runs;
    `is_waiting` while it is in the queue."""

    request_id: str
    caller_id: str
    priority: Priority
    deadline_s: float | None
    is_retry: bool
    num_characters: int
    work: Work
    clock: Callable[[], float]
    arrived_s: float = field(init=False)
    turn: "asyncio.Future[None] | None" = None
    is_waiting: bool = False
    admitted_s: float | None = None
    first_s: float | None = None
    last_s: float = 0.0
    num_tokens: int = 0
    usage: Usage | None = None

    def __post_init__(self) -> None:
        self.arrived_s = self.clock()

    @property
    def cost(self) -> float:
        """What its caller is charged when it starts, in tokens of a prompt."""
        return self._cost(self.work.prompt_tokens, self.work.completion_tokens * self.num_seqs)

    @property
    def actual_cost(self) -> float:
        """What it was worth in the end; one that was cut short has read its prompt all the same."""
        prompt_tokens = self.usage.prompt_tokens if self.usage else self.work.prompt_tokens
        return self._cost(prompt_tokens, self.num_tokens)

    @property
    def num_seqs(self) -> int:
        """Sequences side by side."""
        return self.work.num_seqs

    def see(self, chunk: Chunk) -> None:
        """Note a chunk of the answer."""
        if chunk.num_tokens:
            self.num_tokens += chunk.num_tokens
            self.last_s = self.clock()
            if self.first_s is None:
                self.first_s = self.last_s
        self.usage = chunk.usage or self.usage

    def finish(self, usage: Usage) -> None:
        """Note an answer that comes whole, without tokens, as embeddings and scores do."""
        self.first_s = self.last_s = self.clock()
        self.usage = usage

    def remaining_s(self, pace: Pace) -> float:
        """Seconds it will still run, while it runs."""
        assert self.admitted_s is not None
        if self.first_s is None:
            return max(pace.service_s(self.work) - (self.clock() - self.admitted_s), 0.0)
        to_come = self.work.completion_tokens - self.num_tokens / self.num_seqs
        # Longer than expected already: at least a token is to come.
        return max(to_come, 1.0) * pace.decode_s_per_token()

    def teach(self, pace: Pace) -> None:
        """What there is to learn from it, at its end, whole or not."""
        if self.admitted_s is None or self.first_s is None:
            return
        prompt_tokens = self.usage.prompt_tokens if self.usage else self.work.prompt_tokens
        if prompt_tokens:
            pace.prefill_s_per_token.see(self.first_s - self.admitted_s, prompt_tokens)
        gaps = self.num_tokens / self.num_seqs - 1
        if gaps > 0:
            pace.decode_s_per_token.see(self.last_s - self.first_s, gaps)
        if self.usage is not None and self.num_tokens:
            pace.tokens_per_answer.see(self.num_tokens / self.num_seqs, 1)
        if self.usage is not None and self.num_characters:
            pace.tokens_per_character.see(prompt_tokens, self.num_characters)

    def _cost(self, prompt_tokens: float, completion_tokens: float) -> float:
        tokens = prompt_tokens + COST_PER_COMPLETION_TOKEN * completion_tokens
        return tokens * (BATCH_COST if self.priority == "batch" else 1.0)


def ticket_for(request: Request, pace: Pace, clock: Callable[[], float]) -> Ticket:
    """A ticket for a request that arrives now."""
    return Ticket(
        request_id=request.id,
        caller_id=request.caller_id,
        priority=request.priority,
        deadline_s=request.deadline_s,
        is_retry=request.is_retry,
        num_characters=num_characters(request),
        work=pace.expected(request),
        clock=clock,
    )
