"""From the dialect's requests to ours; pure, and the only place that knows their keys."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from canteen.api.ollama.schema import (
    CreateRequest,
    EmbedRequest,
    GenerateRequest,
    Generating,
    OfferedTool,
    OldEmbeddingsRequest,
    OllamaChatRequest,
    Options,
    PastCall,
    Turn,
)
from canteen.core import generation as core
from canteen.core.errors import InvalidRequest, NotSupported
from canteen.core.model import ModelCard
from canteen.core.template import is_go


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks what of which model, and what that model can do."""

    id: str
    card: ModelCard
    capabilities: Collection[str]
    caller_id: str = ""


def chat(body: OllamaChatRequest, asked: Asked) -> core.GenerationRequest:
    """A chat; raises InvalidRequest for what the model cannot do."""
    _refuse_unable(body, asked)
    for i, turn in enumerate(body.messages):
        _refuse_images(turn.images, f"messages[{i}].images", asked)
    if body.tools and "tools" not in asked.capabilities:
        raise InvalidRequest(
            f'"{body.model}" does not support tools (its chat template has none); '
            "/v1/chat/completions with tool_choice 'required' works with any model",
            param="tools",
        )
    messages = tuple(_message(turn) for turn in body.messages)
    return replace(
        _request(body, asked),
        messages=_introduced(messages, asked.card),
        tools=tuple(_tool(tool) for tool in body.tools),
        template=_own_template(asked.card),
    )


def generate(body: GenerateRequest, asked: Asked) -> core.GenerationRequest:
    """A prompt, in the model's template unless it is raw."""
    _refuse_unable(body, asked)
    _refuse_images(body.images, "images", asked)
    _refuse_unlike_ollama(body)
    if body.raw:
        return replace(_request(body, asked), prompt=body.prompt)
    system = (core.Message("system", body.system),) if body.system else ()
    messages = _introduced((*system, core.Message("user", body.prompt)), asked.card)
    template = body.template or asked.card.template
    check_template(template, asked.card)
    if not template:
        text = "\n\n".join(turn.content for turn in messages)
        return replace(_request(body, asked), prompt=text)
    own = _own_template(asked.card)
    return replace(_request(body, asked), messages=messages, template=body.template or own)


def embed(body: EmbedRequest, asked: Asked) -> core.EmbeddingRequest:
    """Texts to embed."""
    return core.EmbeddingRequest(
        id=asked.id,
        model=body.model,
        inputs=tuple(body.input),
        dimensions=body.dimensions or None,
        truncate=body.truncate,
        keep_alive_s=body.keep_alive,
        caller_id=asked.caller_id,
    )


def embeddings(body: OldEmbeddingsRequest, asked: Asked) -> core.EmbeddingRequest:
    """One text to embed."""
    return core.EmbeddingRequest(
        id=asked.id,
        model=body.model,
        inputs=(body.prompt,),
        keep_alive_s=body.keep_alive,
        caller_id=asked.caller_id,
    )


def creation(body: CreateRequest) -> dict[str, Any]:
    """What the new model has of its own; raises InvalidRequest or NotSupported."""
    _refuse(body.modelfile or body.path, "modelfile", "is no longer taken; send from, system, …")
    _refuse(body.quantize, "quantize", "cannot be chosen; models are compressed when prepared")
    if body.adapters:
        raise NotSupported("adapters are not supported; send from or files", param="adapters")
    if bool(body.source) == bool(body.files):
        raise InvalidRequest("send either from (a model) or files (a GGUF)", param="from")
    if len(body.files) > 1:
        raise InvalidRequest("files takes one GGUF file", param="files")
    check_template(body.template or "", None)
    own = {
        "template": body.template,
        "system": body.system,
        "license": "\n".join(body.license) if body.license is not None else None,
        "parameters": body.parameters.model_dump(exclude_unset=True),
        "messages": tuple({"role": turn.role, "content": turn.content} for turn in body.messages),
    }
    return {key: value for key, value in own.items() if value not in (None, {}, ())}


def check_template(template: str, card: ModelCard | None) -> None:
    """Raise InvalidRequest for a template that is not the model's own and not Jinja."""
    if (card is None or template != card.template) and is_go(template):
        raise InvalidRequest(
            "the template is in Go's language and templates are Jinja here; "
            "send a Jinja template, or none for the model's own",
            param="template",
        )


def sampling(options: Options) -> core.SamplingParams:
    """How tokens are chosen; counts that are not positive mean no limit."""
    return core.SamplingParams(
        max_tokens=options.num_predict if options.num_predict > 0 else None,
        temperature=options.temperature,
        top_p=options.top_p,
        top_k=options.top_k if options.top_k > 0 else None,
        min_p=options.min_p,
        # -1 is random; generators take no other negative seed, and its low bits are as good.
        seed=None if options.seed == -1 else options.seed & (2**63 - 1),
        stop=tuple(stop for stop in options.stop if stop),
        presence_penalty=options.presence_penalty,
        frequency_penalty=options.frequency_penalty,
        repetition_penalty=options.repeat_penalty,
    )


def merged(options: Options, parameters: Mapping[str, Any]) -> Options:
    """The request's options over those the model was created with."""
    known = {key: value for key, value in parameters.items() if key in Options.model_fields}
    return Options.model_validate({**known, **options.model_dump(exclude_unset=True)})


def _request(body: Generating, asked: Asked) -> core.GenerationRequest:
    """All but what is to be read."""
    options = merged(body.options, asked.card.parameters)
    return core.GenerationRequest(
        id=asked.id,
        model=body.model,
        sampling=sampling(options),
        grammar=_grammar(body.format),
        logprobs=body.logprobs,
        top_logprobs=body.top_logprobs,
        context_length=options.num_ctx or None,
        truncate=body.truncate,
        is_streamed=body.stream,
        keep_alive_s=body.keep_alive,
        caller_id=asked.caller_id,
    )


def _introduced(messages: tuple[core.Message, ...], card: ModelCard) -> tuple[core.Message, ...]:
    """The model's own system prompt, where there is no other, and its own messages first."""
    opening = tuple(_message(Turn.model_validate(dict(turn))) for turn in card.messages)
    # A template may allow for a system message in the first place only.
    starts = bool(messages) and messages[0].role == "system"
    lead, rest = (messages[:1], messages[1:]) if starts else ((), messages)
    if card.system and not any(turn.role == "system" for turn in (*opening, *messages)):
        lead = (core.Message("system", card.system),)
    return (*lead, *opening, *rest)


def _own_template(card: ModelCard) -> str | None:
    """A model that was not derived from another has its template in its own files."""
    return card.template if card.parent and card.template else None


def _message(turn: Turn) -> core.Message:
    return core.Message(
        role=turn.role,
        content=turn.content,
        name=turn.tool_name,
        tool_calls=tuple(_call(call) for call in turn.tool_calls),
        tool_call_id=turn.tool_call_id,
    )


def _call(call: PastCall) -> core.ToolCall:
    arguments = call.function.arguments
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return core.ToolCall(call.id, call.function.name, text)


def _tool(tool: OfferedTool) -> core.Tool:
    parameters = tool.function.parameters
    # Some clients leave out that parameters are an object.
    typed = {"type": "object", **parameters} if parameters else {}
    return core.Tool(tool.function.name, tool.function.description, typed)


def _grammar(wanted: str | dict[str, Any]) -> core.Grammar | None:
    if wanted == "":
        return None
    if isinstance(wanted, dict):
        return core.Grammar("json_schema", json.dumps(wanted))
    if wanted != "json":
        raise InvalidRequest("format must be 'json' or a JSON schema", param="format")
    return core.Grammar("json_object")


def _refuse_unable(body: Generating, asked: Asked) -> None:
    if body.think and "thinking" not in asked.capabilities:
        raise InvalidRequest(f'"{body.model}" does not support thinking', param="think")
    if body.top_logprobs and not body.logprobs:
        raise InvalidRequest("top_logprobs needs logprobs to be true", param="top_logprobs")


def _refuse_images(images: list[Any], param: str, asked: Asked) -> None:
    if images and "vision" not in asked.capabilities:
        raise InvalidRequest(
            f'{param}: "{asked.card.name}" has no vision; send text only', param=param
        )


def _refuse_unlike_ollama(body: GenerateRequest) -> None:
    _refuse(body.suffix, "suffix", "is not supported; no model here fills in the middle")
    _refuse(body.context, "context", "is not supported; /api/chat takes the messages so far")
    if body.raw and (body.system or body.template):
        raise InvalidRequest("raw mode does not support template or system", param="raw")


def _refuse(value: object, param: str, reason: str) -> None:
    """Refuse what would be ignored to the caller's harm."""
    if value:
        raise InvalidRequest(f"{param} {reason}", param=param)
