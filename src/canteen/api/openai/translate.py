"""From the dialect's requests to ours; pure, and the only place that knows their keys."""

import json
from collections.abc import Sequence
from typing import Literal

from canteen.api.openai.schema import (
    MOST_INPUTS,
    MOST_PROMPTS,
    ChatRequest,
    CompletionRequest,
    EmbeddingsRequest,
    Message,
    NamedTool,
    ResponseFormat,
)
from canteen.api.openai.wire import Generating, Part
from canteen.api.sampling import sampling
from canteen.core import generation as core
from canteen.core.errors import InvalidRequest

Role = core.Role
ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
TEXT_PARTS = ("text", "input_text", "output_text", "refusal")


def chat(body: ChatRequest, request_id: str, caller_id: str) -> core.GenerationRequest:
    """A chat; raises InvalidRequest for what no engine of ours does."""
    _refuse_unknown(body)
    _refuse(body.functions, "functions", "is deprecated; use tools")
    _refuse(body.audio, "audio", "is not supported; this service answers in text")
    if body.top_logprobs and not body.logprobs:
        raise InvalidRequest("top_logprobs needs logprobs to be true", param="top_logprobs")
    return core.GenerationRequest(
        id=request_id,
        model=body.model,
        messages=tuple(_message(turn, f"messages[{i}]") for i, turn in enumerate(body.messages)),
        sampling=sampling(body, body.max_completion_tokens or body.max_tokens),
        grammar=_grammar(body.response_format),
        tools=tuple(
            core.Tool(tool.function.name, tool.function.description, tool.function.parameters)
            for tool in body.tools
        ),
        tool_choice=_tool_choice(body.tool_choice),
        parallel_tool_calls=body.parallel_tool_calls,
        n=body.n,
        logprobs=body.logprobs,
        top_logprobs=body.top_logprobs,
        truncate=body.truncate,
        is_streamed=body.stream,
        caller_id=caller_id,
        priority=_priority(body),
    )


def completions(
    body: CompletionRequest, request_id: str, caller_id: str
) -> tuple[core.GenerationRequest, ...]:
    """One request for each prompt."""
    _refuse_unknown(body)
    _refuse(body.echo, "echo", "is not supported; put the prompt before the answer yourself")
    _refuse(body.suffix, "suffix", "is not supported; no engine here fills in the middle")
    _refuse((body.best_of or body.n) != body.n, "best_of", "is not supported; ask for n instead")
    prompts = several(body.prompt, "prompt", MOST_PROMPTS)
    return tuple(
        core.GenerationRequest(
            id=request_id if len(prompts) == 1 else f"{request_id}-{i}",
            model=body.model,
            prompt=prompt if isinstance(prompt, str) else None,
            prompt_tokens=None if isinstance(prompt, str) else prompt,
            sampling=sampling(body, body.max_tokens),
            n=body.n,
            logprobs=body.logprobs is not None,
            top_logprobs=body.logprobs or 0,
            truncate=body.truncate,
            is_streamed=body.stream,
            caller_id=caller_id,
            priority=_priority(body),
        )
        for i, prompt in enumerate(prompts)
    )


def embeddings(body: EmbeddingsRequest, request_id: str, caller_id: str) -> core.EmbeddingRequest:
    """Texts or token ids to embed."""
    return core.EmbeddingRequest(
        id=request_id,
        model=body.model,
        inputs=several(body.input, "input", MOST_INPUTS),
        dimensions=body.dimensions,
        truncate=body.truncate,
        caller_id=caller_id,
    )


def _priority(body: Generating) -> core.Priority:
    """OpenAI's cheap tier is answered when there is time."""
    return "batch" if body.service_tier == "flex" else "interactive"


def several(
    value: str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]], param: str, most: int
) -> tuple[str | tuple[int, ...], ...]:
    """One text or list of token ids, or a list of either, as a tuple of them."""
    if isinstance(value, str):
        return (value,)
    if not value or any(isinstance(item, list) and not item for item in value):
        raise InvalidRequest(f"{param} must not be empty", param=param)
    tokens = tuple(item for item in value if isinstance(item, int))
    if tokens:
        return (tokens,)
    if len(value) > most:
        raise InvalidRequest(f"{param} may have at most {most} items", param=param)
    return tuple(
        item if isinstance(item, str) else tuple(item)
        for item in value
        if not isinstance(item, int)
    )


def text(content: Sequence[Part], path: str) -> str:
    """The text of a message; raises InvalidRequest, naming the part, where it is not text."""
    for i, part in enumerate(content):
        if part.type not in TEXT_PARTS:
            raise InvalidRequest(
                f"{path}[{i}]: a part of type '{part.type}' is not supported; this service reads "
                "text only",
                param=f"{path}[{i}].type",
            )
    return "\n".join(part.text or part.refusal or "" for part in content)


def _message(turn: Message, path: str) -> core.Message:
    return core.Message(
        role=ROLES[turn.role],
        content=text(turn.content, f"{path}.content"),
        name=turn.name,
        tool_calls=tuple(
            core.ToolCall(call.id, call.function.name, call.function.arguments)
            for call in turn.tool_calls
        ),
        tool_call_id=turn.tool_call_id,
    )


def _grammar(wanted: ResponseFormat | None) -> core.Grammar | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return core.Grammar("json_object")
    if wanted.json_schema is None:
        raise InvalidRequest(
            "response_format of type json_schema needs the key json_schema with a schema",
            param="response_format.json_schema",
        )
    return core.Grammar("json_schema", json.dumps(wanted.json_schema.definition))


def _tool_choice(choice: Literal["auto", "none", "required"] | NamedTool) -> core.ToolChoice:
    if isinstance(choice, NamedTool):
        return core.ToolChoice("named", choice.function.name)
    return core.ToolChoice(choice)


def _refuse_unknown(body: Generating) -> None:
    _refuse(body.logit_bias, "logit_bias", "is not supported; leave it out")


def _refuse(value: object, param: str, reason: str) -> None:
    """Refuse what would be ignored to the caller's harm."""
    if value:
        raise InvalidRequest(f"{param} {reason}", param=param)
