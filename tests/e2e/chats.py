"""Chats with the echo model in every dialect, whose tokens are counted as they come."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

PATHS = {
    "openai": "/v1/chat/completions",
    "ollama": "/api/chat",
    "anthropic": "/v1/messages",
}
DIALECTS = ["openai", "ollama"]
LOOK_EVERY_S = 0.01


@dataclass(frozen=True)
class Chat:
    """What is asked: echo says its prompt again and again until `num_tokens` are said."""

    dialect: str = "openai"
    num_prompt_tokens: int = 1
    num_tokens: int = 10
    is_streamed: bool = True
    model: str = "echo"
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Where it is sent."""
        return PATHS[self.dialect]

    @property
    def body(self) -> dict[str, Any]:
        """What is sent."""
        messages = [{"role": "user", "content": " ".join(["word"] * self.num_prompt_tokens)}]
        body = {"model": self.model, "messages": messages, "stream": self.is_streamed}
        if self.dialect == "ollama":
            return body | {"options": {"num_predict": self.num_tokens}}
        return body | {"max_tokens": self.num_tokens}


@dataclass
class Answer:
    """What has come of an answer so far; a token of echo is a word."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    text: str = ""

    @property
    def num_tokens(self) -> int:
        """Tokens that have come."""
        return len(self.text.split())

    @property
    def is_whole(self) -> bool:
        """Whether a stream has ended as it should."""
        return self.lines[-1] == "data: [DONE]" or '"done":true' in self.lines[-1]

    @property
    def error_code(self) -> str:
        """The code of the error that a request of OpenAI's dialect was answered with."""
        return str(json.loads(self.lines[-1].removeprefix("data: "))["error"]["code"])


async def ask(client: httpx.AsyncClient, chat: Chat, answer: Answer | None = None) -> Answer:
    """Send a chat and read all of its answer, which fills up meanwhile."""
    answer = Answer() if answer is None else answer
    sent = client.stream("POST", chat.path, json=chat.body, headers=chat.headers)
    async with sent as reply:
        answer.status, answer.headers = reply.status_code, reply.headers
        async for line in reply.aiter_lines():
            if line:
                answer.lines.append(line)
                answer.text += _text(line)
    return answer


@asynccontextmanager
async def asking(
    client: httpx.AsyncClient, chat: Chat, answer: Answer | None = None
) -> AsyncIterator[Answer]:
    """Within the block the chat is being answered; its end hangs up."""
    answer = Answer() if answer is None else answer
    task = asyncio.ensure_future(ask(client, chat, answer))
    try:
        yield answer
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(holds: Callable[[], bool]) -> None:
    """Look again and again; the time limit of the test ends it."""
    # The service is another process: only asking tells how it is.
    while not await asyncio.to_thread(holds):  # noqa: ASYNC110
        await asyncio.sleep(LOOK_EVERY_S)


def _text(line: str) -> str:
    """What a line of a stream, or a whole answer, says."""
    data = line.removeprefix("data: ")
    if not data.startswith("{"):
        return ""
    said = json.loads(data)
    message = said.get("message") or {}
    for choice in said.get("choices", ()):
        message = choice.get("delta") or choice.get("message") or {}
    if said.get("type") == "content_block_delta":
        return str(said["delta"]["text"])
    content = message.get("content")
    return content if isinstance(content, str) else ""
