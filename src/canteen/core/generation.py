"""A generation: what goes into an engine and what comes out, piece by piece."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls", "cancelled"]
Priority = Literal["interactive", "batch"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call the model asks for; `arguments` is JSON text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call; `parameters` is its JSON Schema."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat."""

    role: Role
    content: str
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How the next token is chosen. Temperature 0 is greedy; `max_tokens` None is to the end."""

    max_tokens: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int | None = None
    min_p: float = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    ignore_eos: bool = False


@dataclass(frozen=True, slots=True)
class Grammar:
    """What the completion must be: one of a JSON Schema (as JSON text), a regex, or any JSON."""

    kind: Literal["json_schema", "json_object", "regex"]
    value: str = ""


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Which tool is to be called: `auto`, `none`, `required`, or `named` with its name."""

    mode: Literal["auto", "none", "required", "named"] = "auto"
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """On whose behalf, until when and for which receipt a model is asked, whatever it is asked.

    `deadline_s` is a time of `time.monotonic()`, which all processes of a machine share; after
    it nobody wants the answer. `is_retry`: the same request was refused or lost before.
    `prompt_version` names the template that a task made the prompt with. `adapter` is the folder
    of the LoRA adapter that the model answers with, or empty.
    """

    keep_alive_s: float | None = None
    caller_id: str = ""
    deadline_s: float | None = None
    priority: Priority = "interactive"
    is_retry: bool = False
    receipt_id: str = ""
    conversation_id: str = ""
    operation: str = ""
    prompt_version: str = ""
    adapter: str = ""


@dataclass(frozen=True, slots=True)
class GenerationRequest(Call):
    """One request to a model, whatever the dialect it came in.

    Exactly one of `messages` (the model's chat template is applied), `prompt` (raw text, taken
    as it is) or `prompt_tokens` (token ids) is given. `suffix` asks for a fill in the middle.
    `context_length` below the model's own limits prompt plus completion; `truncate` lets the
    oldest part of a prompt that is too long be dropped and counted, instead of an error.
    `template` replaces the model's own chat template (Jinja). `is_streamed` is false where the
    caller sees only the whole answer, so that an invalid one can be made again unseen. With
    `counts_only` nothing is computed: the one chunk has the usage of the prompt.
    """

    id: str
    model: str
    messages: tuple[Message, ...] = ()
    prompt: str | None = None
    prompt_tokens: tuple[int, ...] | None = None
    sampling: SamplingParams = SamplingParams()
    grammar: Grammar | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    parallel_tool_calls: bool = True
    n: int = 1
    logprobs: bool = False
    top_logprobs: int = 0
    context_length: int | None = None
    truncate: bool = False
    template: str | None = None
    is_streamed: bool = True
    counts_only: bool = False


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token, its natural-log probability, and the likeliest alternatives where known."""

    token: str
    logprob: float
    bytes: bytes
    top: "tuple[TokenLogprob, ...]" = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """What a request used. Times in seconds; `truncated_tokens` were dropped from the prompt.
    `receipts` came with the answers of other Canteens, which may have been asked for it."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    truncated_tokens: int = 0
    load_s: float = 0.0
    queue_s: float = 0.0
    prefill_s: float = 0.0
    decode_s: float = 0.0
    receipts: tuple[Mapping[str, Any], ...] = ()

    def __add__(self, other: "Usage") -> "Usage":
        """Of two parts of one request: tokens add up, times overlap, so the longest counts."""
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            truncated_tokens=self.truncated_tokens + other.truncated_tokens,
            load_s=max(self.load_s, other.load_s),
            queue_s=max(self.queue_s, other.queue_s),
            prefill_s=max(self.prefill_s, other.prefill_s),
            decode_s=max(self.decode_s, other.decode_s),
            receipts=self.receipts + other.receipts,
        )


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of choice `index`.

    Every choice ends with one chunk that has `finish_reason`; the very last chunk of a request,
    and no other, has `usage`. `num_tokens` counts the tokens in `text`. `stop_sequence` is the stop
    string that ended the choice, where one did.
    """

    text: str = ""
    index: int = 0
    num_tokens: int = 0
    logprobs: tuple[TokenLogprob, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    stop_sequence: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """One finished completion."""

    text: str
    finish_reason: FinishReason
    logprobs: tuple[TokenLogprob, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    stop_sequence: str = ""


@dataclass(frozen=True, slots=True)
class Completion:
    """A folded stream: all choices in order, and the usage."""

    choices: tuple[Choice, ...]
    usage: Usage

    @property
    def text(self) -> str:
        """The first choice's text."""
        return self.choices[0].text


@dataclass(frozen=True, slots=True)
class EmbeddingRequest(Call):
    """Texts (or token ids) to embed; `truncate` cuts what is longer than the context. With a
    `query` each vector is of one number, the logit of how well its text answers that; only a
    model that ranks takes one."""

    id: str
    model: str
    inputs: tuple[str | tuple[int, ...], ...]
    dimensions: int | None = None
    truncate: bool = False
    query: str | None = None


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Unit vectors, shape (inputs, dimensions), in the order of the inputs, and the usage."""

    vectors: tuple[tuple[float, ...], ...]
    usage: Usage


@dataclass(frozen=True, slots=True)
class ScorePrompt:
    """A chat, whose next turn the model is to take, and texts that this turn may begin with."""

    messages: tuple[Message, ...]
    continuations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ScoreRequest(Call):
    """How likely a model finds continuations of prompts; what the prompts have in common at
    their beginning is read once."""

    id: str
    model: str
    prompts: tuple[ScorePrompt, ...]


@dataclass(frozen=True, slots=True)
class Scores:
    """Natural-log probabilities, one per continuation of each prompt, in order, and the usage."""

    logprobs: tuple[tuple[float, ...], ...]
    usage: Usage


Request = GenerationRequest | EmbeddingRequest | ScoreRequest
