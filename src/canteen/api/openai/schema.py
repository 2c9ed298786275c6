"""Requests as clients send them, and answers as the OpenAPI document shows them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from canteen.api.openai.wire import Content, Generating, Texts
from canteen.api.receipts import ReceiptBody
from canteen.api.sampling import Count
from canteen.api.wire import MOST_TOP_LOGPROBS, WHOLE, JsonObject, Name, Wire, expecting

MOST_PROMPTS = 128
MOST_INPUTS = 2048


class FunctionCall(Wire):
    """The function of a call in the history, with its arguments as JSON text."""

    name: Name
    arguments: str = "{}"


class ToolCall(Wire):
    """A call in the history."""

    id: str = ""
    function: FunctionCall


class Message(Wire):
    """One turn of a chat."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Content = Field(default_factory=list)
    name: str | None = None
    tool_calls: list[ToolCall] = Field(default_factory=list)
    tool_call_id: str | None = None


class Function(Wire):
    """What the model may call."""

    name: Name
    description: str = ""
    parameters: JsonObject = Field(default_factory=dict)


class Tool(Wire):
    """A tool; only functions are known."""

    type: Literal["function"] = "function"
    function: Function


class FunctionName(Wire):
    """The name of a function."""

    name: Name


class NamedTool(Wire):
    """The tool that must be called."""

    type: Literal["function"] = "function"
    function: FunctionName


class JsonSchema(Wire):
    """A JSON Schema and its name."""

    name: str = ""
    definition: JsonObject = Field(alias="schema")


class ResponseFormat(Wire):
    """What the answer must be."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class ChatRequest(Generating):
    """POST /chat/completions."""

    messages: Annotated[list[Message], Field(min_length=1)]
    max_completion_tokens: Count | None = None
    logprobs: bool = False
    top_logprobs: Annotated[int, Field(ge=0, le=MOST_TOP_LOGPROBS), WHOLE] = 0
    response_format: ResponseFormat | None = None
    tools: list[Tool] = Field(default_factory=list)
    tool_choice: Annotated[
        Literal["auto", "none", "required"] | NamedTool,
        expecting("'auto', 'none', 'required' or an object with a function's name"),
    ] = "auto"
    parallel_tool_calls: bool = True
    functions: list[Any] = Field(default_factory=list)
    audio: dict[str, Any] = Field(default_factory=dict)


class CompletionRequest(Generating):
    """POST /completions."""

    prompt: Texts
    logprobs: Annotated[int, Field(ge=0, le=MOST_TOP_LOGPROBS), WHOLE] | None = None
    best_of: Annotated[int, Field(ge=1), WHOLE] | None = None
    echo: bool = False
    suffix: str = ""


class EmbeddingsRequest(Wire):
    """POST /embeddings."""

    model: Name
    input: Texts
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Count | None = None
    truncate: bool = False


class ErrorDetail(BaseModel):
    """What went wrong; all four keys are always there."""

    message: str
    type: str
    param: str | None
    code: str | None


class Error(BaseModel):
    """The body of every status but 200."""

    error: ErrorDetail


class PromptTokensDetails(BaseModel):
    """Of the prompt's tokens, those served from the cache."""

    cached_tokens: int


class CompletionTokensDetails(BaseModel):
    """Of the completion's tokens, those of hidden reasoning."""

    reasoning_tokens: int


class Usage(BaseModel):
    """Tokens read and written."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails


class AnswerFunction(BaseModel):
    """A function to call, with its arguments as JSON text."""

    name: str
    arguments: str


class AnswerToolCall(BaseModel):
    """A call the model asks for."""

    id: str
    type: Literal["function"]
    function: AnswerFunction


class AnswerMessage(BaseModel):
    """What the model says."""

    role: Literal["assistant"]
    content: str | None
    tool_calls: list[AnswerToolCall] | None = None


class ChatChoice(BaseModel):
    """One of the `n` answers."""

    index: int
    message: AnswerMessage
    finish_reason: Literal["stop", "length", "tool_calls"]
    logprobs: dict[str, Any] | None = None


class ChatCompletion(BaseModel):
    """A whole answer to a chat."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage
    footprint: ReceiptBody | None = None


class TextChoice(BaseModel):
    """One continuation of a prompt."""

    index: int
    text: str
    logprobs: dict[str, Any] | None
    finish_reason: Literal["stop", "length"]


class TextCompletion(BaseModel):
    """Continuations of one or several prompts."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[TextChoice]
    usage: Usage
    footprint: ReceiptBody | None = None


class Embedding(BaseModel):
    """A vector, as numbers or as base64 of little-endian float32."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingsUsage(BaseModel):
    """Tokens read."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(BaseModel):
    """Vectors in the order of the inputs."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingsUsage
    footprint: ReceiptBody | None = None


class Model(BaseModel):
    """A model in the store."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(BaseModel):
    """The models in the store."""

    object: Literal["list"]
    data: list[Model]
