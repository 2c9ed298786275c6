"""A deterministic engine without weights: it says the prompt back, at a speed of one's choice."""

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, cycle, islice
from pathlib import Path
from typing import Any

from canteen.core.engine import Capabilities, Delta, EngineStats, Work
from canteen.core.errors import ContextTooLong, InvalidRequest
from canteen.core.generation import (
    Chunk,
    EmbeddingRequest,
    Embeddings,
    FinishReason,
    GenerationRequest,
    Grammar,
    ScorePrompt,
    ScoreRequest,
    Scores,
    TokenLogprob,
    Tool,
    Usage,
)
from canteen.engines import sampling_limits, scoring_limits

CONTEXT_LENGTH = 8192
DIMENSIONS = 64
MOST_DEPTH = 8


@dataclass(slots=True)
class _Sequence:
    """One choice being said."""

    request: GenerationRequest
    index: int
    pieces: list[str]
    prompt_tokens: int
    truncated_tokens: int
    finish_reason: FinishReason
    stop_sequence: str
    started_s: float
    said: int = 0
    first_s: float = 0.0


@dataclass(slots=True)
class EchoEngine:
    """Says the last message (or the prompt) back, word by word, again and again up to
    `max_tokens`, or once when none is given. A grammar is obeyed by a minimal instance of it;
    with tools to choose from, it calls the first one once. A continuation that occurs in what was
    said last is ten times as likely as another.

    A token is a word with the space before it. `tokens_per_s` is per sequence, and
    `prefill_tokens_per_s` for the prompt; 0 is as fast as it goes. With an adapter it says the name
    of that one's folder first.
    """

    tokens_per_s: float = 0.0
    prefill_tokens_per_s: float = 0.0
    max_num_seqs: int = 256
    context_length: int = CONTEXT_LENGTH
    adapter_rank: int = 0
    sleeps: bool = False
    name: str = "echo"
    _running: dict[str, list[_Sequence]] = field(default_factory=dict)
    _scoring: dict[str, ScoreRequest] = field(default_factory=dict)
    _work: list[Work] = field(default_factory=list)

    @property
    def capabilities(self) -> Capabilities:
        """What echo can do."""
        return Capabilities(
            context_length=self.context_length,
            max_num_seqs=self.max_num_seqs,
            grammar=True,
            scores=True,
            tools_in_template=True,
            chat_template=True,
            adapter_rank=self.adapter_rank,
            sleeps=self.sleeps,
        )

    def add(self, request: GenerationRequest | ScoreRequest) -> None:
        """Take a request; raises ContextTooLong and InvalidRequest."""
        if isinstance(request, ScoreRequest):
            self._take(request)
            return
        if request.top_logprobs:
            raise InvalidRequest(
                "this engine gives no top log-probabilities; leave top_logprobs out",
                param="top_logprobs",
            )
        if not 1 <= request.n <= self.max_num_seqs:
            raise InvalidRequest(f"n must be from 1 to {self.max_num_seqs}", param="n")
        sampling_limits.check(request.sampling)
        limit = min(request.context_length or self.context_length, self.context_length)
        words, truncated = self._fit(_words(_adapted(request)), request, limit)
        pieces, reason, stop = _completion(request, words, limit - len(words))
        now = time.monotonic()
        self._running[request.id] = [
            _Sequence(request, index, pieces, len(words), truncated, reason, stop, now)
            for index in range(request.n)
        ]

    def _take(self, request: ScoreRequest) -> None:
        scoring_limits.check(request)
        most = max(len(_words(prompt.messages[-1].content)) for prompt in request.prompts)
        if most >= self.context_length:
            raise ContextTooLong(most, self.context_length)
        self._scoring[request.id] = request

    def cancel(self, request_id: str) -> None:
        """Forget a request."""
        self._running.pop(request_id, None)
        self._scoring.pop(request_id, None)

    def has_work(self) -> bool:
        """Whether a request is running."""
        return bool(self._running or self._scoring)

    def step(self) -> Sequence[Delta]:
        """One word of every sequence that is due, after a nap where none is."""
        self._work = []
        deltas = [
            Delta(request_id, chunk)
            for request_id, sequences in list(self._running.items())
            for chunk in self._speak(request_id, sequences)
        ]
        deltas += [self._score(request) for request in self._scoring.values()]
        self._scoring.clear()
        if not deltas:
            time.sleep(0.001)
        return deltas

    def work(self) -> Sequence[Work]:
        """As if each sequence had read the prompt for its first word, and written the others."""
        return self._work

    def stats(self) -> EngineStats:
        """Echo holds no cache and next to no memory."""
        return EngineStats(num_running=len(self._running))

    def _fit(
        self, words: list[str], request: GenerationRequest, limit: int
    ) -> tuple[list[str], int]:
        if len(words) < limit:
            return words, 0
        if not request.truncate:
            raise ContextTooLong(len(words), limit)
        kept = words[-(limit - 1) :]
        return kept, len(words) - len(kept)

    def _speak(self, request_id: str, sequences: list[_Sequence]) -> list[Chunk]:
        now = time.monotonic()
        chunks = []
        for sequence in sequences:
            if sequence.said <= len(sequence.pieces) and self._is_due(sequence, now):
                chunks.append(self._next(sequence, now))
        if all(sequence.said > len(sequence.pieces) for sequence in sequences):
            del self._running[request_id]
            chunks.append(_last(chunks.pop(), sequences, now))
        return chunks

    def _score(self, request: ScoreRequest) -> Delta:
        num_tokens = sum(len(_words(prompt.messages[-1].content)) for prompt in request.prompts)
        self._work.append(Work(request.id, num_tokens, 0, 0))
        logprobs = tuple(_likeliness(prompt) for prompt in request.prompts)
        return Delta(request.id, scores=Scores(logprobs, Usage(prompt_tokens=num_tokens)))

    def _is_due(self, sequence: _Sequence, now: float) -> bool:
        is_read = self.prefill_tokens_per_s and not sequence.request.counts_only
        prefill_s = sequence.prompt_tokens / self.prefill_tokens_per_s if is_read else 0.0
        decode_s = sequence.said / self.tokens_per_s if self.tokens_per_s else 0.0
        return now >= sequence.started_s + prefill_s + decode_s

    def _next(self, sequence: _Sequence, now: float) -> Chunk:
        sequence.first_s = sequence.first_s or now
        position = sequence.said
        sequence.said += 1
        if position == len(sequence.pieces):
            return Chunk(
                index=sequence.index,
                finish_reason=sequence.finish_reason,
                stop_sequence=sequence.stop_sequence,
            )
        self._work.append(_work(sequence, position))
        piece = sequence.pieces[position]
        logprobs = (TokenLogprob(piece, 0.0, piece.encode()),) if sequence.request.logprobs else ()
        return Chunk(piece, sequence.index, num_tokens=1, logprobs=logprobs)


def _likeliness(prompt: ScorePrompt) -> tuple[float, ...]:
    said = prompt.messages[-1].content.lower()
    weights = [10 if text.lower() in said else 1 for text in prompt.continuations]
    return tuple(math.log(weight / sum(weights)) for weight in weights)


def _work(sequence: _Sequence, position: int) -> Work:
    if position == 0:
        return Work(sequence.request.id, sequence.prompt_tokens, 0, 0)
    return Work(sequence.request.id, 0, 1, sequence.prompt_tokens + position - 1)


def _last(chunk: Chunk, sequences: list[_Sequence], now: float) -> Chunk:
    first = sequences[0]
    first_s = min(sequence.first_s for sequence in sequences)
    usage = Usage(
        prompt_tokens=first.prompt_tokens,
        completion_tokens=sum(len(sequence.pieces) for sequence in sequences),
        truncated_tokens=first.truncated_tokens,
        prefill_s=first_s - first.started_s,
        decode_s=now - first_s,
    )
    return replace(chunk, usage=usage)


def _words(text: str) -> list[str]:
    words = text.split(" ")
    return [word if i == 0 else f" {word}" for i, word in enumerate(words)] if text else []


def _adapted(request: GenerationRequest) -> str:
    """The prompt as it is said back."""
    said = _prompt(request)
    return f"{Path(request.adapter).name} {said}" if request.adapter else said


def _prompt(request: GenerationRequest) -> str:
    if request.prompt_tokens is not None:
        return " ".join(str(token) for token in request.prompt_tokens)
    if request.prompt is not None:
        return request.prompt
    return request.messages[-1].content if request.messages else ""


def _completion(
    request: GenerationRequest, words: list[str], room: int
) -> tuple[list[str], FinishReason, str]:
    """The pieces to say, why they end, and the stop string that ended them."""
    if request.counts_only:
        return [], "stop", ""
    if request.grammar is not None:
        pieces = [_obey(request.grammar)]
    elif request.tools and request.messages[-1].role == "user":
        pieces = [_call(request.tools[0])]
    elif request.sampling.max_tokens is None and not request.sampling.ignore_eos:
        pieces = words
    else:
        wanted = request.sampling.max_tokens or room
        again = _words(" " + "".join(words or ["echo"]))[1:]
        pieces = list(islice(chain(words, cycle(again)), min(wanted, room)))
    limit = min(request.sampling.max_tokens or room, room)
    text = "".join(pieces[:limit])
    ends = [(at, stop) for stop in request.sampling.stop if stop and (at := text.find(stop)) >= 0]
    if ends:
        end, stop = min(ends)
        return _words(text[:end]), "stop", stop
    is_cut = len(pieces) >= limit and request.sampling.max_tokens is not None
    return pieces[:limit], "length" if is_cut and request.grammar is None else "stop", ""


def _call(tool: Tool) -> str:
    made = _instance(tool.parameters, tool.parameters)
    # A tool may take nothing, or be said to take what is no object.
    arguments = made if isinstance(made, dict) else {}
    return f"<tool_call>{json.dumps({'name': tool.name, 'arguments': arguments})}</tool_call>"


def _obey(grammar: Grammar) -> str:
    if grammar.kind == "json_object":
        return "{}"
    if grammar.kind == "regex":
        return grammar.value.split("|")[0].strip("()").replace("\\", "")
    schema = json.loads(grammar.value)
    return json.dumps(_instance(schema, schema))


_SIMPLEST: Mapping[str, Any] = {
    "string": "echo",
    "integer": 1,
    "number": 1.0,
    "boolean": True,
    "null": None,
}


def _instance(schema: Any, root: Any, depth: int = 0) -> Any:
    """A small instance of the common part of JSON Schema; deep down, of what is required."""
    if not isinstance(schema, dict):
        return None
    if "$ref" in schema:
        return _instance(_resolve(schema["$ref"], root), root, depth + 1)
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return _instance(schema[key][0], root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    return _of_type(schema, root, depth + 1)


def _resolve(reference: str, root: Any) -> Any:
    for key in reference.removeprefix("#").strip("/").split("/"):
        root = root[key] if key else root
    return root


def _of_type(schema: Mapping[str, Any], root: Any, depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "null")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        properties = schema.get("properties", {})
        names = schema.get("required", ()) if depth > MOST_DEPTH else properties
        return {name: _instance(properties.get(name), root, depth) for name in names}
    if kind == "array":
        number = _bound(schema, "minItems", 0 if depth > MOST_DEPTH else 1)
        return [_instance(schema.get("items", {}), root, depth)] * number if number else []
    if kind == "string":
        text = "echo".ljust(_bound(schema, "minLength", 0), "o")
        return text[: _bound(schema, "maxLength", CONTEXT_LENGTH)]
    if kind in ("integer", "number") and "minimum" in schema:
        return schema["minimum"]
    return _SIMPLEST.get(kind)


def _bound(schema: Mapping[str, Any], key: str, usual: int) -> int:
    """A length that a schema asks for, which no answer makes larger than the context."""
    return int(min(schema.get(key, usual), CONTEXT_LENGTH))


class EchoEmbedder:
    """Unit vectors from a hash of each text's words: equal texts agree, alike texts are near."""

    name = "echo"

    def embed(
        self, request: EmbeddingRequest, before_step: Callable[[int], object] = lambda tokens: None
    ) -> Embeddings:
        """Embed in one step; raises InvalidRequest for more dimensions than there are."""
        dimensions = request.dimensions or DIMENSIONS
        if dimensions > DIMENSIONS:
            raise InvalidRequest(
                f"this model gives at most {DIMENSIONS} dimensions, not {dimensions}",
                param="dimensions",
            )
        texts = [_words(_text(item)) for item in request.inputs]
        num_tokens = sum(map(len, texts))
        before_step(num_tokens)
        vectors = tuple(_vector(words, dimensions) for words in texts)
        return Embeddings(vectors, Usage(prompt_tokens=num_tokens))


def _text(item: str | tuple[int, ...]) -> str:
    return item if isinstance(item, str) else " ".join(str(token) for token in item)


def _vector(words: list[str], dimensions: int) -> tuple[float, ...]:
    sums = [0.0] * dimensions
    for word in words or [""]:
        digest = hashlib.shake_128(word.strip().encode()).digest(dimensions)
        sums = [total + byte - 127.5 for total, byte in zip(sums, digest, strict=True)]
    norm = sum(value * value for value in sums) ** 0.5
    return tuple(value / norm for value in sums)
