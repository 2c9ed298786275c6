"""Requests of the Responses API, and its answer as the OpenAPI document shows it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from canteen.api.openai.wire import Content
from canteen.api.receipts import ReceiptBody
from canteen.api.sampling import Count, Sampling
from canteen.api.wire import MOST_TOP_LOGPROBS, WHOLE, JsonObject, Name, Wire, expecting


class InputItem(Wire):
    """An item of the input: a message, a call, or a call's output."""

    type: str = "message"
    role: Literal["system", "developer", "user", "assistant"] = "user"
    content: Content = Field(default_factory=list)
    call_id: str = ""
    name: str = ""
    arguments: str = "{}"
    output: Content = Field(default_factory=list)


def _items(value: Any) -> Any:
    """A text is what the user says."""
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    if not isinstance(value, list):
        raise ValueError("Input should be a string or a list of items")
    return value


class ResponseTool(Wire):
    """A tool; only functions are known."""

    type: str
    name: str = ""
    description: str = ""
    parameters: JsonObject = Field(default_factory=dict)
    strict: bool = True


class ResponseToolName(Wire):
    """The function that must be called."""

    type: Literal["function"]
    name: Name


class TextFormat(Wire):
    """What the text must be."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    name: str = ""
    definition: JsonObject | None = Field(default=None, alias="schema")


class TextWishes(Wire):
    """Wishes about the text."""

    format: TextFormat = TextFormat()


class ResponseRequest(Sampling):
    """POST /responses."""

    model: Name
    input: Annotated[
        list[InputItem],
        Field(min_length=1),
        BeforeValidator(_items, json_schema_input_type=str | list[InputItem]),
    ]
    instructions: str | None = None
    stream: bool = False
    max_output_tokens: Count | None = None
    text: TextWishes = TextWishes()
    tools: list[ResponseTool] = Field(default_factory=list)
    tool_choice: Annotated[
        Literal["auto", "none", "required"] | ResponseToolName,
        expecting("'auto', 'none', 'required' or an object with a function's name"),
    ] = "auto"
    parallel_tool_calls: bool = True
    top_logprobs: Annotated[int, Field(ge=0, le=MOST_TOP_LOGPROBS), WHOLE] = 0
    include: list[str] = Field(default_factory=list)
    truncation: Literal["auto", "disabled"] = "disabled"
    metadata: dict[str, Any] = Field(default_factory=dict)
    background: bool = False
    previous_response_id: str | None = None
    conversation: str | dict[str, Any] | None = None
    prompt: dict[str, Any] | None = None


class ResponseBody(BaseModel):
    """A whole response."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["completed", "incomplete", "in_progress", "queued", "failed", "cancelled"]
    model: str
    output: list[dict[str, Any]]
    parallel_tool_calls: bool
    tool_choice: str | dict[str, Any]
    tools: list[dict[str, Any]]
    error: dict[str, str] | None
    incomplete_details: dict[str, str] | None
    usage: dict[str, Any] | None
    footprint: ReceiptBody | None = None
