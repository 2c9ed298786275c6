"""Real worker processes on the echo engine: every microjoule of the meter is in an account."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace

import pytest

from canteen.core.errors import InvalidRequest, WorkerDied
from canteen.core.footprint import Charge
from canteen.core.generation import EmbeddingRequest, GenerationRequest, SamplingParams, Usage
from canteen.core.units import exact
from canteen.engines.process import Worker, WorkerEmbedder, WorkerEngine
from canteen.metering.attribution import StepCost
from canteen.metering.metered import Metered, MeteredEmbedder
from canteen.metering.node import Node
from canteen.metering.probes.modelled import Modelled


@dataclass
class Paper:
    """Bills, written down."""

    charges: dict[str, Charge] = field(default_factory=dict)
    usages: dict[str, Usage] = field(default_factory=dict)
    num_added: Counter[str] = field(default_factory=Counter)

    def add(self, receipt_id: str, charge: Charge, usage: Usage) -> None:
        self.num_added[receipt_id] += 1
        self.charges[receipt_id] = charge
        self.usages[receipt_id] = usage

    @property
    def energy_uj(self) -> int:
        return sum(charge.energy_uj for charge in self.charges.values())


@pytest.fixture
def bills() -> Paper:
    return Paper()


@pytest.fixture
def node() -> Node:
    return Node(Modelled(20.0, 120.0, 4, exact(1, "J")))


@pytest.fixture
async def worker(node: Node) -> AsyncIterator[Worker]:
    worker = Worker("echo", {"tokens_per_s": 200.0}, node.consumer(StepCost(1e-3, 1e-4)))
    yield worker
    await worker.close()


@pytest.fixture
async def engine(worker: Worker, node: Node, bills: Paper) -> Metered:
    return Metered(WorkerEngine(worker, await worker.start()), node, bills)


def request(name: str, max_tokens: int = 40) -> GenerationRequest:
    sampling = SamplingParams(max_tokens=max_tokens)
    return GenerationRequest(
        name, "echo", prompt="so it goes", sampling=sampling, receipt_id=f"rcpt_{name}"
    )


async def stream(engine: Metered, asked: GenerationRequest, most_chunks: int = 10_000) -> int:
    """Read a stream, and leave after so many chunks; how many tokens they had."""
    num_tokens = 0
    async with aclosing(engine.generate(asked)) as chunks:
        with suppress(WorkerDied):
            async for chunk in chunks:
                num_tokens += chunk.num_tokens
                most_chunks -= 1
                if not most_chunks:
                    break
    return num_tokens


def check(node: Node, bills: Paper) -> None:
    """The accounts equal the meter and the bills, exactly."""
    node.tick()
    accounts = node.accounts()
    assert sum(accounts.energy_uj.values()) == accounts.meter_uj > 0
    assert sum(accounts.time_us.values()) == accounts.meter_us
    assert accounts.energy_uj["requests"] == bills.energy_uj
    assert accounts.open_uj == 0


async def test_32_streams_with_cancels_and_a_killed_worker_leave_the_accounts_exact(
    engine: Metered, worker: Worker, node: Node, bills: Paper
) -> None:
    # They take longer than anybody waits, so that they are under way when the worker is killed.
    asked = [request(str(number), max_tokens=4000) for number in range(32)]

    async def leave_and_kill() -> None:
        await asyncio.gather(*(stream(engine, one, most_chunks=5) for one in asked[::4]))
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)

    staying = [stream(engine, one) for at, one in enumerate(asked) if at % 4]
    await asyncio.gather(leave_and_kill(), *staying)
    check(node, bills)
    await asyncio.gather(*(stream(engine, request(f"later {number}")) for number in range(32)))
    await worker.close()

    check(node, bills)
    assert set(bills.num_added.values()) == {1}
    assert len(bills.charges) == 64
    accounts = node.accounts().energy_uj
    assert min(accounts["requests"], accounts["load"], accounts["unattributed"]) > 0
    for number in range(32):
        assert bills.usages[f"rcpt_later {number}"].completion_tokens == 40
        assert bills.charges[f"rcpt_later {number}"].decode_uj > 0


async def test_a_stream_is_charged_before_its_last_chunk_is_seen(
    engine: Metered, node: Node, bills: Paper
) -> None:
    async with aclosing(engine.generate(request("1", max_tokens=3))) as chunks:
        async for chunk in chunks:
            assert bool(bills.charges) == (chunk.usage is not None)

    assert bills.charges["rcpt_1"].device_us > 0
    check(node, bills)


async def test_a_caller_who_leaves_early_is_still_charged(
    engine: Metered, node: Node, bills: Paper
) -> None:
    num_tokens = await stream(engine, request("1"), most_chunks=6)

    assert bills.usages["rcpt_1"].completion_tokens == num_tokens
    assert bills.charges["rcpt_1"].energy_uj > 0
    check(node, bills)


async def test_a_request_that_is_refused_is_charged_nothing(
    engine: Metered, node: Node, bills: Paper
) -> None:
    asked = GenerationRequest("1", "echo", prompt="a", top_logprobs=3, receipt_id="rcpt_1")

    with pytest.raises(InvalidRequest):
        async with aclosing(engine.generate(asked)) as chunks:
            await anext(chunks)

    assert bills.charges == {"rcpt_1": Charge()}
    check(node, bills)


async def test_a_request_without_a_receipt_warms_up_and_is_loading(
    engine: Metered, node: Node, bills: Paper
) -> None:
    loaded_uj = node.accounts().energy_uj["load"]

    await stream(engine, replace(request("warm-up"), receipt_id=""))

    assert bills.charges == {}
    assert node.accounts().energy_uj["load"] > loaded_uj
    assert node.accounts().energy_uj["requests"] == 0
    check(node, bills)


async def test_embeddings_are_charged_too(node: Node, bills: Paper) -> None:
    worker = Worker("echo-embedder", {}, node.consumer(StepCost()))
    embedder = MeteredEmbedder(WorkerEmbedder(worker, await worker.start()), node, bills)

    await embedder.embed(EmbeddingRequest("1", "echo", ("a b c",), receipt_id="rcpt_1"))
    await embedder.close()

    assert bills.charges["rcpt_1"].prefill_uj > 0
    assert bills.charges["rcpt_1"].decode_uj == 0
    assert bills.usages["rcpt_1"].prompt_tokens == 3
    check(node, bills)
