"""A mirror of a batching scheduler, where the engine does not tell what a step computed."""

from collections.abc import Iterable
from dataclasses import dataclass

from canteen.core.engine import Work


@dataclass(slots=True)
class Progress:
    """How far a sequence has come: how many tokens of it are in the cache, how many it has
    written, and how many of these in the last step."""

    request_id: str
    num_prompt_tokens: int
    num_cached: int
    num_written: int = 0
    num_new: int = 0

    def write(self, num_tokens: int) -> None:
        """The step gave tokens."""
        self.num_written += num_tokens
        self.num_new += num_tokens

    def work(self, num_tokens: int) -> Work:
        """Note what the step computed of it: so many tokens of the prompt, or those it wrote."""
        work = Work(self.request_id, num_tokens, 0 if num_tokens else self.num_new, self.num_cached)
        self.num_cached += num_tokens or self.num_new
        self.num_new = 0
        return work


def work_of_step(sequences: Iterable[Progress], max_batched_tokens: int) -> list[Work]:
    """What a step computed, told by who wrote in it. The sequences are in order of arrival.

    The scheduler takes a token of each that is writing, then prompts in order of arrival until
    the step is full. Who wrote for the first time has all its prompt read; of the other prompts
    the first ones got what was left. The first token comes with the prompt and counts no work
    of its own. A sequence that the scheduler drops and computes again is not seen.
    """
    works: list[Work] = []
    reading: list[Progress] = []
    for sequence in sequences:
        if not sequence.num_written:
            reading.append(sequence)
        elif sequence.num_new == sequence.num_written:
            works.append(sequence.work(sequence.num_prompt_tokens - sequence.num_cached))
        elif sequence.num_new:
            works.append(sequence.work(0))
    room = max_batched_tokens - sum(work.prefill_tokens + work.decode_tokens for work in works)
    for sequence in reading:
        # One token at least is left, since it did not write.
        left = sequence.num_prompt_tokens - sequence.num_cached - 1
        num_tokens = min(room, left)
        if num_tokens > 0:
            works.append(sequence.work(num_tokens))
            room -= num_tokens
    return works
