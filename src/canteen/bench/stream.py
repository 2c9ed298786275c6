"""What the events of a streamed chat say: text, the server's count of tokens, or an error."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from canteen.bench.figures import Outcome


class Delta(msgspec.Struct):
    """The text of an event."""

    content: str | None = None
    reasoning_content: str | None = None


class Choice(msgspec.Struct):
    """The one choice."""

    delta: Delta = msgspec.field(default_factory=Delta)


class PromptDetails(msgspec.Struct):
    """How much of the prompt was in a cache."""

    cached_tokens: int | None = None


class Usage(msgspec.Struct):
    """The server's own count."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: PromptDetails | None = None


class Event(msgspec.Struct):
    """An event of the stream, or the body of an error."""

    choices: list[Choice] = []
    usage: Usage | None = None
    error: Any = None


decode = msgspec.json.Decoder(Event).decode


@dataclass(slots=True)
class Answer:
    """What has come of an answer; `status` is 0 until the server says one."""

    text_s: list[float] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    status: int = 0
    retry_after_s: float | None = None
    error: str = ""
    message: str = ""
    is_done: bool = False

    def take(self, line: bytes, now_s: float) -> None:
        """Take a line of the stream."""
        if not line.startswith(b"data:"):
            return
        data = line[5:].strip()
        if data == b"[DONE]":
            self.is_done = True
            return
        event = decode(data)
        if event.error is not None:
            self.fail(event.error)
        self.usage = event.usage or self.usage
        if any(one.delta.content or one.delta.reasoning_content for one in event.choices):
            self.text_s.append(now_s)

    def fail(self, error: Any) -> None:
        """Take an error as OpenAI's shape has it, or as it is."""
        shaped = error if isinstance(error, dict) else {"message": str(error)}
        self.error = str(self.status if self.status != 200 else shaped.get("code") or "error")
        self.message = str(shaped.get("message", ""))

    def fail_with(self, body: bytes) -> None:
        """Take the body of an answer that is no stream."""
        try:
            self.fail(decode(body).error)
        except msgspec.MsgspecError:
            self.fail(body.decode(errors="replace")[:200])

    def outcome(self, due_s: float, sent_s: float, end_s: float) -> Outcome:
        """What is kept of it."""
        details = self.usage.prompt_tokens_details or PromptDetails()
        return Outcome(
            due_s,
            sent_s,
            end_s,
            self.text_s,
            prompt_tokens=self.usage.prompt_tokens,
            cached_tokens=details.cached_tokens or 0,
            completion_tokens=self.usage.completion_tokens,
            error=self.error,
            message=self.message,
            retry_after_s=self.retry_after_s,
        )
