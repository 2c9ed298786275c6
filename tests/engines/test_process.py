# ruff: noqa: ASYNC110 - the worker is another process: only asking tells how it is
"""A worker process on the echo engine: it answers, dies, comes back, and cancels."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

import pytest

from canteen.core.engine import StepListener, StepRecord, Work, complete
from canteen.core.errors import (
    ContextTooLong,
    DeadlineExceeded,
    EngineError,
    InvalidRequest,
    NotSupported,
    WorkerDied,
)
from canteen.core.generation import (
    EmbeddingRequest,
    GenerationRequest,
    Grammar,
    Message,
    SamplingParams,
)
from canteen.engines.process import Worker, WorkerEmbedder, WorkerEngine

LOOP = '{"$ref": "#"}'
# Tokens of an answer that no test waits for to its end.
ENDLESS = 8000


def request(request_id: str, prompt: str = "a b c", max_tokens: int = 1000) -> GenerationRequest:
    return GenerationRequest(
        request_id, "echo", prompt=prompt, sampling=SamplingParams(max_tokens=max_tokens)
    )


class Heard(StepListener):
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.records: list[StepRecord] = []

    def loading(self) -> None:
        self.events.append("loading")

    def loaded(self, cpu_s: float) -> None:
        self.events.append("loaded")
        assert cpu_s > 0

    def step(self, record: StepRecord) -> None:
        self.events.append("step")
        self.records.append(record)

    def lost(self) -> None:
        self.events.append("lost")

    @property
    def work(self) -> list[Work]:
        return [work for record in self.records for work in record.work]


async def until_running(engine: WorkerEngine, number: int) -> None:
    """Wait until so many run: while the worker is slow to tell, the last it told is told again."""
    while (await engine.stats()).num_running != number:
        await asyncio.sleep(0.01)


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    worker = Worker("echo", {"tokens_per_s": 100.0})
    yield worker
    await worker.close()


@pytest.fixture
async def engine(worker: Worker) -> WorkerEngine:
    return WorkerEngine(worker, await worker.start())


async def test_a_completion_comes_through_the_wire_unchanged(engine: WorkerEngine) -> None:
    asked = GenerationRequest("1", "echo", messages=(Message("user", "héllo wörld 🌍"),))

    completion = await complete(engine, asked)

    assert completion.text == "héllo wörld 🌍"
    assert completion.usage.completion_tokens == 3


async def test_a_prompt_that_is_too_long_arrives_as_that_error(engine: WorkerEngine) -> None:
    with pytest.raises(ContextTooLong) as caught:
        await complete(engine, request("1", "word " * 9000))

    assert (caught.value.prompt_tokens, caught.value.context_length) == (9001, 8192)


async def test_an_invalid_request_keeps_its_parameter(engine: WorkerEngine) -> None:
    asked = GenerationRequest("1", "echo", prompt="a", top_logprobs=3)

    with pytest.raises(InvalidRequest) as caught:
        await complete(engine, asked)

    assert caught.value.param == "top_logprobs"


async def test_a_deadline_ends_a_stream_between_steps_and_frees_it(engine: WorkerEngine) -> None:
    asked = replace(request("1"), deadline_s=time.monotonic() + 0.2)

    with pytest.raises(DeadlineExceeded):
        await complete(engine, asked)

    assert (await engine.stats()).num_running == 0


async def test_what_comes_after_its_deadline_is_never_begun(engine: WorkerEngine) -> None:
    asked = replace(request("1"), deadline_s=time.monotonic() - 1)

    with pytest.raises(DeadlineExceeded):
        await complete(engine, asked)

    assert (await engine.stats()).num_steps == 0


async def test_closing_the_stream_cancels_the_sequence(engine: WorkerEngine) -> None:
    async with aclosing(engine.generate(request("1", max_tokens=ENDLESS))) as chunks:
        await anext(chunks)
        await until_running(engine, 1)

    # Long before its end, which would come after 80 seconds.
    async with asyncio.timeout(40):
        await until_running(engine, 0)


async def test_a_killed_worker_ends_its_requests_and_serves_again(
    engine: WorkerEngine, worker: Worker
) -> None:
    streams = [asyncio.create_task(complete(engine, request(str(i)))) for i in range(16)]
    await until_running(engine, 16)

    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    endings = await asyncio.gather(*streams, return_exceptions=True)

    assert all(isinstance(ending, WorkerDied) for ending in endings)
    assert (await complete(engine, request("again", max_tokens=3))).text == "a b c"
    assert worker.num_restarts == 1


async def test_the_worker_ends_when_it_is_closed(engine: WorkerEngine, worker: Worker) -> None:
    pid = worker.pid
    assert pid is not None

    await engine.close()

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_request_after_the_end_is_told_so(engine: WorkerEngine) -> None:
    await engine.close()

    with pytest.raises(WorkerDied, match="out of memory"):
        await complete(engine, request("1"))
    assert (await engine.stats()).num_running == 0


async def test_a_request_that_comes_while_the_worker_is_dead_waits_for_the_next(
    engine: WorkerEngine, worker: Worker
) -> None:
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    while worker.is_ready:
        await asyncio.sleep(0)

    assert (await complete(engine, request("1", max_tokens=3))).text == "a b c"


async def test_what_an_engine_cannot_take_ends_that_request_only(
    engine: WorkerEngine, worker: Worker
) -> None:
    endless = GenerationRequest("1", "echo", prompt="a", grammar=Grammar("json_schema", LOOP))

    with pytest.raises(EngineError, match="could not take"):
        await complete(engine, endless)

    assert (await complete(engine, request("2", max_tokens=3))).text == "a b c"
    assert worker.num_restarts == 0


async def test_an_unknown_engine_is_refused_by_name() -> None:
    with pytest.raises(NotSupported, match="no engine 'nope'"):
        await Worker("nope", {}).start()


async def test_an_abandoned_batch_that_has_not_begun_is_dropped() -> None:
    worker = Worker("echo-embedder", {})
    embedder = WorkerEmbedder(worker, await worker.start())
    texts = ("word " * 20_000,) * 20
    batches = [
        asyncio.create_task(embedder.embed(EmbeddingRequest(str(i), "echo-embed", texts)))
        for i in range(50)
    ]
    await asyncio.sleep(0)

    for batch in batches:
        batch.cancel()
    await asyncio.gather(*batches, return_exceptions=True)

    # One takes seconds, and all of them minutes.
    async with asyncio.timeout(60):
        await embedder.embed(EmbeddingRequest("last", "echo-embed", ("a",)))
    await embedder.close()


async def test_embeddings_come_through_the_wire_in_order() -> None:
    worker = Worker("echo-embedder", {})
    embedder = WorkerEmbedder(worker, await worker.start())

    made = await embedder.embed(EmbeddingRequest("1", "echo-embed", ("cat", "dog", "cat")))
    await embedder.close()

    assert made.vectors[0] == made.vectors[2] != made.vectors[1]
    assert made.usage.prompt_tokens == 3


async def test_a_worker_that_hangs_is_killed_and_the_next_one_serves() -> None:
    worker = Worker("echo", {"tokens_per_s": 100.0}, most_silent_s=3.0)
    engine = WorkerEngine(worker, await worker.start())
    hung = worker.pid
    assert hung is not None
    async with aclosing(engine.generate(request("1"))) as chunks:
        await anext(chunks)
        os.kill(hung, signal.SIGSTOP)
        with pytest.raises(WorkerDied):
            async for _ in chunks:
                pass

    completion = await complete(engine, request("2", max_tokens=3))

    assert completion.text == "a b c"
    assert worker.num_restarts == 1
    await worker.close()


async def test_a_long_prefill_is_no_hang() -> None:
    worker = Worker("echo", {"prefill_tokens_per_s": 0.75}, most_silent_s=3.0)
    engine = WorkerEngine(worker, await worker.start())

    assert (await complete(engine, request("1", "a b c", max_tokens=1))).text == "a"
    assert worker.num_restarts == 0
    await worker.close()


async def test_a_worker_that_owes_no_answer_may_be_silent() -> None:
    worker = Worker("echo", {}, most_silent_s=2.0)
    engine = WorkerEngine(worker, await worker.start())
    await complete(engine, request("1", max_tokens=3))

    await asyncio.sleep(2.5)

    assert worker.silent_s == 0
    await complete(engine, request("2", max_tokens=3))
    assert worker.num_restarts == 0
    await worker.close()


async def test_a_listener_hears_a_workers_life_and_each_step_before_its_chunks() -> None:
    heard = Heard()
    worker = Worker("echo", {}, heard)
    engine = WorkerEngine(worker, await worker.start())

    async with aclosing(engine.generate(request("1", "a b c", max_tokens=3))) as chunks:
        async for chunk in chunks:
            assert len(heard.work) >= chunk.num_tokens
    await engine.close()

    assert heard.events == ["loading", "loaded", "step", "step", "step", "lost"]
    assert heard.work == [Work("1", 3, 0, 0), Work("1", 0, 1, 3), Work("1", 0, 1, 4)]
    cpu_s = [record.cpu_s for record in heard.records]
    assert cpu_s == sorted(cpu_s)
    assert all(record.duration_s >= 0 for record in heard.records)


async def test_a_listener_hears_a_killed_worker_go_and_the_next_one_come() -> None:
    heard = Heard()
    worker = Worker("echo", {"tokens_per_s": 100.0}, heard)
    engine = WorkerEngine(worker, await worker.start())
    assert worker.pid is not None

    os.kill(worker.pid, signal.SIGKILL)
    while worker.num_restarts == 0 or not worker.is_ready:
        await asyncio.sleep(0.01)
    await engine.close()

    assert heard.events == ["loading", "loaded", "lost", "loading", "loaded", "lost"]


async def test_a_listener_hears_the_steps_of_an_embedder() -> None:
    heard = Heard()
    worker = Worker("echo-embedder", {}, heard)
    embedder = WorkerEmbedder(worker, await worker.start())

    await embedder.embed(EmbeddingRequest("1", "echo", ("a b", "c")))
    await embedder.close()

    assert heard.events == ["loading", "loaded", "step", "lost"]
    assert heard.work == [Work("1", 3, 0, 0)]


async def test_a_request_with_an_adapter_is_refused_where_there_is_no_room_for_any(
    engine: WorkerEngine,
) -> None:
    with pytest.raises(NotSupported, match="without room for adapters, or its engine takes none"):
        await complete(engine, replace(request("1"), adapter="prepared/fin"))


async def test_a_model_sleeps_and_wakes_in_its_worker() -> None:
    worker = Worker("echo", {"sleeps": True})
    engine = WorkerEngine(worker, await worker.start())
    assert worker.sleeps

    await worker.rest(is_asleep=True)
    await worker.rest(is_asleep=False)

    assert (await complete(engine, request("1", max_tokens=3))).text == "a b c"
    await worker.close()


async def test_a_worker_that_ends_while_it_falls_asleep_says_so(worker: Worker) -> None:
    await worker.start()
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGSTOP)
    resting = asyncio.ensure_future(worker.rest(is_asleep=True))
    await asyncio.sleep(0)

    os.kill(worker.pid, signal.SIGKILL)

    with pytest.raises(WorkerDied):
        await resting
