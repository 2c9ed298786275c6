"""What a request may take at most, before anything of it is read."""

import math
from collections import deque
from collections.abc import Mapping

from canteen.core.generation import (
    EmbeddingRequest,
    GenerationRequest,
    Request,
    ScoreRequest,
)
from canteen.metering.keys.limits import Unit

# A chat template puts marks around each message, and may begin with words of its own.
_PER_MESSAGE, _PER_CHAT, _PER_TOOLS = 16, 64, 256
# Of an input that is embedded or scored.
_PER_INPUT = 8
# A request may take so much more per token than the dearest of the last ones.
_MARGIN = 2.0
_REMEMBERED = 64


def prompt_tokens(request: Request, context_length: int) -> int:
    """The most tokens that a request's prompts can have: a token is at least a byte of text, and
    no more than the context is ever read of one."""
    if isinstance(request, EmbeddingRequest):
        return sum(min(_length(text) + _PER_INPUT, context_length) for text in request.inputs)
    if isinstance(request, ScoreRequest):
        return sum(
            min(_chat([one.content for one in prompt.messages]), context_length)
            + sum(_length(text) + _PER_INPUT for text in prompt.continuations)
            for prompt in request.prompts
        )
    chat = _chat([one.content for one in request.messages])
    calls = sum(len(str(call).encode()) for one in request.messages for call in one.tool_calls)
    tools = sum(_PER_TOOLS + len(str(tool).encode()) for tool in request.tools)
    raw = _length(request.prompt or "")
    return min(chat + calls + tools + raw + len(request.prompt_tokens or ()), context_length)


def completion_tokens(request: Request, context_length: int) -> int:
    """The most tokens that each answer to a request can have."""
    if not isinstance(request, GenerationRequest):
        return 0
    limit = request.sampling.max_tokens
    return context_length if limit is None else min(limit, context_length)


def num_tries(request: Request) -> int:
    """How often it may be answered: JSON that is not valid is made again, where nobody has seen
    it yet."""
    if not isinstance(request, GenerationRequest):
        return 1
    return 2 if request.grammar is not None or request.tools else 1


def _chat(texts: list[str]) -> int:
    return _PER_CHAT + sum(_PER_MESSAGE + _length(text) for text in texts)


def _length(text: "str | tuple[int, ...]") -> int:
    return len(text.encode()) if isinstance(text, str) else len(text)


class Appetites:
    """What models took per token lately, of what is known only when it has been taken."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[dict[Unit, float]]] = {}

    def see(self, model: str, used: Mapping[Unit, int]) -> None:
        """Note what a request took."""
        seen = self._seen.setdefault(model, deque(maxlen=_REMEMBERED))
        tokens = max(used["tokens"], 1)
        seen.append({unit: amount / tokens for unit, amount in used.items()})

    def most_per_token(self, model: str, unit: Unit) -> int | None:
        """What a token may take at most; None before anything was seen."""
        known = [one[unit] for one in self._seen.get(model, ()) if unit in one]
        return math.ceil(max(known) * _MARGIN) if known else None
