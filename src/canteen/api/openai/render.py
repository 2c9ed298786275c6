"""From our words to the dialect's answers; pure: ids and times are arguments."""

import struct
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from canteen.core.errors import CanteenError, InvalidRequest
from canteen.core.generation import (
    Choice,
    Chunk,
    Completion,
    Embeddings,
    FinishReason,
    TokenLogprob,
    ToolCall,
    Usage,
)
from canteen.core.model import ModelCard

Json = dict[str, Any]
DONE = b"[DONE]"
OWNER = "canteen"
FINISH_REASONS: dict[FinishReason, str] = {"length": "length", "tool_calls": "tool_calls"}
ERROR_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    429: "rate_limit_error",
    503: "overloaded_error",
}


def error_body(error: CanteenError, status: int) -> Json:
    """An error; all four keys are always there, and `code` is never a number."""
    usual = "server_error" if status >= 500 else "invalid_request_error"
    return {
        "error": {
            "message": error.message,
            "type": ERROR_TYPES.get(status, usual),
            "param": error.param if isinstance(error, InvalidRequest) else None,
            "code": error.code,
        }
    }


@dataclass(frozen=True, slots=True)
class Envelope:
    """What every frame of an answer has at its top level; further top-level keys go here."""

    id: str
    object: str
    created: int
    model: str

    def around(self, choices: list[Json], usage: Usage | None = None) -> Json:
        """A body or frame with these choices."""
        body: Json = {
            "id": self.id,
            "object": self.object,
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }
        return body if usage is None else body | {"usage": usage_body(usage)}


def chat(completion: Completion, request_id: str, created: int, model: str) -> Json:
    """A whole answer to a chat."""
    envelope = Envelope(request_id, "chat.completion", created, model)
    choices = [_chat_choice(i, choice) for i, choice in enumerate(completion.choices)]
    return envelope.around(choices, completion.usage)


def completion(completion: Completion, request_id: str, created: int, model: str) -> Json:
    """Continuations of one or several prompts."""
    envelope = Envelope(request_id, "text_completion", created, model)
    choices = [
        _text_choice(
            i, choice.text, _legacy_logprobs(choice.logprobs, 0), finish(choice.finish_reason)
        )
        for i, choice in enumerate(completion.choices)
    ]
    return envelope.around(choices, completion.usage)


class ChatFrames:
    """The frames of a streamed chat, in the order every client can read."""

    def __init__(self, request_id: str, created: int, model: str, n: int = 1) -> None:
        self._envelope = Envelope(request_id, "chat.completion.chunk", created, model)
        self._num_calls = [0] * n
        self._is_begun = False

    def of(self, chunk: Chunk) -> Iterator[Json]:
        """The frames of a chunk; before the first, the role of every choice."""
        if not self._is_begun:
            self._is_begun = True
            for index in range(len(self._num_calls)):
                yield self._frame(index, {"role": "assistant"})
        if chunk.text or chunk.logprobs:
            yield self._frame(chunk.index, {"content": chunk.text}, chunk.logprobs)
        for call in chunk.tool_calls:
            yield from self._call(chunk.index, call)
        if chunk.finish_reason is not None:
            yield self._frame(chunk.index, {}, reason=finish(chunk.finish_reason))

    def usage(self, usage: Usage) -> Json:
        """The frame that only says what was used."""
        return self._envelope.around([], usage)

    def _call(self, index: int, call: ToolCall) -> Iterator[Json]:
        """Who is called, then with what: some clients append ids, so they come once."""
        position = self._num_calls[index]
        self._num_calls[index] += 1
        opening = {"index": position, **_tool_call(call, arguments="")}
        rest = {"index": position, "function": {"arguments": call.arguments}}
        yield self._frame(index, {"tool_calls": [opening]})
        yield self._frame(index, {"tool_calls": [rest]})

    def _frame(
        self,
        index: int,
        delta: Json,
        logprobs: Sequence[TokenLogprob] = (),
        reason: str | None = None,
    ) -> Json:
        choice: Json = {"index": index, "delta": delta, "finish_reason": reason}
        if logprobs:
            choice["logprobs"] = _logprobs(logprobs)
        return self._envelope.around([choice])


class CompletionFrames:
    """The frames of a streamed plain completion."""

    def __init__(self, request_id: str, created: int, model: str, n: int = 1) -> None:
        self._envelope = Envelope(request_id, "text_completion", created, model)
        self._num_characters = [0] * n

    def of(self, chunk: Chunk) -> Iterator[Json]:
        """The frame of a chunk, if it says anything."""
        if not (chunk.text or chunk.logprobs or chunk.finish_reason):
            return
        logprobs = _legacy_logprobs(chunk.logprobs, self._num_characters[chunk.index])
        self._num_characters[chunk.index] += len(chunk.text)
        reason = finish(chunk.finish_reason) if chunk.finish_reason else None
        yield self._envelope.around([_text_choice(chunk.index, chunk.text, logprobs, reason)])

    def usage(self, usage: Usage) -> Json:
        """The frame that only says what was used."""
        return self._envelope.around([], usage)


def embeddings(made: Embeddings, model: str, encoding: str) -> Json:
    """Vectors in the order of the inputs."""
    data = [
        {
            "object": "embedding",
            "index": i,
            "embedding": _base64(vector) if encoding == "base64" else list(vector),
        }
        for i, vector in enumerate(made.vectors)
    ]
    tokens = made.usage.prompt_tokens
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": model, "usage": usage}


def model(card: ModelCard) -> Json:
    """A model of the store."""
    created = int(datetime.fromisoformat(card.modified_at).timestamp())
    return {"id": card.name, "object": "model", "created": created, "owned_by": OWNER}


def models(cards: Sequence[ModelCard]) -> Json:
    """The models of the store."""
    return {"object": "list", "data": [model(card) for card in cards]}


def usage_body(usage: Usage) -> Json:
    """Tokens read and written."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def finish(reason: FinishReason) -> str:
    """Why a choice ended; clients know no other words than OpenAI's."""
    return FINISH_REASONS.get(reason, "stop")


def token_logprobs(tokens: Sequence[TokenLogprob]) -> list[Json]:
    """Tokens with their log-probabilities and their likeliest alternatives."""
    return [
        {**_token(token), "top_logprobs": [_token(top) for top in token.top]} for token in tokens
    ]


def _token(token: TokenLogprob) -> Json:
    return {"token": token.token, "logprob": token.logprob, "bytes": list(token.bytes)}


def _logprobs(tokens: Sequence[TokenLogprob]) -> Json:
    return {"content": token_logprobs(tokens)}


def _legacy_logprobs(tokens: Sequence[TokenLogprob], offset: int) -> Json | None:
    """Log-probabilities as the completions API has them: parallel lists."""
    if not tokens:
        return None
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(token.token)
    return {
        "tokens": [token.token for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": [{top.token: top.logprob for top in token.top} for token in tokens],
        "text_offset": offsets,
    }


def _chat_choice(index: int, choice: Choice) -> Json:
    message: Json = {"role": "assistant", "content": choice.text}
    if choice.tool_calls:
        message["content"] = choice.text or None
        message["tool_calls"] = [_tool_call(call, call.arguments) for call in choice.tool_calls]
    body: Json = {
        "index": index,
        "message": message,
        "finish_reason": finish(choice.finish_reason),
    }
    return body | {"logprobs": _logprobs(choice.logprobs)} if choice.logprobs else body


def _text_choice(index: int, text: str, logprobs: Json | None, reason: str | None) -> Json:
    return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason}


def _tool_call(call: ToolCall, arguments: str) -> Json:
    function = {"name": call.name, "arguments": arguments}
    return {"id": call.id, "type": "function", "function": function}


def _base64(vector: Sequence[float]) -> str:
    return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
