"""What a circuit hears of the calls it lets through, and how it probes."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

import pytest

from canteen.core.engine import Capabilities, EngineStats
from canteen.core.errors import CanteenError, InvalidRequest, Overloaded, UpstreamFailed
from canteen.core.generation import Chunk, GenerationRequest, Message, ScoreRequest, Scores, Usage
from canteen.runtime.breaker import FEWEST, FIRST_OPEN_S, Breaker
from canteen.runtime.guarded import Circuit, Guarded, Named, Probe

SECRET = GenerationRequest("r", "m", messages=(Message("user", "a secret"),))


@dataclass
class Scripted:
    """An engine that fails as it is told, and remembers what it was asked."""

    errors: list[CanteenError] = field(default_factory=list)
    takes_s: float = 0.0
    asked: list[GenerationRequest] = field(default_factory=list)
    name: str = "scripted"
    capabilities: Capabilities = field(default=Capabilities(8, 1))

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Chunk]:
        self.asked.append(request)
        await asyncio.sleep(self.takes_s)
        if self.errors:
            raise self.errors.pop()
        yield Chunk("a", num_tokens=1)
        yield Chunk(finish_reason="stop", usage=Usage())

    async def score(self, request: ScoreRequest) -> Scores:
        raise NotImplementedError

    async def stats(self) -> EngineStats:
        return EngineStats()

    async def close(self) -> None: ...


class Bench:
    """A guarded engine, a clock, and what was told."""

    def __init__(self, engine: Scripted, patience_s: float = 30.0) -> None:
        self.now_s = 0.0
        self.breaker = Breaker(lambda: self.now_s)
        self.told: list[tuple[str, bool]] = []
        self._patience_s = patience_s
        self.guarded = Guarded(engine, self._circuit)

    def _circuit(self, probe: Probe) -> Circuit:
        def tell(outcome: str, waited_s: float | None) -> None:
            self.told.append((outcome, waited_s is not None))

        named = Named("upstream:a", "http://10.0.0.9:8000/v1")
        return Circuit(named, self.breaker, probe, self._patience_s, tell)

    async def settled(self) -> None:
        """Let what runs beside the test run to its end."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*tasks)

    async def ask(self) -> str:
        """The text of an answer, or the code of its error."""
        try:
            async with aclosing(self.guarded.generate(SECRET)) as chunks:
                return "".join([chunk.text async for chunk in chunks])
        except CanteenError as error:
            return error.code


async def test_a_failure_tells_callers_which_model_it_was_and_the_operator_where(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench(Scripted([UpstreamFailed("it failed", code="upstream_cut")]))

    with caplog.at_level("INFO"), pytest.raises(UpstreamFailed) as caught:
        async with aclosing(bench.guarded.generate(SECRET)) as chunks:
            await anext(chunks)

    assert caught.value.message == "upstream:a: it failed"
    assert caught.value.code == "upstream_cut"
    assert caught.value.base_url == "http://10.0.0.9:8000/v1"
    assert "upstream:a at http://10.0.0.9:8000/v1 failed: it failed" in caplog.text


async def test_failures_open_it_and_nothing_is_asked_then() -> None:
    engine = Scripted([UpstreamFailed("it failed") for _ in range(FEWEST)])
    bench = Bench(engine)

    for _ in range(FEWEST):
        assert await bench.ask() == "upstream_failed"

    assert await bench.ask() == "circuit_open"
    assert len(engine.asked) == FEWEST
    assert not bench.guarded.circuit.is_ready


@pytest.mark.parametrize(
    "error",
    [
        InvalidRequest("no such word"),
        Overloaded("busy", retry_after_s=1.0, code="upstream_busy"),
    ],
)
async def test_flow_control_and_wrong_requests_are_no_failures(error: CanteenError) -> None:
    bench = Bench(Scripted([error] * (2 * FEWEST)))

    for _ in range(2 * FEWEST):
        await bench.ask()

    assert bench.breaker.state == "closed"


async def test_answers_that_begin_late_open_it() -> None:
    bench = Bench(Scripted(takes_s=0.002), patience_s=0.001)

    for _ in range(FEWEST):
        assert await bench.ask() == "a"

    assert bench.breaker.state == "open"


async def test_a_probe_says_nothing_of_the_callers_and_closes_it() -> None:
    engine = Scripted([UpstreamFailed("it failed") for _ in range(FEWEST)])
    bench = Bench(engine)
    for _ in range(FEWEST):
        await bench.ask()
    bench.now_s = FIRST_OPEN_S
    engine.asked.clear()

    assert await bench.ask() == "circuit_open"
    await bench.settled()

    (probe,) = engine.asked
    assert "secret" not in probe.messages[0].content
    assert probe.sampling.max_tokens == 1
    assert await bench.ask() == "a"


async def test_it_tells_how_calls_ended_and_whether_they_began() -> None:
    bench = Bench(Scripted([UpstreamFailed("it failed")]))
    await bench.ask()
    await bench.ask()
    async with aclosing(bench.guarded.generate(SECRET)) as chunks:
        await anext(chunks)

    assert bench.told == [("upstream_failed", False), ("ok", True), ("left", True)]
