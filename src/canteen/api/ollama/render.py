"""From our words to the dialect's answers; pure: times are arguments."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from canteen.api.ollama.durations import nanoseconds
from canteen.core.errors import CanteenError, ContextTooLong, InvalidOutput
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
from canteen.core.model import Progress

Json = dict[str, Any]
Say = Callable[[str, list[Json]], Json]


def error_body(error: CanteenError, status: int) -> Json:
    """An error is a string; a prompt that is too long also has its numbers."""
    body: Json = {"error": error.message}
    if isinstance(error, ContextTooLong):
        body |= {"prompt_tokens": error.prompt_tokens, "n_ctx": error.context_length}
    return body


def late_error(error: CanteenError) -> Json:
    """An error inside a stream: a line with one key."""
    return {"error": error.message}


def generated(text: str, calls: list[Json]) -> Json:
    """How /api/generate says a text."""
    return {"response": text}


def chatted(text: str, calls: list[Json]) -> Json:
    """How /api/chat says a text and calls tools."""
    message: Json = {"role": "assistant", "content": text}
    return {"message": message | {"tool_calls": calls} if calls else message}


@dataclass(slots=True)
class Lines:
    """The lines of a streamed answer."""

    model: str
    say: Say
    num_calls: int = 0

    def of(self, chunk: Chunk, now: str) -> Iterator[Json]:
        """What a chunk says, if it says anything."""
        calls = _calls(chunk.tool_calls, self.num_calls)
        self.num_calls += len(calls)
        if chunk.text or calls or chunk.logprobs:
            line = self._line(now, self.say(chunk.text, calls), is_done=False)
            yield line | _logprobs(chunk.logprobs)

    def last(self, reason: FinishReason, usage: Usage, total_s: float, now: str) -> Json:
        """The line that ends a good stream, with all counts."""
        line = self._line(now, self.say("", []), is_done=True)
        return line | _ending(reason, usage, total_s)

    def _line(self, now: str, said: Json, *, is_done: bool) -> Json:
        return {"model": self.model, "created_at": now, **said, "done": is_done}


def whole(model: str, say: Say, completion: Completion, total_s: float, now: str) -> Json:
    """An answer that is not streamed."""
    choice: Choice = completion.choices[0]
    return {
        "model": model,
        "created_at": now,
        **say(choice.text, _calls(choice.tool_calls, 0)),
        "done": True,
        **_ending(choice.finish_reason, completion.usage, total_s),
        **_logprobs(choice.logprobs),
    }


def nothing(model: str, say: Say, reason: str, load_s: float, now: str) -> Json:
    """The answer to no prompt, which only loads or unloads the model."""
    return {
        "model": model,
        "created_at": now,
        **say("", []),
        "done": True,
        "done_reason": reason,
        **_counts(Usage(load_s=load_s), load_s),
    }


def embedded(model: str, made: Embeddings, total_s: float) -> Json:
    """Vectors in the order of the inputs."""
    body: Json = {
        "model": model,
        "embeddings": [list(vector) for vector in made.vectors],
        "total_duration": nanoseconds(total_s),
        "load_duration": nanoseconds(made.usage.load_s),
        "prompt_eval_count": made.usage.prompt_tokens,
    }
    return body | _truncated(made.usage)


def progress(step: Progress) -> Json:
    """A step of a pull or a create."""
    line: Json = {"status": step.status}
    if step.digest:
        line["digest"] = step.digest
    if step.total:
        line |= {"total": step.total, "completed": step.completed}
    return line


def _ending(reason: FinishReason, usage: Usage, total_s: float) -> Json:
    """Why it ended, in the two words there are, and the counts."""
    word = "length" if reason == "length" else "stop"
    return {"done_reason": word, **_counts(usage, total_s), **_truncated(usage)}


def _counts(usage: Usage, total_s: float) -> Json:
    return {
        "total_duration": nanoseconds(total_s),
        "load_duration": nanoseconds(usage.load_s),
        "prompt_eval_count": usage.prompt_tokens,
        "prompt_eval_duration": nanoseconds(usage.prefill_s),
        "eval_count": usage.completion_tokens,
        "eval_duration": nanoseconds(usage.decode_s),
    }


def _truncated(usage: Usage) -> Json:
    return {"truncated_tokens": usage.truncated_tokens} if usage.truncated_tokens else {}


def _calls(calls: Sequence[ToolCall], start: int) -> list[Json]:
    """Only these keys: some clients fail on any other."""
    return [
        {
            "id": call.id,
            "function": {"index": index, "name": call.name, "arguments": _arguments(call)},
        }
        for index, call in enumerate(calls, start)
    ]


def _arguments(call: ToolCall) -> Json:
    arguments = json.loads(call.arguments)
    if not isinstance(arguments, dict):
        raise InvalidOutput("the model called a tool with arguments that are no object; try again")
    return arguments


def _logprobs(tokens: Sequence[TokenLogprob]) -> Json:
    if not tokens:
        return {}
    return {
        "logprobs": [
            {**_token(token), "top_logprobs": [_token(top) for top in token.top]}
            for token in tokens
        ]
    }


def _token(token: TokenLogprob) -> Json:
    return {"token": token.token, "logprob": token.logprob, "bytes": list(token.bytes)}
