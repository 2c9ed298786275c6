"""What several requests of this dialect have in common."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from canteen.api.sampling import Count, Sampling
from canteen.api.wire import MOST_TOKENS, WHOLE, Name, Wire, expecting

MOST_CHOICES = 32


def _parts(value: Any) -> Any:
    """A text is one part, so that an error in a part is found by its path."""
    if isinstance(value, str):
        return [{"type": "text", "text": value}]
    if not isinstance(value, list):
        raise ValueError("Input should be a string or a list of parts")
    return value


TokenId = Annotated[int, Field(ge=0, le=MOST_TOKENS)]
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
    service_tier: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
