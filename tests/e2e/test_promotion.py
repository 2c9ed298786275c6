"""A name moves to another model, and back, under 16 streams: no request fails, those that run end
on the model they began with, and later ones get the new one."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from canteen.bootstrap import build
from canteen.cli import promoting
from canteen.lifecycle.promote.promotion import Wish
from canteen.lifecycle.promote.records import Promotion
from canteen.runtime.catalog import Catalog
from canteen.settings import Settings
from tests.e2e.chats import DIALECTS, Answer, Chat, ask, until
from tests.serving import Server

NUM_STREAMS = 16
# The words that echo says in a second, by the model: streams of the first outlast its promotion.
PACES = {1: 50.0, 2: 2000.0}
NUM_WORDS = 200


@pytest.fixture
def home(echo_home: Path) -> Path:
    """A home in which `prod:1` is one model, and `next:1` another."""
    catalog = Catalog(echo_home)
    for digit, name in ((1, "prod:1"), (2, "next:1")):
        told = {"digest": f"sha256:{digit:064}", "name": name}
        quality = {"decode_tokens_per_s": PACES[digit]}
        parameters = {"tokens_per_s": PACES[digit]}
        card = replace(catalog.get("echo"), **told, quality=quality, parameters=parameters)  # type: ignore[arg-type]
        catalog.put(card)
    return echo_home


async def promoted(home: Path, gate: str) -> Promotion:
    """Beside the service, as `canteen promote` does it."""
    services = build(Settings.from_env({"CANTEEN_HOME": str(home), "CANTEEN_MODEL": "echo"}))
    rooms = promoting.Rooms(services, lambda _: None)
    wish = Wish("next:1", "prod:1", gate, "me@here")
    return await promoting.promote(services, wish, rooms, lambda _: None)


async def rolled_back(home: Path) -> Promotion:
    """Beside the service, as `canteen rollback` does it."""
    services = build(Settings.from_env({"CANTEEN_HOME": str(home), "CANTEEN_MODEL": "echo"}))
    return await promoting.rollback(services, "prod:1")


def answered_by(answer: Answer) -> int:
    """The digit of the model that a stream's receipt names."""
    found = [line for line in answer.lines if '"footprint"' in line]
    told = json.loads(found[-1].removeprefix("data: "))
    return int(told["footprint"]["digest"][-1])


def ended(answers: list[Answer]) -> int:
    """How many streams have come to their end."""
    return sum(bool(one.lines) and one.is_whole for one in answers)


async def keep_asking(
    client: httpx.AsyncClient, answers: list[Answer], dialect: str, over: asyncio.Event
) -> None:
    """A stream, and another as soon as it has ended."""
    while not over.is_set():
        answer = Answer()
        answers.append(answer)
        await ask(client, Chat(dialect, num_tokens=NUM_WORDS, model="prod:1"), answer)


async def test_no_request_fails_while_a_name_moves_and_moves_back(
    home: Path, serve: Callable[..., Server]
) -> None:
    server = serve(home, CANTEEN_MAX_NUM_SEQS=str(NUM_STREAMS))
    answers: list[Answer] = []
    over = asyncio.Event()
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        asking = [
            asyncio.ensure_future(keep_asking(client, answers, dialect, over))
            for dialect in DIALECTS * (NUM_STREAMS // len(DIALECTS))
        ]
        await until(lambda: len([one for one in answers if one.num_tokens]) == NUM_STREAMS)

        there = await promoted(home, "decode_tokens_per_s>=2x")
        num_across = NUM_STREAMS - ended(answers)
        await until(lambda: ended(answers) >= 3 * NUM_STREAMS)
        back = await rolled_back(home)
        over.set()
        await asyncio.gather(*asking)
        last = await ask(client, Chat(model="prod:1"))

    assert (there.state, back.state) == ("promoted", "rolled back")
    assert num_across == NUM_STREAMS
    assert all(answer.status == 200 and answer.is_whole for answer in answers)
    assert all(answer.num_tokens == NUM_WORDS for answer in answers)
    models = [answered_by(answer) for answer in answers]
    assert models[:NUM_STREAMS] == [1] * NUM_STREAMS
    assert models[NUM_STREAMS : 3 * NUM_STREAMS] == [2] * 2 * NUM_STREAMS
    assert answered_by(last) == 1


async def test_a_gate_that_fails_leaves_the_service_as_it_was(
    home: Path, serve: Callable[..., Server]
) -> None:
    server = serve(home)
    before = manifests(home)

    refused = await promoted(home, "decode_tokens_per_s>=99x")
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        answer = await ask(client, Chat(model="prod:1"))

    assert refused.state == "refused"
    assert manifests(home) == before
    assert answered_by(answer) == 1


def manifests(home: Path) -> dict[Path, bytes]:
    """What each name holds, to the byte."""
    return {path: path.read_bytes() for path in home.glob("models/manifests/*/*.json")}
