"""Scores through OpenVINO: prompts read in batches, and what they begin with alike read once."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from canteen.core.batching import by_length
from canteen.core.engine import Work
from canteen.core.generation import Scores, Usage
from canteen.engines.beginnings import Beginnings, Tokens, shared_length
from canteen.engines.openvino_forward import Forward, State

# So many prompts that wait are looked at for what they share.
WINDOW = 64
# A row has the keys and values of all that stands before it, of its own: so many tokens may stand
# in all rows of a step.
MOST_ROW_TOKENS = 4096


@dataclass(slots=True)
class _Prompt:
    """A prompt under way, of which `num_read` tokens were not found but read."""

    request_id: str
    index: int
    tokens: Tokens
    continuations: Sequence[Sequence[int]]
    num_read: int = 0


@dataclass(slots=True)
class _Request:
    """A request under way; its start in seconds of the monotonic clock."""

    logprobs: list[tuple[float, ...]]
    num_left: int
    usage: Usage = field(default_factory=Usage)
    started_s: float = 0.0


@dataclass(slots=True)
class _Branching:
    """Prompts that are read, with the scores of their first tokens, and the continuations whose
    other tokens are not: the place of its prompt, its own place, its tokens. `state` is where the
    prompts ended, kept where one step is not enough."""

    batch: Sequence[_Prompt]
    scores: list[list[float]]
    rows: list[tuple[int, int, Sequence[int]]]
    num_at_once: int = 1
    state: State | None = None


class OpenVinoScorer:
    """Requests for scores, worked on a step at a time."""

    def __init__(self, forward: Forward) -> None:
        self._forward = forward
        self._waiting: list[_Prompt] = []
        self._requests: dict[str, _Request] = {}
        self._beginnings: Beginnings[State] = Beginnings()
        self._branching: _Branching | None = None
        self._last: Tokens = ()
        self._work: list[Work] = []

    def add(
        self, request_id: str, prompts: Sequence[tuple[Tokens, Sequence[Sequence[int]]]]
    ) -> None:
        """Take a request: prompts, each with its continuations; nothing is empty."""
        self._requests[request_id] = _Request([()] * len(prompts), len(prompts))
        self._waiting += [
            _Prompt(request_id, index, tokens, continuations)
            for index, (tokens, continuations) in enumerate(prompts)
        ]

    def cancel(self, request_id: str) -> None:
        """Forget a request, and what is read for nobody else."""
        if self._requests.pop(request_id, None) is not None:
            self._waiting = [one for one in self._waiting if one.request_id != request_id]
            branching = self._branching
            if branching and not any(one.request_id in self._requests for one in branching.batch):
                self._branching = None

    def has_work(self) -> bool:
        """Whether a step would do anything."""
        return bool(self._waiting or self._branching)

    def work(self) -> Sequence[Work]:
        """What the last step read, a row a prompt."""
        return self._work

    def step(self, max_tokens: int) -> Iterator[tuple[str, Scores]]:
        """Read at most so many tokens of prompts, and what continues them; gives the scores of
        the requests that have all of theirs."""
        self._work = []
        if self._branching is not None:
            self._forward.start(self._branching.state)
            yield from self._branch(self._branching)
        elif self._waiting:
            yield from self._read_on(max_tokens)

    def _read_on(self, max_tokens: int) -> Iterator[tuple[str, Scores]]:
        began_s = time.monotonic()
        head = self._waiting[0]
        num_known, state = self._beginnings.find(head.tokens)
        until = self._keep_until(head, num_known, max_tokens)
        batch = [head] if until > num_known else self._batch(head, num_known, max_tokens)
        for one in batch:
            request = self._requests[one.request_id]
            request.started_s = request.started_s or began_s
        if until > num_known:
            self._read_beginning(head, num_known, until, state)
            return
        self._last = head.tokens
        done = {id(one) for one in batch}
        self._waiting = [one for one in self._waiting if id(one) not in done]
        yield from self._branch(self._read(batch, num_known, state))
        self._beginnings.shorten()

    def _keep_until(self, head: _Prompt, num_known: int, max_tokens: int) -> int:
        """How many tokens of the beginning are to be read by themselves and kept: what others
        share, or have shared, and what is too much for one step."""
        others = [one.tokens for one in self._waiting[1:WINDOW]]
        shared = shared_length(head.tokens, [*others, self._last], num_known)
        rest = len(head.tokens) - max_tokens
        until = max(shared, num_known, rest)
        return min(until, num_known + max_tokens)

    def _read_beginning(
        self, head: _Prompt, num_known: int, until: int, state: State | None
    ) -> None:
        self._forward.start(state)
        self._forward.read([head.tokens[num_known:until]], [0], [(0, 0, 0)])
        self._beginnings.keep(head.tokens[:until], self._forward.state())
        self._note(head, until - num_known, num_known)

    def _batch(self, head: _Prompt, num_known: int, max_tokens: int) -> list[_Prompt]:
        """The head, and those that wait with the same beginning and fit beside it."""
        alike = [
            one
            for one in self._waiting[:WINDOW]
            if num_known < len(one.tokens) <= num_known + max_tokens
            and one.tokens[:num_known] == head.tokens[:num_known]
        ]
        lengths = [len(one.tokens) - num_known for one in alike]
        batches = [[alike[index] for index in batch] for batch in by_length(lengths, max_tokens)]
        batch = next(batch for batch in batches if any(one is head for one in batch))
        most = max(1, MOST_ROW_TOKENS // max(len(one.tokens) for one in batch))
        return [head, *(one for one in batch if one is not head)][:most]

    def _read(self, batch: Sequence[_Prompt], num_known: int, state: State | None) -> _Branching:
        """Read the rest of the prompts."""
        self._forward.start(state)
        rests = [one.tokens[num_known:] for one in batch]
        picks = [
            (row, len(rest) - 1, text[0])
            for row, (one, rest) in enumerate(zip(batch, rests, strict=True))
            for text in one.continuations
        ]
        first = iter(self._forward.read(rests, [0] * len(batch), picks))
        scores = [[next(first) for _ in one.continuations] for one in batch]
        rows = [
            (parent, index, text)
            for parent, one in enumerate(batch)
            for index, text in enumerate(one.continuations)
            if len(text) > 1
        ]
        # Those of like length side by side, so that little is read for padding.
        rows.sort(key=lambda row: len(row[2]))
        for one in batch:
            self._note(one, len(one.tokens) - num_known, num_known)
        longest = max(
            (len(batch[parent].tokens) + len(text) for parent, _, text in rows), default=1
        )
        num_at_once = max(1, MOST_ROW_TOKENS // longest)
        kept = self._forward.state() if len(rows) > num_at_once else None
        return _Branching(batch, scores, rows, num_at_once, kept)

    def _branch(self, branching: _Branching) -> Iterator[tuple[str, Scores]]:
        """Add to some scores what the tokens after the first have; when all have, they are told."""
        some = branching.rows[: branching.num_at_once]
        branching.rows = branching.rows[branching.num_at_once :]
        if some:
            for (parent, index, text), more in zip(some, self._continued(some), strict=True):
                branching.scores[parent][index] += more
                self._note(branching.batch[parent], 0, 0, len(text) - 1)
        self._branching = branching if branching.rows else None
        if self._branching is None:
            yield from self._ended(branching)

    def _continued(self, rows: Sequence[tuple[int, int, Sequence[int]]]) -> Iterator[float]:
        picks = [
            (row, place, token)
            for row, (*_, text) in enumerate(rows)
            for place, token in enumerate(text[1:])
        ]
        parents = [parent for parent, *_ in rows]
        found = iter(self._forward.read([text[:-1] for *_, text in rows], parents, picks))
        return (sum(next(found) for _ in text[1:]) for *_, text in rows)

    def _note(self, one: _Prompt, num_read: int, num_known: int, more: int = 0) -> None:
        one.num_read += num_read
        if one.request_id in self._requests:
            self._work.append(Work(one.request_id, num_read + more, 0, num_known))

    def _ended(self, branching: _Branching) -> Iterator[tuple[str, Scores]]:
        """Scores of the requests of which this was the last part."""
        for one, scores in zip(branching.batch, branching.scores, strict=True):
            request = self._requests.get(one.request_id)
            if request is None:
                continue
            request.logprobs[one.index] = tuple(scores)
            num_tokens = len(one.tokens)
            request.usage += Usage(
                prompt_tokens=num_tokens, cached_tokens=num_tokens - one.num_read
            )
            request.num_left -= 1
            if not request.num_left:
                del self._requests[one.request_id]
                took_s = time.monotonic() - request.started_s
                usage = replace(request.usage, prefill_s=took_s)
                yield one.request_id, Scores(tuple(request.logprobs), usage)
