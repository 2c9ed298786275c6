"""Requests as clients send them: null is absence, `name` is an old word for `model`."""

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, ConfigDict, Field, model_validator

from canteen.api.ollama.durations import seconds
from canteen.api.wire import (
    LISTED,
    MOST_TOKENS,
    MOST_TOP_LOGPROBS,
    WHOLE,
    JsonObject,
    Name,
    Penalty,
    Wire,
    expecting,
)

MOST_STOPS = 64
MOST_INPUTS = 4096


Share = Annotated[float, Field(ge=0, le=1)]
Texts = Annotated[
    list[str],
    Field(max_length=MOST_INPUTS),
    LISTED,
]
KeepAlive = Annotated[
    float,
    Field(allow_inf_nan=True),
    BeforeValidator(seconds, json_schema_input_type=float | str),
]
Format = Annotated[str | JsonObject, expecting("'json' or a JSON schema")]
Think = Annotated[
    bool | Literal["low", "medium", "high", "max"],
    expecting("true, false, 'low', 'medium', 'high' or 'max'"),
]


class Options(Wire):
    """How tokens are chosen; defaults are Ollama's."""

    num_ctx: Annotated[int, Field(ge=0, le=MOST_TOKENS), WHOLE] = 0
    num_predict: Annotated[int, Field(ge=-2, le=MOST_TOKENS), WHOLE] = -1
    temperature: Annotated[float, Field(ge=0, le=100)] = 0.8
    top_k: Annotated[int, Field(ge=-1, le=MOST_TOKENS), WHOLE] = 40
    top_p: Share = 0.9
    min_p: Share = 0.0
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63), WHOLE] = -1
    stop: Annotated[
        list[str],
        Field(max_length=MOST_STOPS),
        LISTED,
    ] = Field(default_factory=list)
    repeat_penalty: Annotated[float, Field(gt=0, le=100)] = 1.0
    presence_penalty: Penalty = 0.0
    frequency_penalty: Penalty = 0.0


class Parameters(Options):
    """The options a model is created with, and what only its engine knows."""

    model_config = ConfigDict(extra="allow")


class Named(Wire):
    """Names a model, by `model` or by the older key `name`."""

    model: Name = Field(validation_alias=AliasChoices("model", "name"))

    @model_validator(mode="before")
    @classmethod
    def _with_model(cls, data: Any) -> Any:
        # Clients in Go send both, and one of them empty.
        if isinstance(data, dict) and not data.get("model") and data.get("name"):
            return {**data, "model": data["name"]}
        return data


class Generating(Named):
    """What chat and plain generation both take."""

    stream: bool = True
    format: Format = ""
    keep_alive: KeepAlive | None = None
    options: Options = Options()
    think: Think = False
    truncate: bool = False
    logprobs: bool = False
    top_logprobs: Annotated[int, Field(ge=0, le=MOST_TOP_LOGPROBS), WHOLE] = 0


class GenerateRequest(Generating):
    """POST /api/generate."""

    prompt: str = ""
    suffix: str = ""
    system: str = ""
    template: str = ""
    context: list[Any] = Field(default_factory=list)
    raw: bool = False
    images: list[Any] = Field(default_factory=list)


class PastFunction(Wire):
    """The function of a call in the history; arguments are an object, or its JSON text."""

    name: Name
    arguments: Annotated[dict[str, Any] | str, expecting("an object")] = Field(default_factory=dict)


class PastCall(Wire):
    """A call in the history."""

    id: str = ""
    function: PastFunction


class Turn(Wire):
    """One message of a chat."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    images: list[Any] = Field(default_factory=list)
    tool_calls: list[PastCall] = Field(default_factory=list)
    tool_name: str | None = None
    tool_call_id: str | None = None


class OfferedFunction(Wire):
    """What the model may call."""

    name: Name
    description: str = ""
    parameters: JsonObject = Field(default_factory=dict)


class OfferedTool(Wire):
    """A tool; only functions are known."""

    type: Literal["function"] = "function"
    function: OfferedFunction


class OllamaChatRequest(Generating):
    """POST /api/chat."""

    messages: list[Turn] = Field(default_factory=list)
    tools: list[OfferedTool] = Field(default_factory=list)


class EmbedRequest(Named):
    """POST /api/embed."""

    input: Texts = Field(default_factory=list)
    truncate: bool = True
    dimensions: Annotated[int, Field(ge=0, le=MOST_TOKENS), WHOLE] = 0
    keep_alive: KeepAlive | None = None


class OldEmbeddingsRequest(Named):
    """POST /api/embeddings."""

    prompt: str = ""
    keep_alive: KeepAlive | None = None


class ShowRequest(Named):
    """POST /api/show."""


class DeleteRequest(Named):
    """DELETE /api/delete."""


class CopyRequest(Wire):
    """POST /api/copy."""

    source: Name
    destination: Name


class PullRequest(Named):
    """POST /api/pull and /api/push."""

    stream: bool = True


class CreateRequest(Named):
    """POST /api/create."""

    stream: bool = True
    source: str = Field(default="", alias="from")
    files: dict[str, str] = Field(default_factory=dict)
    adapters: dict[str, str] = Field(default_factory=dict)
    quantize: str = ""
    modelfile: str = ""
    path: str = ""
    template: str | None = None
    system: str | None = None
    license: Annotated[list[str] | None, LISTED] = None
    parameters: Parameters = Parameters()
    messages: list[Turn] = Field(default_factory=list)
