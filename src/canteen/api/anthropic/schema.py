"""Requests as clients send them, and answers as the OpenAPI document shows them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from canteen.api.receipts import ReceiptBody
from canteen.api.sampling import Count, Sampling, Stop
from canteen.api.wire import JsonObject, Name, Wire


def _blocks(value: Any) -> Any:
    """A text is one block, so that an error in a block is found by its path."""
    if isinstance(value, str):
        return [{"type": "text", "text": value}]
    if not isinstance(value, list):
        raise ValueError("Input should be a string or a list of content blocks")
    return value


class ResultBlock(Wire):
    """A block of a tool's result; only text can be read."""

    type: str
    text: str = ""


ResultContent = Annotated[
    list[ResultBlock], BeforeValidator(_blocks, json_schema_input_type=str | list[ResultBlock])
]


class Block(Wire):
    """A block of a turn: `text`, or a tool's `tool_use` or `tool_result`."""

    type: str
    text: str = ""
    id: str = ""
    name: str = ""
    input: JsonObject = Field(default_factory=dict)
    tool_use_id: str = ""
    content: ResultContent = Field(default_factory=list)
    is_error: bool = False


Content = Annotated[list[Block], BeforeValidator(_blocks, json_schema_input_type=str | list[Block])]


class Turn(Wire):
    """One turn of a conversation."""

    role: Literal["user", "assistant", "system"]
    content: Content


class Tool(Wire):
    """A tool of the caller's own; those of type `custom` are known, and no others."""

    type: str = "custom"
    name: Name
    description: str = ""
    input_schema: JsonObject = Field(default_factory=dict)


class ToolChoice(Wire):
    """Whether a tool is to be called, and which."""

    type: Literal["auto", "any", "tool", "none"]
    name: str = ""
    disable_parallel_tool_use: bool = False


class Thinking(Wire):
    """Whether the model is to think before it answers."""

    type: str


class OutputFormat(Wire):
    """A JSON Schema that the answer must satisfy."""

    type: Literal["json_schema"]
    definition: JsonObject = Field(alias="schema")


class OutputConfig(Wire):
    """Wishes about the answer."""

    format: OutputFormat | None = None


class Conversation(Sampling):
    """What is to be read, as both routes take it."""

    model: Name
    messages: Annotated[list[Turn], Field(min_length=1)]
    system: ResultContent = Field(default_factory=list)
    tools: list[Tool] = Field(default_factory=list)
    tool_choice: ToolChoice = ToolChoice(type="auto")
    thinking: Thinking | None = None
    output_config: OutputConfig = OutputConfig()
    metadata: dict[str, Any] = Field(default_factory=dict)


class MessagesRequest(Conversation):
    """POST /v1/messages."""

    max_tokens: Count
    stop: Stop = Field(default_factory=list, alias="stop_sequences")
    stream: bool = False


class CountTokensRequest(Conversation):
    """POST /v1/messages/count_tokens."""


class ErrorDetail(BaseModel):
    """What went wrong."""

    type: str
    message: str


class Error(BaseModel):
    """The body of every status but 200; `code` is a stable word, `param` the field meant."""

    type: Literal["error"]
    error: ErrorDetail
    code: str
    param: str | None = None


class TextAnswer(BaseModel):
    """What the model says."""

    type: Literal["text"]
    text: str


class ToolUse(BaseModel):
    """A call the model asks for."""

    type: Literal["tool_use"]
    id: str
    name: str
    input: dict[str, Any]


class Usage(BaseModel):
    """Tokens read, without those found in the cache, and written."""

    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int


class MessageBody(BaseModel):
    """A whole answer."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[TextAnswer | ToolUse]
    stop_reason: Literal["end_turn", "max_tokens", "stop_sequence", "tool_use"] | None
    stop_sequence: str | None
    usage: Usage
    footprint: ReceiptBody | None = None


class TokenCount(BaseModel):
    """The tokens of a conversation, as the model reads it."""

    input_tokens: int
