"""A name moves to another model, and back, under 16 streams: no request fails, those that run end
on the model they began with, and later ones get the new one."""

import asyncio
import json
import random
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from canteen.bootstrap import build
from canteen.cli import promoting
from canteen.core.errors import InvalidRequest
from canteen.core.model import ModelCard
from canteen.lifecycle.promote import records
from canteen.lifecycle.promote.promotion import Wish
from canteen.lifecycle.promote.records import Promotion
from canteen.runtime.catalog import Catalog
from canteen.settings import Settings
from tests import serving
from tests.e2e.chats import DIALECTS, Answer, Chat, ask, until
from tests.serving import Server

NUM_STREAMS = 16
# The words that echo says in a second, by the model: streams of the first outlast its promotion.
PACES = {1: 25.0, 2: 2000.0, 3: 1000.0}
NUM_WORDS = 200


@pytest.fixture
def home(echo_home: Path) -> Path:
    """A home in which `prod:1` is one model, and `next:1` and `later:1` are others."""
    catalog = Catalog(echo_home)
    for digit, name in ((1, "prod:1"), (2, "next:1"), (3, "later:1")):
        told = {"digest": f"sha256:{digit:064}", "name": name}
        quality = {"decode_tokens_per_s": PACES[digit]}
        parameters = {"tokens_per_s": PACES[digit]}
        card = replace(catalog.get("echo"), **told, quality=quality, parameters=parameters)  # type: ignore[arg-type]
        catalog.put(card)
    return echo_home


async def promoted(home: Path, gate: str, candidate: str = "next:1") -> Promotion:
    """Beside the service, as `canteen promote` does it."""
    services = build(Settings.from_env({"CANTEEN_HOME": str(home), "CANTEEN_MODEL": "echo"}))
    rooms = promoting.Rooms(services, lambda _: None)
    wish = Wish(candidate, "prod:1", gate, "me@here")
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


@pytest.mark.parametrize("seed", range(3))
async def test_a_promotion_that_is_killed_leaves_name_record_and_former_model_in_accord(
    home: Path, seed: int
) -> None:
    before = Catalog(home).get("prod:1")

    kill_as_it_moves(home, random.Random(seed).uniform(0, 0.01))
    holds = Catalog(home).get("prod:1")
    last = await promoted(home, "decode_tokens_per_s>=0.1x", "later:1")

    killed = records.load(home, "prod:1")[0]
    assert killed.state == ("promoted" if holds != before else "failed")
    held = digit(holds)
    kept = {card.name: digit(card) for card in Catalog(home).list() if "-before-" in card.name}
    wanted = {killed.kept_as: 1} if killed.state == "promoted" else {}
    assert kept == {**wanted, last.kept_as: held}
    for expected in range(held, 0, -1):
        await rolled_back(home)
        assert digit(Catalog(home).get("prod:1")) == expected


def kill_as_it_moves(home: Path, after_s: float) -> None:
    """Kill a `canteen promote` so long after it has put its move on record."""
    words = ("promote", "next:1", "--to", "prod:1", "--gate", "decode_tokens_per_s>=0.1x")
    environ = serving.plain_environ(home, {"CANTEEN_MODEL": "echo"})
    with subprocess.Popen([*serving.CANTEEN, *words], env=environ) as program:
        while program.poll() is None and not records.load(home):
            time.sleep(0.0005)
        time.sleep(after_s)
        program.kill()


async def test_of_two_promotions_at_once_one_moves_the_name(home: Path) -> None:
    gate = "decode_tokens_per_s>=0.1x"

    done = await asyncio.gather(
        promoted(home, gate), promoted(home, gate, "later:1"), return_exceptions=True
    )

    (one,) = [each for each in done if isinstance(each, Promotion)]
    (other,) = [each for each in done if isinstance(each, InvalidRequest)]
    assert one.state == "promoted"
    assert "changed by somebody else" in other.message
    assert Catalog(home).get("prod:1").digest == one.digest
    assert digit(Catalog(home).get(one.kept_as)) == 1
    states = sorted(each.state for each in records.load(home))
    assert states == ["failed", "promoted"]


def digit(card: ModelCard) -> int:
    """Of a card's digest."""
    return int(card.digest[-1])
