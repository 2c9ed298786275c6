"""What a model was created with, for what a request leaves open; pure."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from canteen.api.openai.wire import Sampling
from canteen.core.generation import GenerationRequest, Message
from canteen.core.model import ModelCard

Body = TypeVar("Body", bound=Sampling)
PARAMETERS = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "seed",
    "stop",
    "num_predict",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
)


def filled(body: Body, card: ModelCard) -> Body:
    """The body with the model's own parameters where it says nothing."""
    given = {
        key: _as_body_has_it(key, card.parameters)
        for key in PARAMETERS
        if key in card.parameters and key not in body.model_fields_set
    }
    return body.model_copy(update=given) if given else body


def introduced(request: GenerationRequest, card: ModelCard) -> GenerationRequest:
    """The request with the model's own system prompt and messages before its own."""
    opening = [_message(message) for message in card.messages]
    says_who_it_is = any(message.role == "system" for message in request.messages)
    if card.system and not says_who_it_is:
        opening.insert(0, Message("system", card.system))
    num_ctx = card.parameters.get("num_ctx")
    return replace(
        request,
        messages=(*opening, *request.messages),
        context_length=int(num_ctx) if num_ctx else None,
        # A model that was not derived from another has its template in its own files.
        template=card.template if card.parent and card.template else None,
    )


def _message(message: Mapping[str, Any]) -> Message:
    return Message(message.get("role", "user"), str(message.get("content", "")))


def _as_body_has_it(key: str, parameters: Mapping[str, Any]) -> Any:
    value = parameters[key]
    return [value] if key == "stop" and isinstance(value, str) else value
