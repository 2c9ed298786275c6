"""Three Canteens behind one: who is asked, what callers notice of a member that goes, and whose
receipts they get."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from canteen.core.upstream import Upstream
from canteen.runtime import remote
from canteen.runtime.catalog import Catalog
from tests import serving
from tests.conftest import pull
from tests.e2e.chats import Answer, Chat, ask, until
from tests.serving import Server, set_pace

STEPS_PER_S = 50.0
# So many that answers are still under way when somebody gets round to what comes next.
LONG = 300


class Fleet:
    """Canteens of the echo model, each with a home of its own, and one before them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "gateway"
        self._echo = set_pace(pull(folder / "echo", "echo", "echo-embed"), tokens_per_s=STEPS_PER_S)
        self._running: list[Server] = []
        self.members = [self.start_member(name) for name in "abc"]
        self.pool("pool", self.members)
        self.gateway = self._start(self.home, "gateway", "pool")

    def start_member(self, name: str) -> Server:
        """Another one, which is nobody's member yet."""
        home = serving.linked_copy(self._echo, self.folder / name)
        return self._start(home, name, "echo")

    def named(self) -> dict[str, Server]:
        """The gateway and its first members, by their nodes' names."""
        return {one.log.stem: one for one in (self.gateway, *self.members)}

    def pool(self, name: str, members: Sequence[Server]) -> None:
        """Let the gateway's model of this name be these, from the next request on."""
        catalog, names = Catalog(self.home), list[str]()
        for member in members:
            names.append(f"upstream:{member.log.stem}")
            where = Upstream(f"{member.url}/v1", "echo")
            catalog.put(remote.upstream_card(names[-1], where))
        catalog.put(remote.pool_card(catalog, name, "pool:" + ",".join(names)))

    def end(self) -> None:
        """Stop what still runs."""
        for server in self._running:
            serving.end(server)

    def _start(self, home: Path, name: str, model: str) -> Server:
        environ = {"CANTEEN_MODEL": model, "CANTEEN_EMBEDDER": "echo-embed", "CANTEEN_NODE": name}
        self._running.append(serving.start(home, self.folder / f"{name}.log", environ))
        return self._running[-1]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    made = Fleet(tmp_path_factory.mktemp("fleet"))
    yield made
    made.end()


@pytest.fixture
async def client(fleet: Fleet) -> AsyncIterator[httpx.AsyncClient]:
    url = fleet.gateway.url
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as made:
        yield made


def answered_by(member: Server) -> int:
    """The chats that a member has answered."""
    return sum(one["status"] == 200 and one["model"] == "echo" for one in member.records())


async def conversation(client: httpx.AsyncClient, beginning: str, num_turns: int) -> list[str]:
    """Who answered each turn of a conversation."""
    turns, who = [{"role": "user", "content": beginning}], list[str]()
    for _ in range(num_turns):
        body = {"model": "pool", "messages": turns, "max_tokens": 2}
        answer = (await client.post("/v1/chat/completions", json=body)).json()
        who.append(answer["footprint"]["model"])
        turns += [answer["choices"][0]["message"], {"role": "user", "content": "go on"}]
    return who


async def summed(server: Server, by: str) -> Any:
    """What the ledger of a server says."""
    async with httpx.AsyncClient(base_url=server.url, timeout=60, trust_env=False) as client:
        return (await client.get(f"/v1/footprint?by={by}")).json()


async def nodes(server: Server) -> dict[str, Any]:
    """What it says that each node did."""
    return {one["node"]: one for one in (await summed(server, "node"))["sums"]}


async def test_a_conversation_stays_where_it_began_and_others_begin_elsewhere(
    client: httpx.AsyncClient,
) -> None:
    answered = [await conversation(client, f"conversation {number}", 3) for number in range(12)]

    assert all(len(set(turns)) == 1 for turns in answered)
    assert len({turns[0] for turns in answered}) > 1


async def test_many_with_one_beginning_are_shared_by_load(
    fleet: Fleet, client: httpx.AsyncClient
) -> None:
    members = fleet.members
    before = [answered_by(member) for member in members]
    chats = [Chat(model="pool", num_tokens=LONG, num_prompt_tokens=7) for _ in range(24)]

    answers = await asyncio.gather(*(ask(client, chat) for chat in chats))

    assert all(answer.is_whole for answer in answers)
    await until(lambda: sum(map(answered_by, members)) == sum(before) + 24)
    counts = [answered_by(now) - then for now, then in zip(members, before, strict=True)]
    # A third each, but for the one that has read the beginning before.
    assert min(counts) >= 5
    assert max(counts) <= 13


async def test_each_answer_has_the_figures_of_the_node_that_gave_it(
    fleet: Fleet, client: httpx.AsyncClient
) -> None:
    chat = Chat(model="pool", is_streamed=False)

    told = (await client.post(chat.path, json=chat.body)).json()["footprint"]

    (part,) = told["nodes"]
    assert told["node"] == "gateway"
    assert told["energy_uj"]["prefill"] == told["energy_uj"]["decode"] == 0
    assert part["node"] in "abc"
    assert part["energy_uj"]["decode"] > 0
    assert part["energy_wh"] == told["energy_wh"]


async def test_what_nodes_did_adds_up_per_node_and_over_all(
    fleet: Fleet, client: httpx.AsyncClient
) -> None:
    chats = [Chat(model="pool", num_prompt_tokens=1 + number) for number in range(12)]
    await asyncio.gather(*(ask(client, chat) for chat in chats))

    by_gateway = await nodes(fleet.gateway)
    accounts = {name: await summed(one, "account") for name, one in fleet.named().items()}

    assert set(by_gateway) == {"a", "b", "c"}
    for name, member in zip("abc", fleet.members, strict=True):
        (itself,) = (await nodes(member)).values()
        assert by_gateway[name]["energy_uj"] == itself["energy_uj"]
        assert by_gateway[name]["tokens"] == itself["tokens"]
        assert sum(itself["energy_uj"].values()) == accounts[name]["requests_uj"]
    # Nothing of it is on the meter of the gateway.
    assert accounts["gateway"]["requests_uj"] == 0
    for booked in accounts.values():
        parts = ("requests_uj", "train_uj", "load_uj", "idle_uj", "unattributed_uj")
        assert sum(booked[part] for part in parts) == booked["meter_uj"]


async def test_none_that_had_not_begun_is_lost_with_a_member_that_is_killed(
    fleet: Fleet, client: httpx.AsyncClient
) -> None:
    doomed = fleet.start_member("doomed")
    fleet.pool("shaky", [doomed, *fleet.members[:2]])
    answers = [Answer() for _ in range(12)]
    streams = [
        asyncio.ensure_future(ask(client, Chat(model="shaky", num_tokens=LONG), answer))
        for answer in answers
    ]
    await until(lambda: all(answer.num_tokens for answer in answers))

    later = [Answer() for _ in range(30)]
    asking = list[asyncio.Task[Answer]]()
    for number, answer in enumerate(later):
        if number == 10:
            doomed.process.kill()
        chat = Chat(model="shaky", num_prompt_tokens=1 + number, num_tokens=2)
        asking.append(asyncio.ensure_future(ask(client, chat, answer)))
        await asyncio.sleep(0.01)
    await asyncio.gather(*streams, *asking)

    cut = [one for one in (*answers, *later) if not one.is_whole]
    assert len(cut) >= 3
    # Only who had begun was told of an end before the end.
    assert all(one.status == 200 and one.num_tokens for one in cut)
    assert {one.error_code for one in cut} == {"upstream_cut"}
    assert sum(one.is_whole for one in answers) >= 6


async def test_nobody_notices_that_a_member_is_drained(
    fleet: Fleet, client: httpx.AsyncClient
) -> None:
    leaving = fleet.start_member("leaving")
    fleet.pool("ebbing", [leaving, *fleet.members[:2]])
    chats = [Chat(model="ebbing", num_tokens=LONG) for _ in range(12)]
    answers = [Answer() for _ in chats]
    streams = [
        asyncio.ensure_future(ask(client, chat, answer))
        for chat, answer in zip(chats, answers, strict=True)
    ]
    await until(lambda: all(answer.num_tokens for answer in answers))
    leaving.process.send_signal(signal.SIGTERM)

    short = [Chat(model="ebbing", num_prompt_tokens=1 + number) for number in range(20)]
    later = await asyncio.gather(*(ask(client, chat) for chat in short))
    await asyncio.gather(*streams)

    assert all(answer.is_whole for answer in (*answers, *later))
    assert [answer.num_tokens for answer in answers] == [LONG] * len(answers)
    assert leaving.process.wait(30) == 0
    assert Counter(one["status"] for one in leaving.records())[200] >= 3


async def test_a_member_that_is_taken_out_gets_no_new_work_and_ends_what_it_has(
    fleet: Fleet, client: httpx.AsyncClient
) -> None:
    out, *left = fleet.members
    before = answered_by(out)
    fleet.pool("shrinking", fleet.members)
    answers = [Answer() for _ in range(9)]
    streams = [
        asyncio.ensure_future(ask(client, Chat(model="shrinking", num_tokens=LONG), answer))
        for answer in answers
    ]
    await until(lambda: all(answer.num_tokens for answer in answers))
    has = await asyncio.to_thread(out.metric, "vllm:num_requests_running")
    fleet.pool("shrinking", left)

    short = [Chat(model="shrinking", num_prompt_tokens=1 + number) for number in range(12)]
    await asyncio.gather(*(ask(client, chat) for chat in short))
    await asyncio.gather(*streams)

    assert all(answer.is_whole for answer in answers)
    assert has > 0
    await until(lambda: answered_by(out) >= before + has)
    assert answered_by(out) == before + has
