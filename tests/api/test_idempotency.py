"""The same key and request are one generation, whoever comes when, and across a kill -9."""

import asyncio
import gzip
import shutil
import signal
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from canteen.api.dialects import DIALECTS
from canteen.api.draining import Drain
from canteen.api.idempotency import Idempotency
from canteen.api.observation import Observation
from canteen.bootstrap import build
from canteen.core.errors import CanteenError
from canteen.settings import Settings
from tests import serving
from tests.conftest import pull
from tests.e2e.chats import until
from tests.serving import Server, set_pace

PATH = "/v1/chat/completions"
REUSED = "idempotency_key_reused"
GZIP = {"content-encoding": "gzip"}
Serve = Callable[..., Server]


def chat(text: str = "one two three", **more: Any) -> dict[str, Any]:
    return {"model": "echo", "messages": [{"role": "user", "content": text}], **more}


def new_key() -> dict[str, str]:
    """A key that nobody has used."""
    return {"idempotency-key": uuid.uuid4().hex}


def is_replayed(answer: httpx.Response) -> bool:
    return bool(answer.headers.get("idempotency-replayed") == "true")


async def num_receipts(client: httpx.AsyncClient) -> int:
    """Generations in the ledger."""
    told = (await client.get("/v1/footprint", params={"by": "model"})).json()
    return sum(one["requests"] for one in told["sums"])


def no_refusal(scope: Scope, error: CanteenError) -> Response:
    raise error


def leaving(body: bytes) -> Receive:
    """A client that sends its request and goes."""
    messages = iter([{"type": "http.request", "body": body}])

    async def receive() -> Message:
        return next(messages, {"type": "http.disconnect"})

    return receive


async def say_nothing(message: Message) -> None:
    """Nobody hears it."""


@pytest.fixture(scope="module")
def slow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("slow")
    home = set_pace(pull(folder / "home", "echo"), tokens_per_s=20.0)
    server = serving.start(home, folder / "log", {"CANTEEN_MODEL": "echo"})
    yield server
    serving.end(server)


@pytest.fixture
async def slow(slow_server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=slow_server.url, timeout=60) as client:
        yield client


@pytest.fixture
async def client(echo_server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=echo_server.url, timeout=60) as client:
        yield client


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_who_asks_again_gets_the_same_bytes_and_no_second_generation(
    client: httpx.AsyncClient, is_streamed: bool
) -> None:
    body, key = chat(stream=is_streamed), new_key()
    before = await num_receipts(client)

    first = await client.post(PATH, json=body, headers=key)
    again = await client.post(PATH, json=body, headers=key)

    assert first.status_code == again.status_code == 200
    assert not is_replayed(first)
    assert is_replayed(again)
    assert again.content == first.content
    assert again.headers["content-type"] == first.headers["content-type"]
    assert again.headers["x-canteen-receipt"] == first.headers["x-canteen-receipt"]
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert await num_receipts(client) == before + 1


async def test_how_the_json_is_written_does_not_matter(client: httpx.AsyncClient) -> None:
    spaced = b'{ "messages": [{"content": "hi", "role": "user"}],\n "model": "echo" }'
    dense = b'{"model":"echo","messages":[{"role":"user","content":"h\\u0069"}]}'
    key = new_key()

    first = await client.post(PATH, content=spaced, headers=key)
    again = await client.post(PATH, content=gzip.compress(dense), headers=key | GZIP)

    assert again.content == first.content
    assert is_replayed(again)


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        (PATH, chat(), lambda told: told["error"]["code"]),
        ("/v1/messages", chat(max_tokens=2), lambda told: told["code"]),
        ("/api/chat", chat(stream=False), lambda told: "new request" in told["error"] and REUSED),
        ("/v1/tasks/summarize", {"model": "echo", "input": "A."}, lambda told: told["code"]),
    ],
)
async def test_another_request_under_a_key_is_422_in_its_dialect(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], code: Callable[[Any], str]
) -> None:
    key = new_key()

    first = await client.post(path, json=body, headers=key)
    other = await client.post(path, json=body | {"temperature": 0.1}, headers=key)

    assert first.status_code == 200, first.text
    assert other.status_code == 422
    assert other.headers["x-should-retry"] == "false"
    assert code(other.json()) == REUSED


async def test_keys_are_a_callers_own_and_a_routes(client: httpx.AsyncClient) -> None:
    key = new_key()
    mine, yours = (key | {"authorization": f"Bearer {name}"} for name in ("me", "you"))

    answers = [
        await client.post(PATH, json=chat(), headers=mine),
        await client.post(PATH, json=chat("other"), headers=yours),
        await client.post("/v1/messages", json=chat(max_tokens=2), headers=mine),
    ]

    assert [(answer.status_code, is_replayed(answer)) for answer in answers] == [(200, False)] * 3


async def test_a_refusal_is_not_kept(client: httpx.AsyncClient) -> None:
    key = new_key()
    refused = await client.post(PATH, json=chat(top_p=7), headers=key)

    answered = await client.post(PATH, json=chat(), headers=key)

    assert refused.status_code == 400
    assert answered.status_code == 200
    assert not is_replayed(answered)


@pytest.mark.parametrize("bad", [b"", b"x" * 256, "schlüssel".encode("latin-1")])
async def test_what_can_be_no_key_is_refused(client: httpx.AsyncClient, bad: bytes) -> None:
    answer = await client.post(PATH, json=chat(), headers={b"idempotency-key": bad})

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "idempotency-key"


async def test_a_key_means_nothing_where_no_model_is_asked(client: httpx.AsyncClient) -> None:
    key = new_key()
    for name in ("echo", "echo-embed"):
        shown = await client.post("/api/show", json={"model": name}, headers=key)
        assert shown.status_code == 200


async def test_ten_at_once_are_one_generation(slow: httpx.AsyncClient) -> None:
    body, key = chat(stream=True, max_tokens=10), new_key()
    before = await num_receipts(slow)

    answers = await asyncio.gather(*(slow.post(PATH, json=body, headers=key) for _ in range(10)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert sorted(map(is_replayed, answers)) == [False] + [True] * 9
    assert await num_receipts(slow) == before + 1


async def test_who_lost_the_connection_joins_what_goes_on(slow: httpx.AsyncClient) -> None:
    body, key = chat(stream=True, max_tokens=20), new_key()
    before = await num_receipts(slow)
    async with slow.stream("POST", PATH, json=body, headers=key) as lost:
        beginning = await anext(lost.aiter_bytes())

    again = await slow.post(PATH, json=body, headers=key)

    assert is_replayed(again)
    assert again.content.startswith(beginning)
    assert again.content.endswith(b"data: [DONE]\n\n")
    assert await num_receipts(slow) == before + 1


async def test_what_nobody_listens_to_any_more_is_given_up_and_may_be_asked_anew(
    echo_home: Path,
) -> None:
    served: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        served.append((await receive())["type"])
        served.append((await receive())["type"])
        scope["canteen.observe"].is_gone = True

    services = build(Settings(home=echo_home))
    once = Idempotency(app, services, draw=no_refusal, dialects=DIALECTS, grace_s=0.0)
    scope = {
        "type": "http",
        "method": "POST",
        "path": PATH,
        "headers": [(b"idempotency-key", b"a")],
        "canteen.observe": Observation("id", "", "me"),
        "canteen.drain": Drain(),
    }

    for _ in range(2):
        await once(scope, leaving(b"{}"), say_nothing)

    assert served == ["http.request", "http.disconnect"] * 2


async def test_an_answer_that_cannot_be_kept_is_given_all_the_same(
    echo_home: Path, serve: Serve, tmp_path: Path
) -> None:
    folder = tmp_path / "database"
    folder.mkdir()
    server = serve(echo_home, CANTEEN_DATABASE=f"sqlite:///{folder / 'canteen.db'}")
    shutil.rmtree(folder)
    key = new_key()
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        answers = [await client.post(PATH, json=chat(), headers=key) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert not any(map(is_replayed, answers))


async def test_two_gateways_of_one_database_make_one_generation(
    echo_home: Path, serve: Serve, tmp_path: Path
) -> None:
    set_pace(echo_home, tokens_per_s=20.0)
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    homes = echo_home, serving.linked_copy(echo_home, tmp_path / "another")
    servers = [serve(home, CANTEEN_DATABASE=url) for home in homes]
    body, key = chat(stream=True, max_tokens=10), new_key()
    async with httpx.AsyncClient(timeout=60) as client:
        answers = await asyncio.gather(
            *(client.post(server.url + PATH, json=body, headers=key) for server in servers)
        )
        # Each writes down what it made when it is asked.
        told = [
            (await client.get(f"{server.url}/v1/footprint", params={"by": "model"})).json()
            for server in servers
        ]

    assert answers[0].content == answers[1].content
    assert sorted(map(is_replayed, answers)) == [False, True]
    assert [one["requests"] for one in told[-1]["sums"]] == [1]


async def test_a_key_outlives_a_killed_gateway(echo_home: Path, serve: Serve) -> None:
    done_key, cut_key = new_key(), new_key()
    first = serve(set_pace(echo_home, tokens_per_s=10.0))
    async with httpx.AsyncClient(base_url=first.url, timeout=60) as client:
        done = await client.post(PATH, json=chat(max_tokens=2), headers=done_key)
        endless = client.post(PATH, json=chat(max_tokens=4000), headers=cut_key)
        cut = asyncio.ensure_future(endless)
        await until(lambda: first.metric("vllm:num_requests_running") == 1)
        first.stop(signal.SIGKILL)
        with pytest.raises(httpx.TransportError):
            await cut

    second = serve(echo_home)
    async with httpx.AsyncClient(base_url=second.url, timeout=60) as client:
        kept = await client.post(PATH, json=chat(max_tokens=2), headers=done_key)
        anew = await client.post(PATH, json=chat(max_tokens=3), headers=cut_key)

    assert is_replayed(kept)
    assert kept.content == done.content
    assert anew.status_code == 200
    assert not is_replayed(anew)
    assert anew.json()["usage"]["completion_tokens"] == 3
