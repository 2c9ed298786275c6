"""What a key may have is never passed: by many at once, by several gateways, across a kill -9."""

import asyncio
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from canteen.metering.keys.book import KeyBook
from canteen.metering.keys.key import Key, Wanted
from canteen.metering.store import connect
from tests import serving
from tests.conftest import pull
from tests.databases import emptied
from tests.serving import Server

Serve = Callable[..., Server]

NUM_CALLERS = 500
NUM_CLIENTS = 25
NUM_AFTER = 8
# Tokens a second, and those of an answer that outlasts a test.
PACE, LONG = 100, 6000
WITHOUT = httpx.Limits(max_connections=None)
BUDGET = 2000
ASKED = {
    "model": "echo",
    "messages": [{"role": "user", "content": "one two three"}],
    "max_tokens": 15,
}
# Three words read, fifteen written.
TOKENS_EACH = 18
WIDE = {"CANTEEN_KEYS": "on", "CANTEEN_MAX_QUEUE": "1000", "CANTEEN_MAX_NUM_SEQS": "64"}


def made(url: str, **limits: float) -> tuple[KeyBook, Key, dict[str, str]]:
    """A key with limits, and the header that shows it."""
    book = KeyBook(connect(url))
    key, secret = book.create(Wanted("a team", limits=limits))
    return book, key, {"authorization": f"Bearer {secret}"}


async def ask(client: httpx.AsyncClient, url: str) -> httpx.Response:
    answer = await client.post(f"{url}/v1/chat/completions", json=ASKED)
    assert answer.headers["x-ratelimit-limit-tokens"] == str(BUDGET)
    return answer


async def until_it_is_spent(client: httpx.AsyncClient, url: str) -> list[httpx.Response]:
    """Answers, until there is a refusal for good."""
    answers: list[httpx.Response] = []
    while not answers or answers[-1].headers.get("x-should-retry") != "false":
        answers.append(await ask(client, url))
    return answers


async def spend(urls: Sequence[str], headers: dict[str, str]) -> list[httpx.Response]:
    """All at once, and then the rest by a few who go on. A client of httpx looks through all its
    connections for each request, so there are several."""
    tls = ssl.create_default_context()
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                httpx.AsyncClient(headers=headers, limits=WITHOUT, timeout=60, verify=tls)
            )
            for _ in range(NUM_CLIENTS)
        ]
        at_once = [
            ask(clients[one % NUM_CLIENTS], urls[one % len(urls)]) for one in range(NUM_CALLERS)
        ]
        answers = await asyncio.gather(*at_once)
        a_few = [until_it_is_spent(clients[one], urls[one % len(urls)]) for one in range(NUM_AFTER)]
        return answers + [one for more in await asyncio.gather(*a_few) for one in more]


def check_nothing_was_passed(book: KeyBook, key: Key, answers: list[httpx.Response]) -> None:
    whole = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code == 429]
    spent = book.spent(key)["tokens_per_day"]
    assert len(whole) + len(refused) == len(answers)
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert sum(one.json()["usage"]["total_tokens"] for one in whole) == spent["used"]
    assert len(whole) * TOKENS_EACH == spent["used"] <= BUDGET
    # No more would have fitted, as far as anybody can tell beforehand.
    assert spent["used"] > BUDGET - 150
    assert spent["held"] == 0
    last = refused[-1]
    assert last.json()["error"]["code"] == "insufficient_quota"
    assert int(last.headers["retry-after"]) > 1


@pytest.fixture(scope="module", params=["1", "2"], ids=["one process", "two that speak HTTP"])
def gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, str]]:
    """A gateway for those who leave it alive, and the URL of its database."""
    folder = tmp_path_factory.mktemp("gateway")
    environ = {"CANTEEN_MODEL": "echo", "CANTEEN_HTTP_PROCESSES": request.param, **WIDE}
    home = serving.set_pace(pull(folder / "home", "echo", "echo-embed"), tokens_per_s=PACE)
    server = serving.start(home, folder / "serve.log", environ)
    yield server, f"sqlite:///{home / 'canteen.db'}"
    serving.end(server)


async def test_500_at_once_do_not_pass_a_budget(gateway: tuple[Server, str]) -> None:
    server, url = gateway
    book, key, headers = made(url, tokens_per_day=BUDGET)

    answers = await spend([server.url], headers)

    check_nothing_was_passed(book, key, answers)


def test_a_caller_who_leaves_gives_back_what_was_held_and_pays_for_what_it_got(
    gateway: tuple[Server, str],
) -> None:
    server, url = gateway
    book, key, headers = made(url, tokens_per_day=10_000, concurrency=1)

    with under_way(server.url, headers):
        pass
    while book.spent(key)["concurrency"]["held"]:
        time.sleep(serving.LOOK_EVERY_S)

    spent = book.spent(key)["tokens_per_day"]
    assert spent["held"] == 0
    assert 0 < spent["used"] < LONG


async def test_two_gateways_keep_one_budget_and_one_gives_back_what_the_other_held(
    serve: Serve, echo_home: Path, postgres: str
) -> None:
    url = emptied(postgres)
    serving.set_pace(echo_home, tokens_per_s=PACE)
    book, key, headers = made(url, tokens_per_day=BUDGET)
    _, _, lone = made(url, concurrency=1)
    first, second = (serve(echo_home, CANTEEN_DATABASE=url, **WIDE) for _ in range(2))

    answers = await spend([first.url, second.url], headers)

    check_nothing_was_passed(book, key, answers)
    refused, answered = await asyncio.to_thread(before_and_after_a_kill, first, second, lone)
    assert refused.status_code == 429
    assert "under way" in refused.json()["error"]["message"]
    assert answered.status_code == 200


def before_and_after_a_kill(
    first: Server, second: Server, headers: dict[str, str]
) -> tuple[httpx.Response, httpx.Response]:
    """What the second gateway says while the first has a request, and when that was killed."""
    with under_way(first.url, headers):
        before = asked(second.url, headers)
        first.process.kill()
        first.process.wait()
    return before, asked(second.url, headers)


@contextmanager
def under_way(url: str, headers: dict[str, str]) -> Iterator[None]:
    """While a stream has begun that would go on for long."""
    body = ASKED | {"max_tokens": LONG, "stream": True}
    with httpx.stream(
        "POST", f"{url}/v1/chat/completions", json=body, headers=headers, timeout=30
    ) as answer:
        assert answer.status_code == 200
        lines = answer.iter_lines()
        next(lines)
        yield


def asked(url: str, headers: dict[str, str]) -> httpx.Response:
    body = ASKED | {"max_tokens": 1}
    return httpx.post(f"{url}/v1/chat/completions", json=body, headers=headers, timeout=30)


def test_what_a_killed_gateway_held_is_given_back(serve: Serve, echo_home: Path) -> None:
    url = f"sqlite:///{echo_home / 'canteen.db'}"
    book, key, headers = made(url, tokens_per_day=LONG + 100, concurrency=2)
    serving.set_pace(echo_home, tokens_per_s=PACE)
    first = serve(echo_home)

    with under_way(first.url, headers):
        refused = asked(first.url, headers)
        held = book.spent(key)
        first.process.kill()
        first.process.wait()
    answered = asked(serve(echo_home).url, headers)

    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert held["tokens_per_day"]["held"] > LONG
    assert held["concurrency"]["held"]
    assert answered.status_code == 200
    assert book.spent(key)["tokens_per_day"]["held"] == 0
