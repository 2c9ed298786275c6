"""Answers as the OpenAPI document shows them."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from canteen.api.receipts import ReceiptBody


class Body(BaseModel):
    """The base of all answers."""

    model_config = ConfigDict(protected_namespaces=())


class Counted(Body):
    """What every whole answer, and the last line of every streamed one, has; times in ns."""

    model: str
    created_at: str
    done: bool
    done_reason: Literal["stop", "length", "load", "unload"]
    total_duration: int
    load_duration: int
    prompt_eval_count: int
    prompt_eval_duration: int
    eval_count: int
    eval_duration: int
    truncated_tokens: int | None = None
    logprobs: list[dict[str, Any]] | None = None
    footprint: ReceiptBody | None = None


class GenerateAnswer(Counted):
    """The continuation of a prompt."""

    response: str


class SaidFunction(Body):
    """A function to call, with its arguments as an object."""

    index: int
    name: str
    arguments: dict[str, Any]


class SaidCall(Body):
    """A call the model asks for."""

    id: str
    function: SaidFunction


class SaidMessage(Body):
    """What the model says."""

    role: Literal["assistant"]
    content: str
    tool_calls: list[SaidCall] | None = None


class ChatAnswer(Counted):
    """The answer to a chat."""

    message: SaidMessage


class EmbedAnswer(Body):
    """Vectors in the order of the inputs."""

    model: str
    embeddings: list[list[float]]
    total_duration: int
    load_duration: int
    prompt_eval_count: int
    footprint: ReceiptBody | None = None


class OldEmbeddingsAnswer(Body):
    """One vector."""

    embedding: list[float]
    footprint: ReceiptBody | None = None


class ModelDetails(Body):
    """What kind of model it is."""

    parent_model: str
    format: str
    family: str
    families: list[str]
    parameter_size: str
    quantization_level: str


class StoredModel(Body):
    """A model in the store."""

    name: str
    model: str
    modified_at: str
    size: int
    digest: str
    details: ModelDetails


class Tags(Body):
    """The models in the store."""

    models: list[StoredModel]


class RunningModel(Body):
    """A model in memory."""

    name: str
    model: str
    size: int
    digest: str
    details: ModelDetails
    expires_at: str
    size_vram: int
    context_length: int


class ModelEvent(Body):
    """What happened to a model, why and when."""

    what: Literal[
        "loaded", "woken", "slept", "evicted", "expired", "unloaded", "restarted", "failed"
    ]
    why: str
    at: str


class ModelState(Body):
    """Whether a model answers, and why it is in memory or not. `counted_bytes` is what it counts
    for against the memory budget; a model that is not in memory has no such figures."""

    state: Literal[
        "waiting",
        "loading",
        "ready",
        "asleep",
        "restarting",
        "circuit_open",
        "unloading",
        "unloaded",
    ]
    why: str
    counted_bytes: int | None = None
    counted_by: Literal["measurement", "estimate"] | None = None
    loaded_at: str | None = None
    last_used_at: str | None = None
    last_event: ModelEvent | None = None
    circuit: Literal["closed", "open", "half-open"] | None = None


class Running(Body):
    """The models in memory; `states` says more of each, and why others are not, by name."""

    models: list[RunningModel]
    states: dict[str, ModelState]


class Shown(Body):
    """All that is known of a model."""

    license: str
    modelfile: str
    parameters: str
    template: str
    system: str
    details: ModelDetails
    messages: list[dict[str, Any]]
    model_info: dict[str, Any]
    tensors: list[Any]
    modified_at: str
    capabilities: list[str]


class ProgressLine(Body):
    """A step of a pull or a create."""

    status: str
    digest: str | None = None
    total: int | None = None
    completed: int | None = None


class OllamaVersion(Body):
    """Which version serves."""

    version: str


class CloudStatus(Body):
    """Whether models elsewhere can be reached: never."""

    disabled: bool
    source: str


class OllamaStatus(Body):
    """What is switched off."""

    cloud: CloudStatus
