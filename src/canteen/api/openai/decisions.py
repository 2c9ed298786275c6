"""`POST /v1/decisions`: predicates, choices and scores about one input."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from canteen.api.openai import answer
from canteen.api.openai.wire import Content
from canteen.api.receipts import ReceiptBody
from canteen.api.routing import Route, Served
from canteen.api.whole import whole
from canteen.api.wire import Name, Wire
from canteen.core.errors import InvalidRequest, NotSupported
from canteen.core.generation import Usage
from canteen.tasks.choosing import Weighed
from canteen.tasks.decide import PROMPT, Decision, Option, decide, expected
from canteen.tasks.model import Model

# As the official client's own documentation has it ("Ask 1-400 questions"); OpenAI's reference
# says 200.
MOST_QUESTIONS = 400
CALIBRATION = "cleared of what the model prefers whatever it reads; not fitted to labelled data"
_TEXTS = ("input_text", "output_text", "text", "refusal")


class Turn(Wire):
    """A message, or a call of a tool and what it gave, which are told as they are."""

    type: str = "message"
    role: str = "user"
    content: Content = Field(default_factory=list)
    name: str = ""
    arguments: str = ""
    input: str = ""
    output: Content = Field(default_factory=list)


class Choice(Wire):
    """An option; a string and a boolean with the same text are different."""

    value: str | bool
    description: str = ""


class Level(Wire):
    """A step of a scale, the lowest first."""

    label: str
    description: str = ""


class Asked(Wire):
    """A question: its kind says which of the other fields it has."""

    type: Literal["predicate", "choice", "score"]
    instructions: Content
    name: str | None = None
    choices: list[Choice] = Field(default_factory=list)
    levels: list[Level] = Field(default_factory=list)


class DecisionsRequest(Wire):
    """Questions about one input."""

    model: Name
    input: str | list[Turn]
    questions: Annotated[list[Asked], Field(min_length=1, max_length=MOST_QUESTIONS)]
    temperature: Annotated[float, Field(gt=0, le=100)] = 1.0
    metadata: dict[str, Any] = Field(default_factory=dict)


class Decisions(BaseModel):
    """An answer for each question, in order; `label_mass` is, for each, what the model gave its
    options together, of all that it might have said."""

    model_config = ConfigDict(protected_namespaces=())
    model: str
    answers: list[dict[str, Any]]
    usage: dict[str, Any]
    label_mass: list[float]
    prompt_format_version: str
    calibration: str
    footprint: ReceiptBody


async def decisions(body: DecisionsRequest, served: Served) -> Response:
    """Answer the questions; the input is read once for all of them."""
    asked = [_decision(one, f"questions[{i}]") for i, one in enumerate(body.questions)]
    model = model_of(body.model, served)
    found = await decide(model, _state(body.input), asked, temperature=body.temperature)
    told = {
        "model": body.model,
        "answers": [_answer(*each) for each in zip(body.questions, asked, found, strict=True)],
        "usage": _usage(model.usage),
        **about(found),
    }
    return whole(told | served.footprint())


def model_of(name: str, served: Served) -> Model:
    """The model that a request for decisions names, or the default one."""
    name = name or served.services.settings.default_model
    served.observe.model = name
    return Model(
        served.services,
        name,
        "",
        answer.new_id("dcsn-"),
        served.caller_id,
        prompt_version=PROMPT.id,
    )


def about(found: list[Weighed]) -> dict[str, Any]:
    """What is told of all answers."""
    return {
        "label_mass": [one.label_mass for one in found],
        "prompt_format_version": PROMPT.id,
        "calibration": CALIBRATION,
    }


def _state(given: str | list[Turn]) -> str:
    if isinstance(given, str):
        return given
    turns = [_turn(turn, f"input[{index}]") for index, turn in enumerate(given)]
    # One message is its text; of several, each says whose it is.
    return turns[0].partition(": ")[2] if len(turns) == 1 else "\n".join(turns)


def _turn(turn: Turn, param: str) -> str:
    if turn.type in ("function_call", "custom_tool_call"):
        return f"call: {turn.name}({turn.arguments or turn.input})"
    if turn.type.endswith("_output"):
        return f"result: {_text(turn.output, param)}"
    return f"{turn.role}: {_text(turn.content, param)}"


def _text(parts: Content, param: str) -> str:
    for part in parts:
        if part.type == "input_image":
            raise NotSupported("this model cannot see images; send text", param=param)
        if part.type not in _TEXTS:
            raise InvalidRequest(f"a part of type '{part.type}' cannot be read", param=param)
    return "\n".join(part.text or part.refusal or "" for part in parts)


def _decision(one: Asked, param: str) -> Decision:
    instructions = _text(one.instructions, f"{param}.instructions")
    if one.type == "predicate":
        return Decision(instructions, param=param)
    if one.type == "choice":
        options = tuple(Option(each.value, each.description) for each in one.choices)
        return Decision(instructions, options, f"{param}.choices")
    levels = tuple(Option(each.label, each.description) for each in one.levels)
    return Decision(instructions, levels, f"{param}.levels")


def _answer(question: Asked, decision: Decision, weighed: Weighed) -> dict[str, Any]:
    shares = weighed.probabilities
    named = {"type": question.type, "name": question.name}
    if question.type == "predicate":
        return {**named, "probability": shares[0]}
    values = [option.value for option in decision.options]
    place = max(range(len(shares)), key=shares.__getitem__)
    if question.type == "choice":
        told = [{"value": v, "probability": p} for v, p in zip(values, shares, strict=True)]
        first: dict[str, Any] = {"choice": values[place]}
    else:
        told = [
            {"label": label, "value": index, "probability": share}
            for index, (label, share) in enumerate(zip(values, shares, strict=True))
        ]
        first = {"score": expected(shares)}
    return {**named, **first, "confidence": shares[place], "probabilities": told}


def _usage(usage: Usage) -> dict[str, Any]:
    cached = usage.cached_tokens
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": cached,
            "cache_write_tokens": usage.prompt_tokens - cached,
        },
        "output_tokens": 0,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt_tokens,
    }


ROUTES = (
    Route(
        "POST",
        "/decisions",
        decisions,
        DecisionsRequest,
        Decisions,
        "Decide about an input",
        scope="llm:tasks",
    ),
)
