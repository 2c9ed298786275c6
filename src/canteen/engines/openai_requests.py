"""A request in OpenAI's words: the path and the body; pure."""

import json
from typing import Any

from canteen.core.errors import InvalidRequest
from canteen.core.generation import GenerationRequest, Grammar, Message, SamplingParams, Tool

Body = dict[str, Any]


def written(request: GenerationRequest, model: str) -> tuple[str, Body]:
    """The path below the base URL, and the body. What has a neutral value is left out, as some
    services refuse words that they do not know. Raises InvalidRequest."""
    if request.template is not None:
        raise InvalidRequest(
            "a chat template cannot be given to an upstream, which has its own; leave it out",
            param="template",
        )
    body: Body = {
        "model": model,
        "stream": True,
        "stream_options": {"include_usage": True},
        **_sampling(request.sampling),
        **({"n": request.n} if request.n != 1 else {}),
    }
    if request.messages:
        return "chat/completions", body | _chat(request)
    return "completions", body | _continued(request)


def _chat(request: GenerationRequest) -> Body:
    told: Body = {"messages": [_message(turn) for turn in request.messages]}
    if request.grammar is not None:
        told["response_format"] = _response_format(request.grammar)
    if request.logprobs:
        told |= {"logprobs": True, "top_logprobs": request.top_logprobs}
    if request.tools and request.tool_choice.mode != "none":
        told["tools"] = [_tool(tool) for tool in request.tools]
        told["tool_choice"] = _tool_choice(request)
        told["parallel_tool_calls"] = request.parallel_tool_calls
    return told


def _continued(request: GenerationRequest) -> Body:
    if request.grammar is not None:
        raise InvalidRequest(
            "an upstream holds only a chat to a format; send messages", param="response_format"
        )
    prompt = request.prompt if request.prompt is not None else list(request.prompt_tokens or ())
    told: Body = {"prompt": prompt}
    if request.logprobs:
        told["logprobs"] = request.top_logprobs
    return told


def _sampling(sampling: SamplingParams) -> Body:
    """Of OpenAI's own words, then those that others have."""
    asked: Body = {
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": sampling.seed,
        "stop": list(sampling.stop) or None,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "repetition_penalty": sampling.repetition_penalty,
        "ignore_eos": sampling.ignore_eos or None,
    }
    return {key: value for key, value in asked.items() if value != _NEUTRAL.get(key)}


_NEUTRAL: Body = {
    "temperature": 1.0,
    "top_p": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
}


def _message(turn: Message) -> Body:
    told: Body = {"role": turn.role, "content": turn.content}
    if turn.name:
        told["name"] = turn.name
    if turn.tool_call_id:
        told["tool_call_id"] = turn.tool_call_id
    if turn.tool_calls:
        told["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in turn.tool_calls
        ]
    return told


def _response_format(grammar: Grammar) -> Body:
    if grammar.kind == "json_object":
        return {"type": "json_object"}
    if grammar.kind == "json_schema":
        schema = json.loads(grammar.value)
        return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    raise InvalidRequest(
        "an upstream cannot be held to a regular expression; ask for a JSON schema",
        param="response_format",
    )


def _tool(tool: Tool) -> Body:
    told = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": told}


def _tool_choice(request: GenerationRequest) -> Any:
    choice = request.tool_choice
    if choice.mode != "named":
        return choice.mode
    return {"type": "function", "function": {"name": choice.name}}
