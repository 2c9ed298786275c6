"""`POST /v1/systemone`: System One's questions about a state, by name."""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from canteen.api.openai import answer
from canteen.api.openai.decisions import about, model_of
from canteen.api.receipts import ReceiptBody
from canteen.api.routing import Route, Served
from canteen.api.wire import Name, Wire
from canteen.core.errors import InvalidRequest, NotSupported
from canteen.tasks.choosing import Weighed
from canteen.tasks.decide import YES_OR_NO, Decision, Option, decide, expected

MOST_QUESTIONS = 64
MOST_BYTES = 64 << 10
MOST_LEVELS = 10
_TRUE_OR_FALSE = ("true", "false")


class Question(Wire):
    """A question; `criteria` are options with their descriptions, descriptions of levels, or what
    `true` and `false` mean."""

    type: Literal["noul", "choice", "score"]
    instructions: str
    criteria: dict[str, str | None] | list[str] | None = None


class SystemOneRequest(Wire):
    """Questions about one state, which is a text, or told as JSON."""

    model: Name
    state: str | dict[str, Any] | list[Any]
    images: list[Any] = Field(default_factory=list)
    questions: Annotated[dict[str, Question], Field(min_length=1, max_length=MOST_QUESTIONS)]
    temperature: Annotated[float, Field(gt=0, le=100)] = 1.0


class SystemOneAnswers(BaseModel):
    """An answer by the name of its question: of a noul, the probability that it is true."""

    model_config = ConfigDict(protected_namespaces=())
    model: str
    answers: dict[str, dict[str, Any]]
    usage: dict[str, int]
    label_mass: list[float]
    prompt_format_version: str
    calibration: str
    footprint: ReceiptBody


async def systemone(body: SystemOneRequest, served: Served) -> Response:
    """Answer the questions; the state is read once for all of them."""
    if body.images:
        raise NotSupported("this model cannot see images; send text", param="images")
    state = body.state if isinstance(body.state, str) else json.dumps(body.state)
    if len(state.encode(errors="replace")) > MOST_BYTES:
        raise InvalidRequest(f"the state is larger than {MOST_BYTES} bytes", param="state")
    asked = {name: _decision(one, f"questions.{name}") for name, one in body.questions.items()}
    model = model_of(body.model, served)
    found = await decide(model, state, list(asked.values()), temperature=body.temperature)
    told = {
        "model": body.model,
        "answers": {
            name: _answer(body.questions[name], asked[name], weighed)
            for name, weighed in zip(asked, found, strict=True)
        },
        "usage": {"input_tokens": model.usage.prompt_tokens, "output_tokens": 0},
        **about(found),
    }
    return answer.whole(told | served.footprint())


def _decision(one: Question, param: str) -> Decision:
    where = f"{param}.criteria"
    if one.type == "noul":
        return Decision(one.instructions, _meanings(one.criteria, where), param)
    if one.type == "choice":
        if not isinstance(one.criteria, dict):
            raise InvalidRequest("a choice needs an object of its options", param=where)
        options = tuple(Option(name, about or "") for name, about in one.criteria.items())
        return Decision(one.instructions, options, where)
    if not isinstance(one.criteria, list) or not 2 <= len(one.criteria) <= MOST_LEVELS:
        raise InvalidRequest(
            f"a score needs a list of 2 to {MOST_LEVELS} descriptions", param=where
        )
    levels = tuple(Option(str(place), about) for place, about in enumerate(one.criteria))
    return Decision(one.instructions, levels, where)


def _meanings(criteria: Any, param: str) -> tuple[Option, ...]:
    meanings = criteria or {}
    if not isinstance(meanings, dict) or not set(meanings) <= set(_TRUE_OR_FALSE):
        raise InvalidRequest("a noul's criteria are what true and false mean", param=param)
    return tuple(
        Option(word, meanings.get(which) or "")
        for word, which in zip(YES_OR_NO, _TRUE_OR_FALSE, strict=True)
    )


def _answer(question: Question, decision: Decision, weighed: Weighed) -> dict[str, Any]:
    shares = weighed.probabilities
    if question.type == "noul":
        return {"type": "noul", "noul": shares[0]}
    by_name = dict(zip(map(str, decision.texts), shares, strict=True))
    likeliest = max(by_name, key=by_name.__getitem__)
    told = {"type": question.type, "probabilities": by_name, "confidence": by_name[likeliest]}
    if question.type == "choice":
        return {**told, "choice": likeliest}
    legend = {str(i): option.description for i, option in enumerate(decision.options)}
    return {**told, "score": expected(shares), "legend": legend}


ROUTES = (
    Route(
        "POST", "/systemone", systemone, SystemOneRequest, SystemOneAnswers, "Decide about a state"
    ),
)
