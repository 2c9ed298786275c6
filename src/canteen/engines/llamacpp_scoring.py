"""Scores through llama.cpp: continuations are forced upon it, and it tells how likely each was."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from canteen.core.engine import Delta, Work
from canteen.core.generation import Scores, Usage
from canteen.engines.llamacpp_jobs import Tell, Told
from canteen.engines.llamacpp_requests import forced, next_tokens
from canteen.engines.llamacpp_server import Body, LlamaServer

# Some token of whole characters.
ANY_TEXT = "a"


@dataclass(frozen=True, slots=True)
class Continuation:
    """The tokens of a text, and whether each is of whole characters; llama.cpp does not tell of one
    that ends within a character."""

    tokens: Sequence[int]
    is_whole: bool


Prompt = tuple[Sequence[int], Sequence[Continuation]]


class Scoring:
    """The scores of a request, as a Job: for each prompt one continuation after another, so that
    the model finds the prompt in its cache."""

    def __init__(
        self, request_id: str, prompts: Sequence[Prompt], server: LlamaServer, vocab_size: int
    ) -> None:
        self.request_id = request_id
        self.num_tokens = max(
            len(prompt) + max(len(one.tokens) for one in continuations)
            for prompt, continuations in prompts
        )
        self.num_held = 0
        self.is_cancelled = False
        self._prompts = prompts
        self._server = server
        self._vocab_size = vocab_size
        self._num_cached: int | None = None

    def run(self, tell: Tell) -> None:
        """See Job."""
        began_s = time.monotonic()
        logprobs: list[tuple[float, ...]] = []
        num_cached = 0
        for prompt, continuations in self._prompts:
            self._num_cached = None
            logprobs.append(tuple(self._score(prompt, one, tell) for one in continuations))
            num_cached += min(self._num_cached or 0, len(prompt) - 1)
        usage = Usage(
            prompt_tokens=sum(len(prompt) for prompt, _ in self._prompts),
            cached_tokens=num_cached,
            prefill_s=time.monotonic() - began_s,
        )
        tell(Told(self, Delta(self.request_id, scores=Scores(tuple(logprobs), usage))))

    def _score(self, prompt: Sequence[int], continuation: Continuation, tell: Tell) -> float:
        if not continuation.is_whole:
            return sum(self._one_by_one(prompt, continuation.tokens, tell))
        tokens = self._ask(forced(prompt, continuation.tokens), tell)
        return sum(float(one["logprob"]) for one in tokens)

    def _one_by_one(
        self, prompt: Sequence[int], continuation: Sequence[int], tell: Tell
    ) -> Iterator[float]:
        """By the whole distribution after each token, which takes long."""
        any_token = self._server.encode(ANY_TEXT)[0]
        for place, token in enumerate(continuation):
            body = next_tokens([*prompt, *continuation[:place]], any_token, self._vocab_size)
            for told in self._ask(body, tell):
                found = (one for one in told["top_logprobs"] if one["id"] == token)
                yield from (float(one["logprob"]) for one in found)

    def _ask(self, body: Body, tell: Tell) -> list[dict[str, Any]]:
        """The tokens that were written; none once nobody waits."""
        if self.is_cancelled:
            return []
        told = self._server.complete(body)
        timings = told["timings"]
        num_cached = int(timings["cache_n"])
        num_new = int(timings["prompt_n"]) + int(timings["predicted_n"]) - 1
        tell(Told(self, work=Work(self.request_id, num_new, 0, num_cached)))
        if self._num_cached is None:
            self._num_cached = num_cached
        tokens: list[dict[str, Any]] = told["choices"][0]["logprobs"]["content"]
        return tokens
