"""From our words to the dialect's answers; pure: ids are arguments."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from canteen.core.errors import CanteenError, InvalidRequest
from canteen.core.generation import Choice, Chunk, FinishReason, ToolCall, Usage

Json = dict[str, Any]
STOP_REASONS: dict[FinishReason, str] = {"length": "max_tokens", "tool_calls": "tool_use"}
ERROR_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}


def error_body(error: CanteenError, status: int) -> Json:
    """An error; clients look at its type and message, the rest is ours."""
    usual = "api_error" if status >= 500 else "invalid_request_error"
    detail = {"type": ERROR_TYPES.get(status, usual), "message": error.message}
    param = error.param if isinstance(error, InvalidRequest) else None
    return {"type": "error", "error": detail, "code": error.code, "param": param}


def message(choice: Choice, message_id: str, model: str, usage: Usage) -> Json:
    """A whole answer."""
    content: list[Json] = [{"type": "text", "text": choice.text}] if choice.text else []
    content += [_tool_use(call, _input(call)) for call in choice.tool_calls]
    return {
        **_shell(message_id, model),
        "content": content,
        **_ending(choice.finish_reason, choice.stop_sequence),
        "usage": usage_body(usage),
    }


def usage_body(usage: Usage) -> Json:
    """Tokens read and written; those from the cache are counted apart."""
    return {
        "input_tokens": usage.prompt_tokens - usage.cached_tokens,
        "output_tokens": usage.completion_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "cache_creation_input_tokens": 0,
    }


@dataclass(slots=True)
class Events:
    """The events of a streamed answer; each is its data, whose `type` is its name too."""

    message_id: str
    model: str
    _num_blocks: int = 0
    _is_begun: bool = False
    _is_writing: bool = False
    _ending: Json = field(default_factory=lambda: _ending("stop", ""))

    def of(self, chunk: Chunk) -> Iterator[Json]:
        """The events of a chunk."""
        yield from self._begin()
        if chunk.text:
            yield from self._write(chunk.text)
        for call in chunk.tool_calls:
            yield from self._called(call)
        if chunk.finish_reason is not None:
            self._ending = _ending(chunk.finish_reason, chunk.stop_sequence)

    def end(self, usage: Usage, more: Json) -> Iterator[Json]:
        """The events after the last chunk; that of the usage has `more` keys."""
        yield from self._begin()
        yield from self._finish_text()
        yield {
            "type": "message_delta",
            "delta": self._ending,
            "usage": usage_body(usage),
            **more,
        }
        yield {"type": "message_stop"}

    def _begin(self) -> Iterator[Json]:
        """What was read is known only at the end, and told there."""
        if not self._is_begun:
            self._is_begun = True
            nothing = {"stop_reason": None, "stop_sequence": None, "usage": usage_body(Usage())}
            shell = _shell(self.message_id, self.model) | {"content": []} | nothing
            yield {"type": "message_start", "message": shell}

    def _write(self, text: str) -> Iterator[Json]:
        if not self._is_writing:
            self._is_writing = True
            yield self._start({"type": "text", "text": ""})
        yield self._delta({"type": "text_delta", "text": text})

    def _called(self, call: ToolCall) -> Iterator[Json]:
        yield from self._finish_text()
        yield self._start(_tool_use(call, {}))
        yield self._delta({"type": "input_json_delta", "partial_json": json.dumps(_input(call))})
        yield self._stop()

    def _finish_text(self) -> Iterator[Json]:
        if self._is_writing:
            self._is_writing = False
            yield self._stop()

    def _start(self, block: Json) -> Json:
        return {"type": "content_block_start", "index": self._num_blocks, "content_block": block}

    def _delta(self, delta: Json) -> Json:
        return {"type": "content_block_delta", "index": self._num_blocks, "delta": delta}

    def _stop(self) -> Json:
        self._num_blocks += 1
        return {"type": "content_block_stop", "index": self._num_blocks - 1}


def _shell(message_id: str, model: str) -> Json:
    return {"id": message_id, "type": "message", "role": "assistant", "model": model}


def _tool_use(call: ToolCall, arguments: Json) -> Json:
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": arguments}


def _input(call: ToolCall) -> Json:
    """Clients take an object and nothing else, whatever the model wrote."""
    arguments = json.loads(call.arguments)
    return arguments if isinstance(arguments, dict) else {"arguments": arguments}


def _ending(reason: FinishReason, stop_sequence: str) -> Json:
    usual = "stop_sequence" if stop_sequence else "end_turn"
    return {
        "stop_reason": STOP_REASONS.get(reason, usual),
        "stop_sequence": stop_sequence or None,
    }
