"""From a Responses request to ours; pure."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace

from canteen.api.openai.responses.schema import (
    InputItem,
    ResponseRequest,
    ResponseTool,
    ResponseToolName,
    TextFormat,
)
from canteen.api.openai.translate import ROLES, text
from canteen.api.sampling import sampling
from canteen.core.errors import InvalidRequest
from canteen.core.generation import (
    GenerationRequest,
    Grammar,
    Message,
    Tool,
    ToolCall,
    ToolChoice,
)

LOGPROBS = "message.output_text.logprobs"


def generation(body: ResponseRequest, request_id: str, caller_id: str) -> GenerationRequest:
    """The request; raises InvalidRequest for what needs a state this service does not keep."""
    _refuse_state(body)
    wants_logprobs = LOGPROBS in body.include
    if body.top_logprobs and not wants_logprobs:
        raise InvalidRequest(f"top_logprobs needs '{LOGPROBS}' in include", param="top_logprobs")
    return GenerationRequest(
        id=request_id,
        model=body.model,
        messages=tuple(_messages(body)),
        sampling=sampling(body, body.max_output_tokens),
        grammar=_grammar(body.text.format),
        tools=tuple(_tool(tool, f"tools[{i}]") for i, tool in enumerate(body.tools)),
        tool_choice=_tool_choice(body),
        parallel_tool_calls=body.parallel_tool_calls,
        logprobs=wants_logprobs,
        top_logprobs=body.top_logprobs,
        truncate=body.truncate or body.truncation == "auto",
        is_streamed=body.stream,
        caller_id=caller_id,
    )


def _refuse_state(body: ResponseRequest) -> None:
    if body.previous_response_id is not None:
        raise InvalidRequest(
            "responses are not stored here, so previous_response_id names nothing; send the "
            "whole conversation as input",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    for param in ("conversation", "prompt"):
        if getattr(body, param) is not None:
            raise InvalidRequest(
                f"{param} is not stored here; send the whole conversation as input", param=param
            )


def _messages(body: ResponseRequest) -> Iterator[Message]:
    if body.instructions:
        yield Message("system", body.instructions)
    yield from _joined(_of_item(item, f"input[{i}]") for i, item in enumerate(body.input))


def _of_item(item: InputItem, path: str) -> Message | None:
    if item.type == "message":
        return Message(ROLES[item.role], text(item.content, f"{path}.content"))
    if item.type == "function_call":
        call = ToolCall(item.call_id, item.name, item.arguments)
        return Message("assistant", "", tool_calls=(call,))
    if item.type == "function_call_output":
        output = text(item.output, f"{path}.output")
        return Message("tool", output, tool_call_id=item.call_id)
    if item.type == "reasoning":
        return None
    raise InvalidRequest(
        f"{path}: an item of type '{item.type}' is not supported; give message, function_call or "
        "function_call_output",
        param=f"{path}.type",
    )


def _joined(messages: Iterable[Message | None]) -> Iterator[Message]:
    """Calls belong to the assistant's turn before them, as chat templates expect."""
    last: Message | None = None
    for message in messages:
        if message is None:
            continue
        if message.tool_calls and last is not None and last.role == "assistant":
            last = replace(last, tool_calls=last.tool_calls + message.tool_calls)
            continue
        if last is not None:
            yield last
        last = message
    if last is not None:
        yield last


def _grammar(wanted: TextFormat) -> Grammar | None:
    if wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return Grammar("json_object")
    if wanted.definition is None:
        raise InvalidRequest(
            "text.format of type json_schema needs the key schema", param="text.format.schema"
        )
    return Grammar("json_schema", json.dumps(wanted.definition))


def _tool(tool: ResponseTool, path: str) -> Tool:
    if tool.type != "function":
        raise InvalidRequest(
            f"{path}: a tool of type '{tool.type}' is not supported; only functions are",
            param=f"{path}.type",
        )
    if not tool.name:
        raise InvalidRequest(f"{path}.name must be given", param=f"{path}.name")
    return Tool(tool.name, tool.description, tool.parameters)


def _tool_choice(body: ResponseRequest) -> ToolChoice:
    if isinstance(body.tool_choice, ResponseToolName):
        return ToolChoice("named", body.tool_choice.name)
    return ToolChoice(body.tool_choice)
