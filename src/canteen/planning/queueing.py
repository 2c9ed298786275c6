"""A cluster as a queue: how long requests wait and take, by replicas, batches and routing.

A discrete-event model. Between events every sequence of a replica reads or writes tokens at a pace
that depends on how many do the same there; an event is a request that comes, has been read, or has
been written to its end.
"""

import heapq
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, linear_regression


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds for a token of one sequence, while `n` sequences of a replica do the same."""

    fixed_s: float
    per_sequence_s: float = 0.0

    def token_s(self, n: int) -> float:
        """At a batch of `n`."""
        return self.fixed_s + n * self.per_sequence_s


@dataclass(frozen=True, slots=True)
class Service:
    """What a replica does: it has `num_seqs` places, reads and writes at a pace, and `overhead_s`
    is what a request takes on its way, beside all that."""

    num_seqs: int
    reading: Pace
    writing: Pace
    overhead_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, by when it comes and how long it is."""

    at_s: float
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of a request: seconds of waiting for a place, to its first token, to its end."""

    asked: Asked
    wait_s: float
    ttft_s: float
    e2e_s: float


def simulate(
    asked: Sequence[Asked], num_replicas: int, service: Service, seed: int = 0
) -> list[Answered]:
    """The answers in the order in which they end.

    Requests wait in one line; whose turn it is goes to the less busy of two replicas, drawn from
    those that have a place, as Ray Serve does.
    """
    cluster = _Cluster(num_replicas, service, random.Random(seed))  # noqa: S311 - no secret
    for one in sorted(asked, key=lambda one: one.at_s):
        cluster.until(one.at_s)
        cluster.arrive(one)
    cluster.until(float("inf"))
    return cluster.answered


def fitted(seen: Sequence[Answered], num_replicas: int, num_seqs: int) -> Service:
    """The service that a measured load shows. Reading and the overhead by what came before first
    tokens, over the lengths of prompts; writing by the time of a token, over how many were being
    written meanwhile. Needs prompts of several lengths."""
    reading = linear_regression(
        [one.asked.prompt_tokens for one in seen], [one.ttft_s - one.wait_s for one in seen]
    )
    token_s = [(one.e2e_s - one.ttft_s) / one.asked.completion_tokens for one in seen]
    batch = [_mean_batch(one, seen) / num_replicas for one in seen]
    writing = linear_regression(batch, token_s)
    slope_s = max(0.0, writing.slope)
    return Service(
        num_seqs,
        Pace(max(0.0, reading.slope)),
        Pace(fmean(token_s) - slope_s * fmean(batch), slope_s),
        max(0.0, reading.intercept),
    )


def _mean_batch(one: Answered, seen: Sequence[Answered]) -> float:
    """How many sequences were written while one was, on average and with itself."""
    begin_s, end_s = _writing(one)
    together_s = 0.0
    for other in seen:
        other_begin_s, other_end_s = _writing(other)
        together_s += max(0.0, min(end_s, other_end_s) - max(begin_s, other_begin_s))
    return together_s / (end_s - begin_s)


def _writing(one: Answered) -> tuple[float, float]:
    return one.asked.at_s + one.ttft_s, one.asked.at_s + one.e2e_s


@dataclass(slots=True, eq=False)
class _Sequence:
    """One request in its place; `left` are the tokens of its phase that are still to do."""

    asked: Asked
    admitted_s: float
    left: float
    first_s: float | None = None


class _Replica:
    """The sequences that run together on one, as they stood at `now_s`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._now_s = 0.0
        self.running: list[_Sequence] = []
        # Events that were foreseen before the batch changed are void.
        self.version = 0

    def token_s(self, sequence: _Sequence) -> float:
        """Its seconds a token, with as many as do the same now."""
        is_read = sequence.first_s is not None
        number = sum((other.first_s is not None) == is_read for other in self.running)
        return (self._service.writing if is_read else self._service.reading).token_s(number)

    def advance(self, now_s: float) -> list[_Sequence]:
        """Do the work until now; those whose phase is over."""
        paces = [(sequence, self.token_s(sequence)) for sequence in self.running]
        for sequence, token_s in paces:
            sequence.left -= (now_s - self._now_s) / token_s if token_s else sequence.left
        self._now_s = now_s
        return [sequence for sequence in self.running if sequence.left <= 1e-9]

    def next_s(self) -> float:
        """When a phase of any of them will be over."""
        ends = (max(0.0, one.left) * self.token_s(one) for one in self.running)
        return self._now_s + min(ends)


class _Cluster:
    """All replicas, the line before them, and what they will do next."""

    def __init__(self, num_replicas: int, service: Service, rng: random.Random) -> None:
        self.answered: list[Answered] = []
        self._service = service
        self._rng = rng
        self._replicas = [_Replica(service) for _ in range(num_replicas)]
        self._line: deque[Asked] = deque()
        self._events: list[tuple[float, int, int]] = []

    def arrive(self, asked: Asked) -> None:
        """A request comes."""
        self._line.append(asked)
        self._admit(asked.at_s)

    def until(self, now_s: float) -> None:
        """What happens before that."""
        while self._events and self._events[0][0] <= now_s:
            at_s, index, version = heapq.heappop(self._events)
            if version == self._replicas[index].version:
                self._happen(at_s, index)

    def _happen(self, at_s: float, index: int) -> None:
        replica = self._replicas[index]
        for sequence in replica.advance(at_s):
            if sequence.first_s is None:
                sequence.first_s = at_s
                sequence.left = sequence.asked.completion_tokens
            else:
                replica.running.remove(sequence)
                self.answered.append(_answer(sequence, at_s, self._service.overhead_s))
        self._foresee(index)
        self._admit(at_s)

    def _admit(self, now_s: float) -> None:
        while self._line and (free := self._free()):
            drawn = self._rng.sample(free, min(2, len(free)))
            index = min(drawn, key=lambda one: len(self._replicas[one].running))
            self._start(self._line.popleft(), index, now_s)

    def _free(self) -> list[int]:
        most = self._service.num_seqs
        return [i for i, one in enumerate(self._replicas) if len(one.running) < most]

    def _start(self, asked: Asked, index: int, now_s: float) -> None:
        replica = self._replicas[index]
        replica.advance(now_s)
        replica.running.append(_Sequence(asked, now_s, asked.prompt_tokens))
        self._foresee(index)

    def _foresee(self, index: int) -> None:
        replica = self._replicas[index]
        replica.version += 1
        if replica.running:
            heapq.heappush(self._events, (replica.next_s(), index, replica.version))


def _answer(sequence: _Sequence, ended_s: float, overhead_s: float) -> Answered:
    asked = sequence.asked
    assert sequence.first_s is not None
    return Answered(
        asked,
        wait_s=sequence.admitted_s - asked.at_s,
        ttft_s=sequence.first_s - asked.at_s + overhead_s,
        e2e_s=ended_s - asked.at_s + overhead_s,
    )
