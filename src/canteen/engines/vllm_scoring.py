"""Scores through vLLM: what continues a prompt is asked for token by token, as a tree."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any

from canteen.core.engine import Work
from canteen.core.generation import Scores, Usage
from canteen.engines.vllm_config import scoring_params

Tokens = tuple[int, ...]
Outputs = Callable[[Sequence[int], Any], AsyncGenerator[Any]]

# The library takes no more token ids to be scored at once.
MOST_SCORED = 128


class Scoring:
    """One request for scores. `outputs` asks the library, `note` hears what it computed."""

    def __init__(self, request_id: str, outputs: Outputs, note: Callable[[Work], object]) -> None:
        self._request_id = request_id
        self._outputs = outputs
        self._note = note
        self._cached_tokens = 0

    async def score(self, prompts: Sequence[tuple[Tokens, Sequence[Sequence[int]]]]) -> Scores:
        """The scores of the continuations of prompts."""
        began_s = time.monotonic()
        found = await asyncio.gather(*(self._scored(*prompt) for prompt in prompts))
        usage = Usage(
            prompt_tokens=sum(len(tokens) for tokens, _ in prompts),
            cached_tokens=self._cached_tokens,
            prefill_s=time.monotonic() - began_s,
        )
        return Scores(tuple(found), usage)

    async def _scored(self, prompt: Tokens, texts: Sequence[Sequence[int]]) -> tuple[float, ...]:
        """A question for each beginning that continuations share, the empty one first: with it the
        prompt comes into the cache."""
        following: dict[Tokens, set[int]] = {}
        for text in texts:
            for place, token in enumerate(text):
                following.setdefault(tuple(text[:place]), set()).add(token)
        first, cached = await self._next(prompt, following.pop(()))
        self._cached_tokens += cached
        rest = await asyncio.gather(
            *(self._next(prompt + start, token_ids) for start, token_ids in following.items())
        )
        known: dict[Tokens, dict[int, float]] = {(): first}
        for start, (found, _) in zip(following, rest, strict=True):
            known[start] = found
        return tuple(
            sum(known[tuple(text[:place])][token] for place, token in enumerate(text))
            for text in texts
        )

    async def _next(self, prompt: Tokens, token_ids: set[int]) -> tuple[dict[int, float], int]:
        """The log-probabilities of tokens to come next, and how much of the prompt was in the
        cache before."""
        wanted, cached = sorted(token_ids), len(prompt)
        found: dict[int, float] = {}
        for start in range(0, len(wanted), MOST_SCORED):
            params = scoring_params(wanted[start : start + MOST_SCORED])
            async with aclosing(self._outputs(prompt, params)) as outputs:
                async for output in outputs:
                    found |= {
                        token: one.logprob for token, one in output.outputs[0].logprobs[0].items()
                    }
                    num_cached = output.num_cached_tokens or 0
                    cached = min(cached, num_cached)
                    self._note(Work(self._request_id, len(prompt) - num_cached, 0, num_cached))
        return found, cached
