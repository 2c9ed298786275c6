"""How a model is asked whatever the dialect: its sampling, and what it was created with."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, TypeVar

from pydantic import Field

from canteen.api.wire import LISTED, MOST_TOKENS, WHOLE, Penalty, Wire
from canteen.core.generation import GenerationRequest, Message, SamplingParams
from canteen.core.model import ModelCard

MOST_STOPS = 16

Count = Annotated[int, Field(ge=1, le=MOST_TOKENS), WHOLE]
Temperature = Annotated[float, Field(ge=0, le=2)]
TopP = Annotated[float, Field(gt=0, le=1)]
Stop = Annotated[
    list[str],
    Field(max_length=MOST_STOPS),
    LISTED,
]


class Sampling(Wire):
    """Keys about sampling: OpenAI's, and those of other servers that its users send along."""

    temperature: Temperature | None = None
    top_p: TopP | None = None
    top_k: Annotated[int, Field(ge=-1, le=MOST_TOKENS), WHOLE] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63), WHOLE] | None = None
    stop: Stop = Field(default_factory=list)
    presence_penalty: Penalty = 0.0
    frequency_penalty: Penalty = 0.0
    repetition_penalty: Annotated[float, Field(gt=0, le=10)] | None = None
    repeat_penalty: Annotated[float, Field(gt=0, le=10)] | None = None
    num_predict: Annotated[int, Field(ge=-2, le=MOST_TOKENS), WHOLE] | None = None
    ignore_eos: bool = False
    truncate: bool = False


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


def sampling(body: Sampling, max_tokens: int | None) -> SamplingParams:
    """How tokens are chosen; `num_predict` below 1 and `top_k` below 1 mean no limit."""
    predicted = body.num_predict if (body.num_predict or 0) > 0 else None
    return SamplingParams(
        max_tokens=max_tokens or predicted,
        temperature=_given(body.temperature, 1.0),
        top_p=_given(body.top_p, 1.0),
        top_k=body.top_k if (body.top_k or 0) > 0 else None,
        min_p=_given(body.min_p, 0.0),
        # Generators take no negative seed; the low bits of one are as good.
        seed=None if body.seed is None else body.seed & (2**63 - 1),
        stop=tuple(stop for stop in body.stop if stop),
        presence_penalty=body.presence_penalty,
        frequency_penalty=body.frequency_penalty,
        repetition_penalty=_given(body.repetition_penalty, _given(body.repeat_penalty, 1.0)),
        ignore_eos=body.ignore_eos,
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


def _given(value: float | None, default: float) -> float:
    return default if value is None else value
