"""The worker's loop for an engine that steps by itself, on one that is made of tasks that wait."""

import asyncio
import socket
import threading
from collections.abc import AsyncGenerator, Iterator, Sequence
from queue import SimpleQueue

import pytest

from canteen.core.engine import Capabilities, EngineStats, Work
from canteen.core.errors import InvalidRequest
from canteen.core.generation import Chunk, GenerationRequest, ScoreRequest, Scores, Usage
from canteen.engines.connection import Connection
from canteen.engines.self_stepped import serve
from canteen.engines.wire import (
    HEADER,
    Add,
    AskStats,
    Cancel,
    Command,
    Event,
    Loaded,
    Rest,
    Rested,
    Score,
    Stats,
    Step,
    decode_event,
)


class Ticking:
    """Says a word to every request at each tick, as a step of an engine does."""

    name = "ticking"
    capabilities = Capabilities(context_length=64, max_num_seqs=8)

    def __init__(self) -> None:
        self.is_broken = False
        self._tick = asyncio.Event()
        self._work: list[Work] = []
        self._num_running = 0

    async def warm_up(self) -> None:
        asyncio.get_running_loop().create_task(self._go())

    async def _go(self) -> None:
        while True:
            await asyncio.sleep(0.02)
            self._tick.set()
            self._tick.clear()

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Chunk]:
        if request.prompt == "refuse":
            raise InvalidRequest("no", param="prompt")
        if request.prompt == "break":
            self.is_broken = True
            raise RuntimeError("broken")
        self._num_running += 1
        if request.prompt == "hang":
            await asyncio.sleep(60)
        try:
            for number in range(request.sampling.max_tokens or 1000):
                await self._tick.wait()
                self._work.append(Work(request.id, 0, 1, number))
                yield Chunk("word ", num_tokens=1)
            yield Chunk(finish_reason="length", usage=Usage(completion_tokens=1))
        finally:
            self._num_running -= 1

    async def score(self, request: ScoreRequest) -> Scores:
        await self._tick.wait()
        return Scores(((-1.0,),), Usage())

    def work(self) -> Sequence[Work]:
        taken, self._work = self._work, []
        return taken

    async def stats(self) -> EngineStats:
        return EngineStats(num_running=self._num_running)

    async def sleep(self) -> None:
        raise RuntimeError("no memory")

    async def wake_up(self) -> None: ...

    async def close(self) -> None: ...


class Gateway:
    """Commands in, events out; the loop runs in a thread until its engine breaks."""

    def __init__(self, theirs: socket.socket, ours: socket.socket) -> None:
        self._inbox: SimpleQueue[Command] = SimpleQueue()
        self._file = ours.makefile("rb")
        connection = Connection(theirs.detach())

        async def run() -> None:
            engine = Ticking()
            await serve(engine, self._commands(), connection, is_heard=True, most_silent_s=2.0)

        self.thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
        self.thread.start()

    def tell(self, *commands: Command) -> None:
        for command in commands:
            self._inbox.put(command)

    def hear(self) -> Event:
        (size,) = HEADER.unpack(self._file.read(HEADER.size))
        event: Event = decode_event(self._file.read(size))
        return event

    def hear_step(self) -> Step:
        event = self.hear()
        assert isinstance(event, Step)
        return event

    def _commands(self) -> Iterator[Command]:
        while True:
            yield self._inbox.get()


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    theirs, ours = socket.socketpair()
    made = Gateway(theirs, ours)
    assert isinstance(made.hear(), Loaded)
    yield made
    made.tell(Add(request("last", "break")))
    made.thread.join(10)
    ours.close()
    assert not made.thread.is_alive()


def request(request_id: str, prompt: str = "go") -> GenerationRequest:
    return GenerationRequest(request_id, "any", prompt=prompt)


def test_what_a_step_gave_to_several_requests_is_one_message(gateway: Gateway) -> None:
    gateway.tell(Add(request("1")), Add(request("2")), Add(request("3")))
    # There may be a tick before the last of them is heard of.
    while len((step := gateway.hear_step()).deltas) < 3:
        pass

    assert [delta.request_id for delta in step.deltas] == ["1", "2", "3"]
    assert step.record is not None
    assert [work.request_id for work in step.record.work] == ["1", "2", "3"]
    assert step.record.duration_s > 0


def test_a_cancelled_request_ends_in_the_engine_and_the_others_go_on(gateway: Gateway) -> None:
    gateway.tell(Add(request("1")), Add(request("2")))
    gateway.hear_step()
    gateway.tell(Cancel("1"), Cancel("never heard of"), AskStats())
    while not isinstance(event := gateway.hear(), Stats):
        pass

    step = gateway.hear_step()

    assert event.stats.num_running == 1
    assert event.stats.memory_bytes > 0
    assert [delta.request_id for delta in step.deltas] == ["2"]


def test_an_error_is_told_to_its_request(gateway: Gateway) -> None:
    gateway.tell(Add(request("1", "refuse")))

    (delta,) = gateway.hear_step().deltas

    assert delta.error is not None
    assert (delta.request_id, delta.error.fields["param"]) == ("1", "prompt")


def test_scores_come_whole(gateway: Gateway) -> None:
    gateway.tell(Score(ScoreRequest("1", "any", ())))

    (delta,) = gateway.hear_step().deltas

    assert delta.scores is not None
    assert delta.scores.logprobs == ((-1.0,),)


def test_an_engine_that_computes_nothing_for_its_requests_is_left(gateway: Gateway) -> None:
    gateway.tell(Add(request("1", "hang")))

    while gateway.thread.is_alive():
        gateway.tell(AskStats())
        gateway.thread.join(0.05)


def test_what_cannot_fall_asleep_says_so_and_goes_on(gateway: Gateway) -> None:
    gateway.tell(Rest(is_asleep=True), Rest(is_asleep=False))

    told = [gateway.hear(), gateway.hear()]

    assert [event.error is None for event in told if isinstance(event, Rested)] == [False, True]
