"""From our words to a response and to the events of a streamed one; pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from canteen.api.openai.render import Json, token_logprobs
from canteen.api.openai.responses.schema import ResponseRequest, ResponseToolName
from canteen.core.generation import Choice, Chunk, FinishReason, TokenLogprob, ToolCall, Usage


def response(
    body: ResponseRequest, response_id: str, created_at: int, choice: Choice, usage: Usage
) -> Json:
    """A whole response."""
    output = []
    if choice.text or not choice.tool_calls:
        part = _part(choice.text, choice.logprobs)
        output.append(_message(_item_id("msg", response_id, 0), _status(choice), [part]))
    for call in choice.tool_calls:
        output.append(_call(_item_id("fc", response_id, len(output)), call, "completed"))
    return _ended(begun(body, response_id, created_at), choice.finish_reason, output, usage)


@dataclass(slots=True)
class Events:
    """The events of a streamed response; each is (its name, its data)."""

    body: ResponseRequest
    response_id: str
    created_at: int
    _sequence_number: int = 0
    _text: str = ""
    _logprobs: list[TokenLogprob] = field(default_factory=list)
    _output: list[Json] = field(default_factory=list)
    _is_begun: bool = False
    _is_writing: bool = False

    def of(self, chunk: Chunk) -> Iterator[Json]:
        """The events of a chunk."""
        yield from self._begin()
        if chunk.text or chunk.logprobs:
            yield from self._write(chunk)
        if chunk.tool_calls:
            yield from self._finish_message("completed")
        for call in chunk.tool_calls:
            yield from self._called(call)

    def end(self, finish_reason: FinishReason, usage: Usage, more: Json) -> Iterator[Json]:
        """The events after the last chunk; the whole response in the last one has `more` keys."""
        yield from self._begin()
        if not self._output:
            yield from self._open_message()
        status = "incomplete" if finish_reason == "length" else "completed"
        yield from self._finish_message(status)
        shell = begun(self.body, self.response_id, self.created_at)
        whole = _ended(shell, finish_reason, self._output, usage) | more
        yield self._event(f"response.{whole['status']}", response=whole)

    def _begin(self) -> Iterator[Json]:
        if self._is_begun:
            return
        self._is_begun = True
        shell = begun(self.body, self.response_id, self.created_at)
        yield self._event("response.created", response=shell)
        yield self._event("response.in_progress", response=shell)

    def _write(self, chunk: Chunk) -> Iterator[Json]:
        yield from self._open_message()
        self._text += chunk.text
        self._logprobs += chunk.logprobs
        yield self._of_part(
            "response.output_text.delta",
            delta=chunk.text,
            logprobs=token_logprobs(chunk.logprobs),
        )

    def _open_message(self) -> Iterator[Json]:
        if self._is_writing:
            return
        self._is_writing = True
        item = _message(self._message_id, "in_progress", [])
        yield self._event("response.output_item.added", output_index=len(self._output), item=item)
        yield self._of_part("response.content_part.added", part=_part("", ()))

    def _finish_message(self, status: str) -> Iterator[Json]:
        if not self._is_writing:
            return
        part = _part(self._text, tuple(self._logprobs))
        yield self._of_part("response.output_text.done", text=self._text, logprobs=part["logprobs"])
        yield self._of_part("response.content_part.done", part=part)
        item = _message(self._message_id, status, [part])
        yield self._item_done(item)
        self._is_writing = False
        self._text, self._logprobs = "", []

    def _called(self, call: ToolCall) -> Iterator[Json]:
        index = len(self._output)
        item_id = _item_id("fc", self.response_id, index)
        opening = {**_call(item_id, call, "in_progress"), "arguments": ""}
        at: Json = {"item_id": item_id, "output_index": index}
        yield self._event("response.output_item.added", output_index=index, item=opening)
        yield self._event("response.function_call_arguments.delta", **at, delta=call.arguments)
        yield self._event(
            "response.function_call_arguments.done",
            **at,
            name=call.name,
            arguments=call.arguments,
        )
        yield self._item_done(_call(item_id, call, "completed"))

    def _item_done(self, item: Json) -> Json:
        index = len(self._output)
        self._output.append(item)
        return self._event("response.output_item.done", output_index=index, item=item)

    @property
    def _message_id(self) -> str:
        return _item_id("msg", self.response_id, len(self._output))

    def _of_part(self, kind: str, **data: Any) -> Json:
        at: Json = {"item_id": self._message_id, "output_index": len(self._output)}
        return self._event(kind, **at, content_index=0, **data)

    def _event(self, kind: str, **data: Any) -> Json:
        event = {"type": kind, "sequence_number": self._sequence_number, **data}
        self._sequence_number += 1
        return event


def begun(body: ResponseRequest, response_id: str, created_at: int) -> Json:
    """A response that has just begun."""
    choice = body.tool_choice
    return {
        "id": response_id,
        "object": "response",
        "created_at": created_at,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "metadata": body.metadata,
        "model": body.model,
        "output": [],
        "parallel_tool_calls": body.parallel_tool_calls,
        "previous_response_id": None,
        "store": False,
        "temperature": 1.0 if body.temperature is None else body.temperature,
        "text": {
            "format": body.text.format.model_dump(by_alias=True, exclude_unset=True)
            or {"type": "text"}
        },
        "tool_choice": choice.model_dump() if isinstance(choice, ResponseToolName) else choice,
        "tools": [tool.model_dump() for tool in body.tools],
        "top_p": 1.0 if body.top_p is None else body.top_p,
        "truncation": body.truncation,
        "usage": None,
    }


def _ended(shell: Json, finish_reason: FinishReason, output: list[Json], usage: Usage) -> Json:
    is_cut = finish_reason == "length"
    return shell | {
        "status": "incomplete" if is_cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
        "output": output,
        "usage": _usage(usage),
    }


def _usage(usage: Usage) -> Json:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


def _status(choice: Choice) -> str:
    return "incomplete" if choice.finish_reason == "length" else "completed"


def _item_id(prefix: str, response_id: str, index: int) -> str:
    return f"{prefix}_{response_id.removeprefix('resp_')}_{index}"


def _part(text: str, logprobs: tuple[TokenLogprob, ...]) -> Json:
    return {
        "type": "output_text",
        "text": text,
        "annotations": [],
        "logprobs": token_logprobs(logprobs),
    }


def _message(item_id: str, status: str, content: list[Json]) -> Json:
    return {
        "type": "message",
        "id": item_id,
        "status": status,
        "role": "assistant",
        "content": content,
    }


def _call(item_id: str, call: ToolCall, status: str) -> Json:
    return {
        "type": "function_call",
        "id": item_id,
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments,
        "status": status,
    }
