"""`POST /v1/systemone`: System One's questions about a state, by name."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from canteen.api.openai.decisions import about, model_of
from canteen.api.receipts import ReceiptBody
from canteen.api.routing import Route, Served
from canteen.api.whole import whole
from canteen.api.wire import Wire
from canteen.core.errors import InvalidRequest, NotSupported
from canteen.tasks import system_one
from canteen.tasks.system_one import MOST_QUESTIONS

MOST_BYTES = 64 << 10


class Question(Wire):
    """A question; `criteria` are options with their descriptions, descriptions of levels, or what
    `true` and `false` mean."""

    type: Literal["noul", "choice", "score"]
    instructions: str
    criteria: dict[str, str | None] | list[str] | None = None


class SystemOneRequest(Wire):
    """Questions about one state, which is a text, or told as JSON."""

    model: str = Field("", description="The model that decides; or the service's default.")
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
    state = system_one.text_of(body.state)
    if len(state.encode()) > MOST_BYTES:
        raise InvalidRequest(f"the state is larger than {MOST_BYTES} bytes", param="state")
    questions = {
        name: system_one.Question(one.type, one.instructions, one.criteria)
        for name, one in body.questions.items()
    }
    model = model_of(body.model, served)
    answers, found = await system_one.answers(model, state, questions, temperature=body.temperature)
    told = {
        "model": model.name,
        "answers": answers,
        "usage": {"input_tokens": model.usage.prompt_tokens, "output_tokens": 0},
        **about(found),
    }
    return whole(told | served.footprint())


ROUTES = (
    Route(
        "POST",
        "/systemone",
        systemone,
        SystemOneRequest,
        SystemOneAnswers,
        "Decide about a state",
        scope="llm:tasks",
    ),
)
