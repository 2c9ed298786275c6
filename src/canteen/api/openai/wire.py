"""What every request of this dialect has in common: null is absence, and numbers are numbers."""

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

MOST_TOKENS = 2**31 - 1
MOST_CHOICES = 32
MOST_STOPS = 16
MOST_TOP_LOGPROBS = 20


class Wire(BaseModel):
    """A JSON object in which unknown keys are ignored and null means absent, at every depth."""

    model_config = ConfigDict(
        extra="ignore", strict=True, allow_inf_nan=False, protected_namespaces=()
    )

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if value is not None}
        return data


def _whole(value: Any) -> Any:
    """Some JSON writers know only floats: 16.0 is 16."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _parts(value: Any) -> Any:
    """A text is one part, so that an error in a part is found by its path."""
    if isinstance(value, str):
        return [{"type": "text", "text": value}]
    if not isinstance(value, list):
        raise ValueError("Input should be a string or a list of parts")
    return value


def expecting(what: str) -> WrapValidator:
    """Of several forms: one error that names them all, in place of one for each."""

    def validate(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError:
            raise ValueError(f"Input should be {what}") from None

    return WrapValidator(validate)


WHOLE = BeforeValidator(_whole)
Count = Annotated[int, Field(ge=1, le=MOST_TOKENS), WHOLE]
TokenId = Annotated[int, Field(ge=0, le=MOST_TOKENS)]
Temperature = Annotated[float, Field(ge=0, le=2)]
TopP = Annotated[float, Field(gt=0, le=1)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
Stop = Annotated[
    list[str],
    Field(max_length=MOST_STOPS),
    BeforeValidator(_listed, json_schema_input_type=str | list[str]),
]
Name = Annotated[str, Field(min_length=1, max_length=256)]
Texts = Annotated[
    str | list[str] | list[TokenId] | list[list[TokenId]],
    expecting("a string, a list of strings, a list of token ids, or a list of such lists"),
]


class Part(Wire):
    """A part of a message's content; only text can be read."""

    type: str
    text: str | None = None
    refusal: str | None = None


Content = Annotated[list[Part], BeforeValidator(_parts, json_schema_input_type=str | list[Part])]


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


class StreamOptions(Wire):
    """How a stream is to be framed."""

    include_usage: bool = False


class Generating(Sampling):
    """What chat and plain completions both take."""

    model: Name
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    n: Annotated[int, Field(ge=1, le=MOST_CHOICES), WHOLE] = 1
    max_tokens: Count | None = None
    logit_bias: dict[str, Any] = Field(default_factory=dict)
