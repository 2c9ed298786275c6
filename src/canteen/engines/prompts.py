"""A request's prompt: the chat template applied, turned to token ids, fitted to the context."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from canteen.core.errors import ContextTooLong, InvalidRequest
from canteen.core.generation import GenerationRequest, Message, ScorePrompt, ScoreRequest, Tool
from canteen.core.template import is_go

# A template runs inside the engine's step loop, where nothing can stop it: a caller's may go
# through the messages and the tools, once each at a time, and build up nothing on its way.
_LONG_RUNNING = re.compile(r"\brange\b|\bmacro\b|\bset\b|\*|\bloop\s*\(|\|\s*join|\.split\b")
_LOOP = re.compile(r"\{%-?\s*(?:for\s+\w+\s+in\s+(?P<over>.*?)|(?P<end>endfor))\s*-?%\}", re.DOTALL)
LOOPED_OVER = ("messages", "tools")
MOST_TEMPLATE_CHARACTERS = 64 << 10
MOST_LOOPS = 8


class Tokenizer(Protocol):
    """What an engine's library does with text."""

    def encode(self, text: str) -> list[int]:
        """The token ids of a text by itself, without marks around it."""

    def apply(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None,
        template: str,
    ) -> str:
        """The text of messages, in OpenAI's form, up to where the answer begins; raises ValueError
        where the template cannot be applied."""


def about(folder: Path) -> dict[str, Any]:
    """What a prepared folder says about its model."""
    told: dict[str, Any] = json.loads((folder / "canteen.json").read_text("utf-8"))
    return told


class Prompts:
    """A model's tokenizer, its chat template, and what `about` its folder says of its tokens, of
    which the longest has so many characters."""

    def __init__(self, tokenizer: Tokenizer, about: Mapping[str, Any], longest_token: int) -> None:
        self._tokenizer = tokenizer
        self.context_length = int(about["context_length"])
        self.eos_ids = frozenset(int(i) for i in about["eos_token_ids"])
        self.template = str(about["chat_template"])
        self.has_tools = re.search(r"\btools\b", self.template) is not None
        self.vocab_size = int(about["vocab_size"])
        self._longest_token = longest_token
        self._bos_id = about["bos_token_id"]
        self._adds_bos = bool(about["add_bos_token"])

    def fitted(self, request: GenerationRequest, context_length: int) -> tuple[list[int], int]:
        """A request's token ids, and how many were cut off the beginning.

        Raises ContextTooLong unless one more token fits or the request allows truncation;
        InvalidRequest for what cannot be made a prompt.
        """
        tokens = self._tokens(request, context_length)
        if len(tokens) < context_length:
            return tokens, 0
        if not request.truncate:
            raise ContextTooLong(len(tokens), context_length)
        kept = self._truncated(request, tokens, context_length)
        return kept, len(tokens) - len(kept)

    def to_score(
        self, request: ScoreRequest, prompt: ScorePrompt
    ) -> tuple[tuple[int, ...], list[list[int]]]:
        """The token ids of a prompt, and of each of its continuations."""
        continuations = [self.encoded(text) for text in prompt.continuations]
        room = self.context_length - max(map(len, continuations))
        if room < 1:
            raise InvalidRequest("a label is longer than the model's context", param="labels")
        asked = GenerationRequest(request.id, request.model, messages=prompt.messages)
        tokens, _ = self.fitted(asked, room + 1)
        return tuple(tokens), continuations

    def _tokens(self, request: GenerationRequest, context_length: int) -> list[int]:
        if request.prompt_tokens is not None:
            tokens = self._checked(request.prompt_tokens)
        elif request.prompt is not None:
            tokens = self._of_text(request.prompt, context_length, request.truncate)
        else:
            tokens = self._of_messages(request, request.messages, context_length)
        return tokens or self.beginning()

    def _checked(self, tokens: Sequence[int]) -> list[int]:
        size = self.vocab_size
        for token in tokens:
            if not 0 <= token < size:
                raise InvalidRequest(
                    f"the prompt has the token id {token}; this model's are from 0 to {size - 1}",
                    param="prompt",
                )
        return list(tokens)

    def _of_text(self, text: str, context_length: int, truncate: bool) -> list[int]:
        tokens = self.encoded(self._bounded(text, context_length, truncate))
        if self._adds_bos and tokens[:1] != [self._bos_id]:
            return [self._bos_id, *tokens]
        return tokens

    def _of_messages(
        self, request: GenerationRequest, messages: tuple[Message, ...], context_length: int
    ) -> list[int]:
        # The template brings its own special tokens.
        text = self._templated(request, messages)
        return self.encoded(self._bounded(text, context_length, request.truncate))

    def _bounded(self, text: str, context_length: int, truncate: bool) -> str:
        """The text, or its newest part where it is so long that even tokenizing it would stall
        every running request."""
        most = context_length * self._longest_token
        if len(text) <= most:
            return text
        if truncate:
            return text[-most:]
        least = len(text) // self._longest_token
        raise ContextTooLong(least, context_length, is_at_least=True)

    def encoded(self, text: str) -> list[int]:
        """The token ids of a text by itself; raises InvalidRequest."""
        try:
            text.encode()
        except UnicodeEncodeError as exc:
            raise InvalidRequest(
                "the text has half of a surrogate pair; send valid Unicode", param="messages"
            ) from exc
        return self._tokenizer.encode(text) if text else []

    def beginning(self) -> list[int]:
        """What stands for an empty prompt."""
        if self._bos_id is not None:
            return [self._bos_id]
        if self.eos_ids:
            return [min(self.eos_ids)]
        raise InvalidRequest("the prompt is empty", param="prompt")

    def _truncated(
        self, request: GenerationRequest, tokens: list[int], context_length: int
    ) -> list[int]:
        """The newest part, with room for the answer: whole messages go first, then tokens."""
        wanted = request.sampling.max_tokens or context_length
        room = max(1, min(wanted, context_length // 4))
        most = max(1, context_length - room)
        messages = request.messages
        while (messages := _without_oldest(messages)) and len(tokens) > most:
            tokens = self._of_messages(request, messages, context_length)
        return tokens[-most:]

    def _templated(self, request: GenerationRequest, messages: tuple[Message, ...]) -> str:
        if not self.template and not request.template:
            raise InvalidRequest(
                "this model has no chat template; send a prompt, not messages", param="messages"
            )
        if request.template and request.template != self.template:
            _check_template(request.template)
        # Without tools in its template the library would write some of its own into the prompt.
        tools = [_wire_tool(tool) for tool in request.tools] if self.has_tools else None
        told = [_wire_message(message) for message in messages]
        try:
            return self._tokenizer.apply(told, tools or None, request.template or self.template)
        except ValueError as exc:
            # The library's text may show its source files, and the template.
            raise InvalidRequest(
                "the chat template cannot be applied to these messages"
                + ("; it must be valid Jinja" if request.template else ""),
                param="template" if request.template else "messages",
            ) from exc


def _without_oldest(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The messages less the oldest that is no system message; none when only one is left."""
    for index, message in enumerate(messages[:-1]):
        if message.role != "system":
            return messages[:index] + messages[index + 1 :]
    return ()


def _check_template(template: str) -> None:
    if is_go(template):
        raise InvalidRequest(
            "the template is in Go's language; send a Jinja template, or none for the model's own",
            param="template",
        )
    code = " ".join(re.findall(r"\{[%{].*?[%}]\}", template, re.DOTALL))
    is_too_long = len(template) > MOST_TEMPLATE_CHARACTERS or code.count("for ") > MOST_LOOPS
    if is_too_long or _LONG_RUNNING.search(code) or not _loops_are_plain(template):
        raise InvalidRequest(
            f"a template of one's own must have at most {MOST_TEMPLATE_CHARACTERS} characters and "
            f"{MOST_LOOPS} loops, each over messages or tools and none in another, "
            "and no range, macro, set, split, join or multiplication",
            param="template",
        )


def _loops_are_plain(template: str) -> bool:
    """Whether no loop is in another, and each is over messages or tools."""
    depth = 0
    for loop in _LOOP.finditer(template):
        depth += -1 if loop["end"] else 1
        if depth > 1 or (loop["over"] is not None and loop["over"].strip() not in LOOPED_OVER):
            return False
    return True


def _wire_tool(tool: Tool) -> dict[str, Any]:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
    }
    return {"type": "function", "function": function}


def _wire_message(message: Message) -> dict[str, Any]:
    wire: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.name is not None:
        wire["name"] = message.name
    if message.tool_call_id is not None:
        wire["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        wire["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": _object(call.arguments)},
            }
            for call in message.tool_calls
        ]
    return wire


def _object(arguments: str) -> Any:
    """Templates take arguments as an object; what is no JSON stays text."""
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments
