"""From the dialect's requests to ours; pure, and the only place that knows their keys."""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from canteen.api.anthropic.schema import (
    Block,
    Conversation,
    CountTokensRequest,
    MessagesRequest,
    OutputFormat,
    ResultBlock,
    Tool,
    Turn,
)
from canteen.api.anthropic.schema import ToolChoice as WireToolChoice
from canteen.api.sampling import sampling
from canteen.core import generation as core
from canteen.core.errors import InvalidRequest

TOOL_CHOICES: dict[str, core.ToolChoice] = {
    "auto": core.ToolChoice("auto"),
    "any": core.ToolChoice("required"),
    "none": core.ToolChoice("none"),
}
# What a model has thought in earlier turns is not shown to it again.
THOUGHTS = ("thinking", "redacted_thinking")
NO_THINKING = ("disabled", "adaptive")


def message(body: MessagesRequest, request_id: str, caller_id: str) -> core.GenerationRequest:
    """The next turn; raises InvalidRequest for what no engine of ours does."""
    return replace(
        _conversation(body, request_id, caller_id),
        sampling=sampling(body, body.max_tokens),
        is_streamed=body.stream,
    )


def counting(body: CountTokensRequest, request_id: str, caller_id: str) -> core.GenerationRequest:
    """A request that is to be counted only."""
    return replace(_conversation(body, request_id, caller_id), counts_only=True, is_streamed=False)


def fitting(request: core.GenerationRequest, can: Collection[str]) -> core.GenerationRequest:
    """The request, if its model can do it; raises InvalidRequest."""
    if request.tools and request.tool_choice.mode == "auto" and "tools" not in can:
        raise InvalidRequest(
            f"'{request.model}' does not call tools of its own accord (its chat template has "
            "none); tool_choice of type 'any' or 'tool' works with any model",
            param="tool_choice",
        )
    return request


def _conversation(body: Conversation, request_id: str, caller_id: str) -> core.GenerationRequest:
    if body.thinking is not None and body.thinking.type not in NO_THINKING:
        raise InvalidRequest(
            f"thinking of type '{body.thinking.type}' is not supported; leave thinking out",
            param="thinking",
        )
    if body.messages[-1].role == "assistant":
        raise InvalidRequest(
            "the last message is the assistant's, and beginning its answer is not supported; end "
            "with a message of the user",
            param="messages",
        )
    return core.GenerationRequest(
        id=request_id,
        model=body.model,
        messages=tuple(_joined(_messages(body))),
        grammar=_grammar(body.output_config.format),
        tools=tuple(_tool(tool, f"tools[{i}]") for i, tool in enumerate(body.tools)),
        tool_choice=_tool_choice(body.tool_choice),
        parallel_tool_calls=not body.tool_choice.disable_parallel_tool_use,
        truncate=body.truncate,
        caller_id=caller_id,
    )


def _messages(body: Conversation) -> Iterator[core.Message]:
    system = _text(body.system, "system")
    if system:
        yield core.Message("system", system)
    for i, turn in enumerate(body.messages):
        yield from _of_turn(turn, f"messages[{i}].content")


def _of_turn(turn: Turn, path: str) -> Iterator[core.Message]:
    """Results of tools stand in a turn of the user's; here each is a message of its own."""
    texts: list[ResultBlock] = []
    calls: list[core.ToolCall] = []
    for i, block in enumerate(turn.content):
        where = f"{path}[{i}]"
        if block.type == "tool_result" and turn.role == "user":
            yield _result(block, f"{where}.content")
        elif block.type == "tool_use" and turn.role == "assistant":
            calls.append(_call(block, where))
        elif block.type not in THOUGHTS:
            texts.append(ResultBlock(type=_readable(block.type, where), text=block.text))
    if texts or calls:
        yield core.Message(turn.role, _text(texts, path), tool_calls=tuple(calls))


def _result(block: Block, path: str) -> core.Message:
    text = _text(block.content, path)
    content = f"Error: {text}" if block.is_error else text
    return core.Message("tool", content, tool_call_id=block.tool_use_id)


def _call(block: Block, path: str) -> core.ToolCall:
    if not block.name:
        raise InvalidRequest(f"{path}.name must be given", param=f"{path}.name")
    return core.ToolCall(block.id, block.name, json.dumps(block.input))


def _text(blocks: Sequence[ResultBlock], path: str) -> str:
    for i, block in enumerate(blocks):
        _readable(block.type, f"{path}[{i}]")
    return "\n".join(block.text for block in blocks)


def _readable(kind: str, path: str) -> str:
    if kind != "text":
        raise InvalidRequest(
            f"{path}: a block of type '{kind}' is not supported here; this service reads text, "
            "tool_use of the assistant and tool_result of the user",
            param=f"{path}.type",
        )
    return kind


def _joined(messages: Iterable[core.Message]) -> Iterator[core.Message]:
    """Turns of one role after another are one turn; templates want roles to alternate."""
    last: core.Message | None = None
    for message in messages:
        if last is not None and last.role == message.role and message.role != "tool":
            last = replace(
                last,
                content="\n".join(filter(None, (last.content, message.content))),
                tool_calls=last.tool_calls + message.tool_calls,
            )
            continue
        if last is not None:
            yield last
        last = message
    if last is not None:
        yield last


def _grammar(wanted: OutputFormat | None) -> core.Grammar | None:
    return None if wanted is None else core.Grammar("json_schema", json.dumps(wanted.definition))


def _tool(tool: Tool, path: str) -> core.Tool:
    if tool.type != "custom":
        raise InvalidRequest(
            f"{path}: a tool of type '{tool.type}' is not supported; describe one of your own by "
            "its input_schema",
            param=f"{path}.type",
        )
    return core.Tool(tool.name, tool.description, tool.input_schema)


def _tool_choice(choice: WireToolChoice) -> core.ToolChoice:
    if choice.type == "tool":
        return core.ToolChoice("named", choice.name)
    return TOOL_CHOICES[choice.type]
