"""What an upstream streams, as chunks; pure. What makes no sense raises UpstreamFailed."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from canteen.core.errors import UpstreamFailed
from canteen.core.generation import (
    Chunk,
    FinishReason,
    GenerationRequest,
    TokenLogprob,
    ToolCall,
    Usage,
)
from canteen.engines.openai_errors import AGAIN

Event = Mapping[str, Any]
_REASONS: Mapping[str, FinishReason] = {
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}


@dataclass(slots=True)
class _Choice:
    """A choice under way."""

    calls: dict[int, ToolCall] = field(default_factory=dict)
    is_over: bool = False


class Answer:
    """The events of one answer, in order, then its end."""

    def __init__(
        self, request: GenerationRequest, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._is_chat = bool(request.messages)
        self._choices = [_Choice() for _ in range(request.n)]
        self._clock = clock
        self._began_s = clock()
        self._first_s = 0.0
        self._num_tokens = 0
        self._usage: Usage | None = None
        self._receipts: tuple[Event, ...] = ()
        self._last: Chunk | None = None

    def read(self, event: Event) -> Iterator[Chunk]:
        """The chunks of an event, which may be none. The one that ends the last choice is kept
        back for `end`, since it has the usage."""
        try:
            self._note_usage(event.get("usage"))
            self._receipts += receipts(event)
            for told in event.get("choices") or ():
                yield from self._read(told)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as exc:
            raise garbage() from exc

    def end(self) -> Chunk:
        """The last chunk; raises UpstreamFailed where the answer is not whole."""
        if self._last is None or not all(choice.is_over for choice in self._choices):
            raise cut()
        usage = self._usage or Usage(completion_tokens=self._num_tokens)
        uncounted = max(0, usage.completion_tokens - self._num_tokens)
        now_s = self._clock()
        first_s = self._first_s or now_s
        usage = replace(
            usage,
            prefill_s=first_s - self._began_s,
            decode_s=now_s - first_s,
            receipts=self._receipts,
        )
        return replace(self._last, num_tokens=uncounted, usage=usage)

    def _read(self, told: Event) -> Iterator[Chunk]:
        index = int(told.get("index", 0))
        choice = self._choices[index]
        said = told.get("delta") or {} if self._is_chat else {"content": told.get("text")}
        text = str(said.get("content") or "")
        logprobs = _logprobs(told.get("logprobs"), is_chat=self._is_chat)
        _gather(choice.calls, said.get("tool_calls") or ())
        if text or logprobs:
            self._first_s = self._first_s or self._clock()
            num_tokens = len(logprobs) or 1
            self._num_tokens += num_tokens
            yield Chunk(text, index, num_tokens, logprobs)
        reason = told.get("finish_reason")
        if reason and not choice.is_over:
            choice.is_over = True
            calls = tuple(choice.calls[position] for position in sorted(choice.calls))
            end = Chunk(
                index=index,
                tool_calls=calls,
                finish_reason="tool_calls" if calls else _REASONS.get(reason, "stop"),
            )
            if all(one.is_over for one in self._choices):
                self._last = end
            else:
                yield end

    def _note_usage(self, told: Event | None) -> None:
        if told:
            details = told.get("prompt_tokens_details") or {}
            self._usage = Usage(
                prompt_tokens=_count(told.get("prompt_tokens")),
                cached_tokens=_count(details.get("cached_tokens")),
                completion_tokens=_count(told.get("completion_tokens")),
            )


def receipts(answer: Event) -> tuple[Event, ...]:
    """The receipt that a Canteen puts into an answer, as it came."""
    told = answer.get("footprint")
    return (told,) if isinstance(told, Mapping) else ()


def garbage() -> UpstreamFailed:
    """What came is no answer of this dialect."""
    return UpstreamFailed(
        "the upstream's answer cannot be read; see whether its base URL is right",
        code="upstream_garbage",
    )


def cut() -> UpstreamFailed:
    """The answer ended before its end."""
    return UpstreamFailed(f"the upstream broke off its answer; {AGAIN}", code="upstream_cut")


def _gather(calls: dict[int, ToolCall], told: Any) -> None:
    for one in told:
        position, function = int(one.get("index", len(calls))), one.get("function") or {}
        known = calls.get(position, ToolCall("", "", ""))
        calls[position] = ToolCall(
            known.id or str(one.get("id") or ""),
            known.name or str(function.get("name") or ""),
            known.arguments + str(function.get("arguments") or ""),
        )


def _logprobs(told: Event | None, *, is_chat: bool) -> tuple[TokenLogprob, ...]:
    if not told:
        return ()
    if is_chat:
        return tuple(_logprob(one) for one in told.get("content") or ())
    tops = told.get("top_logprobs") or [None] * len(told["tokens"])
    return tuple(
        _of_text(token, logprob or 0.0, top)
        for token, logprob, top in zip(told["tokens"], told["token_logprobs"], tops, strict=True)
    )


def _logprob(told: Event) -> TokenLogprob:
    token, listed = str(told["token"]), told.get("bytes")
    raw = token.encode() if listed is None else bytes(listed)
    top = tuple(_logprob(one) for one in told.get("top_logprobs") or ())
    return TokenLogprob(token, float(told["logprob"]), raw, top)


def _of_text(token: str, logprob: float, top: Mapping[str, float] | None) -> TokenLogprob:
    others = tuple(TokenLogprob(one, odds, one.encode()) for one, odds in (top or {}).items())
    return TokenLogprob(token, float(logprob), token.encode(), others)


def _count(told: Any) -> int:
    return max(0, int(told or 0))
