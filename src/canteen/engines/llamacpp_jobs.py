"""What runs in a thread of its own beside llama.cpp's loop: a choice of a generation."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from canteen.core.engine import Delta, Work
from canteen.core.errors import CanteenError, EngineError
from canteen.core.generation import (
    Chunk,
    FinishReason,
    GenerationRequest,
    TokenLogprob,
    Usage,
)
from canteen.engines.llamacpp_grammar import GrammarTrial
from canteen.engines.llamacpp_server import Body, LlamaServer, error_of
from canteen.engines.writing import Writing


class Job(Protocol):
    """Work for one request, which takes `num_tokens` of the cache at most and holds `num_held` now;
    `is_cancelled` is set from outside."""

    request_id: str
    num_tokens: int
    is_cancelled: bool

    @property
    def num_held(self) -> int: ...

    def run(self, tell: "Tell") -> None:
        """Do it, telling what comes of it; raises CanteenError."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a job tells: what is for its caller, what was computed, or that it has ended."""

    job: Job
    delta: Delta | None = None
    work: Work | None = None
    is_end: bool = False


Tell = Callable[[Told], None]


class Choice:
    """One choice of a generation. Times are of the monotonic clock."""

    def __init__(
        self,
        request: GenerationRequest,
        index: int,
        body: Body,
        server: LlamaServer,
        trial: GrammarTrial,
    ) -> None:
        self.request_id = request.id
        self.num_prompt_tokens = len(body["prompt"])
        self.num_tokens = self.num_prompt_tokens + int(body["n_predict"])
        self.is_cancelled = False
        self.num_written = 0
        self.num_cached = 0
        self.started_s = 0.0
        self.first_s = 0.0
        self.last = Chunk(index=index)
        self._request = request
        self._body = body
        self._server = server
        self._trial = trial
        self._writing = Writing(request)
        self._num_read: int | None = None
        self._error: CanteenError | None = None

    @property
    def num_held(self) -> int:
        """Tokens of it that are in the cache."""
        return (self._num_read or 0) + self.num_written

    def run(self, tell: Tell) -> None:
        """See Job; `last` is the chunk that ends it."""
        if self._request.grammar is not None:
            self._trial.check(self._request.grammar)
        self.started_s = time.monotonic()
        self._server.stream(self._body, lambda told: self._hear(told, tell))
        if self._error is not None:
            raise self._error
        if not self._writing.finish_reason:
            if self.is_cancelled:
                return
            raise EngineError("llama.cpp ended this answer early; try again")
        self.last = replace(
            self._writing.chunk(self.last.index) or self.last,
            finish_reason=self._writing.finish_reason,
            stop_sequence=self._writing.stop_sequence,
        )

    def _hear(self, told: dict[str, Any], tell: Tell) -> bool:
        if self.is_cancelled:
            return True
        if "error" in told:
            self._error = error_of(told["error"])
            return True
        piece = told["choices"][0]
        work = self._read(told) or self._written(told, piece)
        if piece["finish_reason"]:
            self._writing.finish(_finish_reason(piece["finish_reason"]))
        is_over = self._writing.finish_reason is not None
        chunk = None if is_over else self._writing.chunk(self.last.index)
        if work or chunk:
            tell(Told(self, Delta(self.request_id, chunk) if chunk else None, work))
        return is_over

    def _read(self, told: dict[str, Any]) -> Work | None:
        """What was read of the prompt."""
        progress = told.get("prompt_progress")
        if progress is None:
            return None
        before, self._num_read = self._num_read, int(progress["processed"])
        if before is None:
            self.num_cached = before = int(progress["cache"])
        num_new = self._num_read - before
        return Work(self.request_id, num_new, 0, before) if num_new else None

    def _written(self, told: dict[str, Any], piece: dict[str, Any]) -> Work | None:
        """What was written; several tokens where a character took them."""
        num_new = int(told["timings"]["predicted_n"]) - self.num_written
        if num_new == 0:
            return None
        before = self.num_written
        self.num_written += num_new
        self.first_s = self.first_s or time.monotonic()
        self._writing.take(piece["text"], num_new, _logprob(piece))
        # The first token comes with the prompt.
        num_decoded = num_new if before else num_new - 1
        context = self.num_prompt_tokens + max(before - 1, 0)
        return Work(self.request_id, 0, num_decoded, context) if num_decoded else None


def usage(choices: Sequence[Choice], truncated_tokens: int) -> Usage:
    """What a request used whose choices have all ended."""
    first = choices[0]
    first_s = min(one.first_s or time.monotonic() for one in choices)
    return Usage(
        prompt_tokens=first.num_prompt_tokens,
        cached_tokens=min(first.num_cached, first.num_prompt_tokens - 1),
        completion_tokens=sum(one.num_written for one in choices),
        truncated_tokens=truncated_tokens,
        prefill_s=first_s - min(one.started_s for one in choices),
        decode_s=time.monotonic() - first_s,
    )


def _finish_reason(reason: str) -> FinishReason:
    return "length" if reason == "length" else "stop"


def _logprob(piece: dict[str, Any]) -> TokenLogprob | None:
    """Of a character that took several tokens, it is that of the last."""
    told = piece["logprobs"]
    if not told or not piece["text"]:
        return None
    (one,) = told["content"]
    return TokenLogprob(
        piece["text"],
        min(float(one["logprob"]), 0.0),
        piece["text"].encode(),
        tuple(_alternative(each) for each in one["top_logprobs"]),
    )


def _alternative(told: dict[str, Any]) -> TokenLogprob:
    return TokenLogprob(str(told["token"]), min(float(told["logprob"]), 0.0), bytes(told["bytes"]))
