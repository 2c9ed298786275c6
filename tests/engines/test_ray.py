"""Models on a Ray cluster, on the echo engine: what is cancelled, what ends, what is repeated."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Collection
from contextlib import aclosing
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio

from canteen.core.engine import ClusterListener, Home, StepRecord, complete
from canteen.core.errors import DeadlineExceeded, EngineError, NotSupported, WorkerDied
from canteen.core.generation import GenerationRequest, SamplingParams
from canteen.engines.ray import Deployed, RayEngine
from canteen.engines.ray_cluster import Cluster
from canteen.engines.ray_wanted import Needs, Scale, Wanted

pytestmark = pytest.mark.asyncio(loop_scope="module")
LONG, LONG_ENOUGH = SamplingParams(max_tokens=8000), SamplingParams(max_tokens=100)
# Twenty words are read in a second, so that there is time before the first token.
SPEEDS = {"tokens_per_s": 50.0, "prefill_tokens_per_s": 20.0}
UNREAD = " ".join(["word"] * 80)
# Far less than the minutes that the long ones take.
WITHIN_S = 60.0
SMALL = Needs(num_cpus=0.1)


def request(request_id: str, prompt: str = "a b c", **changes: object) -> GenerationRequest:
    asked = GenerationRequest(request_id, "echo", prompt=prompt)
    return replace(asked, **changes)  # type: ignore[arg-type]


class Heard(ClusterListener):
    """Writes down where requests are answered, and by which processes."""

    def __init__(self) -> None:
        self.homes: dict[str, list[Home]] = {}
        self.tokens: dict[str, int] = {}

    def began(self, request_id: str, home: Home) -> None:
        self.homes.setdefault(request_id, []).append(home)

    def step(self, replica: str, record: StepRecord) -> None:
        for row in record.work:
            before = self.tokens.get(row.request_id, 0)
            self.tokens[row.request_id] = before + row.prefill_tokens + row.decode_tokens

    def only(self, replicas: Collection[str]) -> None: ...


def wanted(name: str, scale: Scale) -> Wanted:
    """An echo model whose replicas tell their process ids."""
    return Wanted(name, "echo", SPEEDS, lambda: {"pid": os.getpid()}, 4, SMALL, scale)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployed(ray_cluster: Cluster) -> AsyncIterator[Deployed]:
    deployed = await ray_cluster.deploy(wanted("small", Scale(max_replicas=1)))
    yield deployed
    await deployed.close()


@pytest.fixture
def heard(deployed: Deployed) -> Heard:
    deployed.listener = heard = Heard()
    return heard


@pytest.fixture
def engine(deployed: Deployed) -> RayEngine:
    return RayEngine(deployed)


def num_tasks_of_routers() -> int:
    from ray.serve._private.router import SingletonThreadRouter

    return len(asyncio.all_tasks(SingletonThreadRouter._asyncio_loop))


async def until_tasks_of_routers_are(most: int) -> None:
    """Wait for those that were cancelled, which end a moment later."""
    async with asyncio.timeout(WITHIN_S):
        while num_tasks_of_routers() > most:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def until_running(engine: RayEngine, number: int) -> None:
    """Wait until so many run, as far as is known since the replicas were asked again."""
    async with asyncio.timeout(WITHIN_S):
        await asyncio.sleep(2)
        # The replica is another process: only asking tells how it is.
        while (await engine.stats()).num_running != number:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def test_who_leaves_early_frees_the_sequence_in_its_replica(engine: RayEngine) -> None:
    async with aclosing(engine.generate(request("leaver", sampling=LONG))) as chunks:
        await anext(chunks)
        await until_running(engine, 1)

    await until_running(engine, 0)


async def test_a_deadline_ends_an_answer_there_too(engine: RayEngine) -> None:
    deadline_s = asyncio.get_running_loop().time() + 0.7

    with pytest.raises(DeadlineExceeded):
        await complete(engine, request("late", sampling=LONG, deadline_s=deadline_s))

    await until_running(engine, 0)


async def test_what_was_done_for_a_request_is_told_to_the_token(
    engine: RayEngine, heard: Heard
) -> None:
    first, second = await asyncio.gather(
        complete(engine, request("1", "one two three")), complete(engine, request("2", "four"))
    )

    for request_id, usage in (("1", first.usage), ("2", second.usage)):
        assert heard.tokens[request_id] == usage.prompt_tokens + usage.completion_tokens - 1


@pytest.mark.parametrize("victim", ["worker", "replica"])
async def test_a_death_ends_what_had_begun_and_the_rest_is_asked_again(
    engine: RayEngine, heard: Heard, victim: str
) -> None:
    async with aclosing(engine.generate(request("begun", sampling=LONG))) as begun:
        await anext(begun)
        unbegun = asyncio.ensure_future(complete(engine, request(f"unbegun {victim}", UNREAD)))
        await asyncio.sleep(0.5)
        pid = int(heard.homes["begun"][0].facts["pid"])

        os.kill(pid if victim == "replica" else _child(pid), signal.SIGKILL)

        with pytest.raises(WorkerDied):
            async for _ in begun:
                pass
    assert (await unbegun).text == UNREAD


def _child(pid: int) -> int:
    """The one process that another has started."""
    told = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    (child,) = " ".join(told).split()
    return int(child)


@pytest.mark.parametrize(
    ("engine", "said"),
    [("no-such-engine", "no engine 'no-such-engine'"), ("vllm", "canteen engine install vllm")],
)
async def test_what_loading_says_is_said_here_and_nothing_is_left_of_it(
    ray_cluster: Cluster, deployed: Deployed, tmp_path: Path, engine: str, said: str
) -> None:
    nothing = Wanted("nothing", engine, {}, dict, 1, SMALL, home=tmp_path)
    before = num_tasks_of_routers()

    with pytest.raises(NotSupported, match=said):
        await ray_cluster.deploy(nothing)

    await until_tasks_of_routers_are(before)


async def test_nothing_goes_on_here_for_a_model_that_is_closed(
    ray_cluster: Cluster, deployed: Deployed
) -> None:
    before = num_tasks_of_routers()
    brief = await ray_cluster.deploy(wanted("brief", Scale(max_replicas=1)))
    await complete(RayEngine(brief), request("1"))
    assert num_tasks_of_routers() > before

    await brief.close()

    await until_tasks_of_routers_are(before)


@pytest.mark.slow
async def test_what_a_killed_gateway_told_otherwise_does_not_stay(ray_cluster: Cluster) -> None:
    from ray import serve

    left = wanted("left", Scale(max_replicas=1))
    again = replace(left, options={**SPEEDS, "max_num_seqs": 8})
    others = replace(left, home=Path("another"))
    its_own = replace(left, options={**SPEEDS, "max_num_seqs": 16})
    # Each knows of no other, as if it were another process.
    before = [await Cluster("local").deploy(one) for one in (left, others)]
    next_start = Cluster("local")

    after = [await next_start.deploy(one) for one in (again, its_own)]

    apps = serve.status().applications
    there = {name for name, app in apps.items() if app.status != "DELETING"}
    assert left.app not in there
    assert {others.app, again.app, its_own.app} <= there
    for one in (*before, *after):
        await one.close()


@pytest.mark.slow
async def test_a_model_that_no_node_has_room_for_is_refused(ray_cluster: Cluster) -> None:
    large = Wanted("large", "echo", {}, dict, 1, Needs(num_gpus=8))

    with pytest.raises(EngineError, match=r"no node .* has room .* takes 1 CPU, 8 GPU"):
        await ray_cluster.deploy(large)


@pytest.mark.slow
async def test_replicas_come_while_requests_wait_and_go_when_none_do(ray_cluster: Cluster) -> None:
    scale = Scale(max_replicas=2, upscale_delay_s=0.0, downscale_delay_s=1.0, drain_s=5.0)
    deployed = await ray_cluster.deploy(wanted("wide", scale))
    heard = deployed.listener = Heard()
    engine = RayEngine(deployed)
    number = count()

    async def ask_until_two_answer() -> None:
        while len({home.replica for homes in heard.homes.values() for home in homes}) < 2:
            await complete(engine, request(f"wide {next(number)}", sampling=LONG_ENOUGH))

    # Twice as many as one has places for.
    await asyncio.wait_for(asyncio.gather(*(ask_until_two_answer() for _ in range(8))), 90)
    assert deployed.num_replicas == 2
    fewer = asyncio.Event()
    deployed.on_scale = lambda num_taken: fewer.set()
    await fewer.wait()

    assert deployed.num_replicas == 1
    await deployed.close()
