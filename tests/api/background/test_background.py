"""A request that is left is answered as any other would be, once, and told of."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from standardwebhooks import Webhook

from canteen.api.app import create_app
from canteen.bootstrap import build
from canteen.core.errors import EngineError
from canteen.metering.keys.book import KeyBook
from canteen.metering.store import connect
from canteen.settings import Settings
from tests.e2e.chats import until
from tests.runtime.deferred.listener import listening
from tests.serving import key_of, set_pace

CHAT = "/v1/chat/completions"
SIGNING_KEY = "whsec_" + b64encode(bytes(range(32))).decode()
ASYNC = {"prefer": "respond-async"}


def chat(text: str = "one two three", **more: Any) -> dict[str, Any]:
    return {"model": "echo", "messages": [{"role": "user", "content": text}], **more}


@asynccontextmanager
async def asking(home: Path, log: list[bytes] | None = None, **told: Any) -> AsyncIterator[Any]:
    """Asks the service of a home, which answers what is left."""
    services = build(Settings(home=home, **told))
    app = create_app(services, (log if log is not None else []).append)
    app.background.start()
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client
    await app.background.close()
    await services.close()


@pytest.fixture
async def client(echo_home: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with asking(echo_home) as client:
        yield client


async def leave(client: httpx.AsyncClient, path: str, body: Any, **spec: Any) -> httpx.Response:
    asked = {"kind": "request", "spec": {"path": path, "body": body, **spec}}
    return await client.post("/v1/jobs", json=asked)


async def over(client: httpx.AsyncClient, left: httpx.Response) -> Any:
    """The job once it is over."""
    assert left.status_code == 202, left.text
    told = (await client.get(left.headers["location"], params={"wait": "30"})).json()
    assert told["state"] not in ("queued", "running")
    return told


async def until_it_runs(client: httpx.AsyncClient, where: str) -> None:
    while True:
        if (await client.get(where)).json()["state"] == "running":
            return
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("path", "body", "look"),
    [
        (CHAT, chat(), lambda said: said["choices"][0]["message"]["content"]),
        ("/chat/completions", chat(), lambda said: said["choices"][0]["message"]["content"]),
        (
            "/v1/responses",
            {"model": "echo", "input": "one two three"},
            lambda said: "one two three",
        ),
        ("/v1/messages", chat(max_tokens=3), lambda said: said["content"][0]["text"]),
        ("/api/chat", chat(), lambda said: said["message"]["content"]),
        (
            "/api/generate",
            {"model": "echo", "prompt": "one two three"},
            lambda said: said["response"],
        ),
    ],
)
async def test_a_request_of_any_dialect_is_answered_later_as_it_would_be_at_once(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], look: Any
) -> None:
    told = await over(client, await leave(client, path, body))

    assert told["state"] == "done"
    assert told["result"]["status"] == 200
    assert look(told["result"]["body"]) == "one two three"
    receipt = (await client.get(f"/v1/footprint/{told['receipt_ids'][0]}")).json()
    assert receipt["id"] == told["result"]["body"]["footprint"]["id"]


async def test_a_task_and_an_embedding_are_left_too(client: httpx.AsyncClient) -> None:
    embedded = await leave(client, "/v1/embeddings", {"model": "echo-embed", "input": "one"})
    summed = await leave(client, "/v1/tasks/summarize", {"model": "echo", "input": "One. Two."})

    assert (await over(client, embedded))["result"]["body"]["data"][0]["embedding"]
    assert (await over(client, summed))["state"] == "done"


async def test_it_is_left_with_a_place_and_a_time_to_look(client: httpx.AsyncClient) -> None:
    left = await leave(client, CHAT, chat())

    assert left.status_code == 202
    assert left.headers["location"] == f"/v1/jobs/{left.json()['id']}"
    assert int(left.headers["retry-after"]) > 0
    assert left.json()["kind"] == "request"


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/v1/models", {}, "no model is asked at '/v1/models'"),
        ("/v1/jobs", {}, "no model is asked at '/v1/jobs'"),
        (CHAT, {"model": "echo"}, "messages"),
        (CHAT, chat(stream=True), "leave out stream"),
        (
            "/v1/responses",
            {"model": "echo", "input": "x", "background": True},
            "in the background already",
        ),
        (CHAT, chat(top_p=7), "top_p"),
    ],
)
async def test_what_would_be_refused_is_refused_at_once(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], said: str
) -> None:
    answer = await leave(client, path, body)

    assert answer.status_code == 400
    assert said in answer.json()["detail"]
    assert (await client.get("/v1/jobs")).json() == {"jobs": []}


async def test_what_fails_says_why_and_how_it_was_answered(client: httpx.AsyncClient) -> None:
    told = await over(client, await leave(client, CHAT, chat() | {"model": "nobody"}))

    assert told["state"] == "failed"
    assert "nobody" in told["error"]
    assert told["result"]["status"] == 404
    assert told["result"]["body"]["error"]["code"] == "model_not_found"


async def test_a_message_is_answered_once_however_often_it_comes(
    client: httpx.AsyncClient,
) -> None:
    first = await leave(client, CHAT, chat(), message_id="m")
    again = await leave(client, CHAT, chat(), message_id="m")
    told = await over(client, first)
    later = await leave(client, CHAT, chat(), message_id="m")
    other = await leave(client, CHAT, chat("other"), message_id="m")

    assert again.json()["id"] == later.json()["id"] == told["id"]
    assert later.json()["result"] == told["result"]
    assert other.status_code == 422
    assert other.json()["code"] == "idempotency_key_reused"


async def test_the_events_of_a_request_end_with_what_was_answered(
    client: httpx.AsyncClient,
) -> None:
    left = await leave(client, CHAT, chat())

    events = (await client.get(f"{left.headers['location']}/events")).text

    *frames, last = [line.removeprefix("data: ") for line in events.split("\n\n") if "data" in line]
    told = [json.loads(frame) for frame in frames]
    assert last == "[DONE]"
    assert told[-1]["event"] == "done"
    assert told[-1]["job"]["result"]["status"] == 200
    assert all(one["event"] in ("queued", "running") for one in told[:-1])


async def test_what_runs_is_cancelled_and_its_sequence_with_it(echo_home: Path) -> None:
    set_pace(echo_home, tokens_per_s=20.0)
    log: list[bytes] = []
    async with asking(echo_home, log) as client:
        left = await leave(client, CHAT, chat(max_tokens=4000))
        where = left.headers["location"]
        await until_it_runs(client, where)

        await client.post(f"{where}/cancel")
        told = await over(client, left)
        again = await client.post(f"{where}/cancel")

    assert told["state"] == "cancelled"
    assert again.status_code == 400
    (line,) = [json.loads(line) for line in log if json.loads(line)["request_id"] == told["id"]]
    assert line["status"] == 499
    assert line["completion_tokens"] < 4000


async def test_a_job_that_is_over_can_be_forgotten(client: httpx.AsyncClient) -> None:
    left = await leave(client, CHAT, chat())
    await over(client, left)

    gone = await client.delete(left.headers["location"])

    assert gone.json() == {"removed": left.json()["id"]}
    assert (await client.get(left.headers["location"])).status_code == 404


async def test_who_prefers_not_to_wait_is_told_where_to_look(client: httpx.AsyncClient) -> None:
    left = await client.post(CHAT, json=chat(), headers=ASYNC)

    assert left.status_code == 202
    assert left.headers["preference-applied"] == "respond-async"
    assert (await over(client, left))["result"]["status"] == 200


async def test_what_is_done_in_time_is_answered_as_if_nobody_had_preferred_anything(
    client: httpx.AsyncClient,
) -> None:
    wait = {"prefer": "respond-async, wait=30"}
    done = await client.post("/api/generate", json={"model": "echo", "prompt": "hi"}, headers=wait)
    bad = await client.post(CHAT, json=chat(top_p=7), headers=wait)
    unknown = await client.post(CHAT, json=chat() | {"model": "nobody"}, headers=wait)

    assert done.json()["response"] == "hi"
    assert done.headers["preference-applied"] == "respond-async"
    assert done.headers["x-canteen-receipt"]
    assert bad.status_code == 400
    assert bad.json()["error"]["param"] == "top_p"
    assert unknown.status_code == 404
    assert unknown.json()["error"]["code"] == "model_not_found"


@pytest.mark.parametrize("wait", ["-1", "61", "soon", "1.5"])
async def test_a_wait_is_a_number_of_seconds_within_bounds(
    client: httpx.AsyncClient, wait: str
) -> None:
    left = await leave(client, CHAT, chat())

    answer = await client.get(left.headers["location"], params={"wait": wait})

    assert answer.status_code == 400
    assert answer.json()["param"] == "wait"


async def test_who_wants_to_be_told_gets_a_signed_webhook_at_the_end(echo_home: Path) -> None:
    told_in: dict[str, Any] = {"webhook_secret": SIGNING_KEY, "webhook_hosts": ("127.0.0.1",)}
    async with listening(503, 204) as listener, asking(echo_home, **told_in) as client:
        left = await leave(client, CHAT, chat(), webhook=listener.url)
        told = await over(client, left)
        await until(lambda: len(listener.got) == 2)
        elsewhere = await leave(client, CHAT, chat(), webhook="http://10.0.0.1/")

    first, second = listener.got
    said = Webhook(SIGNING_KEY).verify(second.body, second.headers)
    assert said["type"] == "job.done"
    assert said["data"] == told
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert elsewhere.status_code == 403


async def test_without_a_secret_there_are_no_webhooks(client: httpx.AsyncClient) -> None:
    answer = await leave(client, CHAT, chat(), webhook="http://127.0.0.1:1/")

    assert answer.status_code == 403
    assert "CANTEEN_WEBHOOK_SECRET" in answer.json()["detail"]


def keyed(home: Path, name: str, **wanted: Any) -> tuple[str, dict[str, str]]:
    key_id, shown = key_of(home, name, **wanted)
    return key_id, {"authorization": f"Bearer {shown}"}


async def test_a_request_is_its_callers_own_and_counted_on_their_key(echo_home: Path) -> None:
    _, mine = keyed(echo_home, "mine", limits={"tokens_per_day": 100})
    _, yours = keyed(echo_home, "yours")
    _, admin = keyed(echo_home, "admin", scopes=("llm:admin",))
    async with asking(echo_home, keys="on") as client:
        client.headers = mine
        left = await leave(client, CHAT, chat(max_tokens=3))
        told = await over(client, left)
        spent = await over(client, await leave(client, CHAT, chat(max_tokens=500)))
        where = left.headers["location"]
        client.headers = yours
        others = (
            await client.get(where),
            await client.post(f"{where}/cancel"),
            await client.get("/v1/jobs"),
        )
        training = await client.post("/v1/jobs", json={"kind": "train", "spec": {}})
        client.headers = admin
        seen = await client.get(where), await client.get("/v1/jobs")
        barred = await leave(client, CHAT, chat())

    assert told["state"] == "done"
    assert spent["state"] == "failed"
    assert spent["result"]["body"]["error"]["code"] == "insufficient_quota"
    assert [one.status_code for one in others] == [404, 404, 200]
    assert others[2].json() == {"jobs": []}
    assert training.status_code == 403
    assert seen[0].json() == told
    assert len(seen[1].json()["jobs"]) == 2
    assert barred.status_code == 403


async def test_a_key_that_was_revoked_is_not_answered_any_more(echo_home: Path) -> None:
    key_id, mine = keyed(echo_home, "mine")
    services = build(Settings(home=echo_home, keys="on"))
    app = create_app(services, lambda line: None)
    transport = httpx.ASGITransport(app)
    base = {"transport": transport, "base_url": "http://localhost"}
    async with httpx.AsyncClient(**base, headers=mine) as client:  # type: ignore[arg-type]
        left = await leave(client, CHAT, chat())
    KeyBook(connect(f"sqlite:///{echo_home / 'canteen.db'}")).revoke(key_id)
    app.background.start()
    book = services.deferred.book
    await until(lambda: book.get(left.json()["id"]).is_over)
    await app.background.close()
    await services.close()

    found = book.get(left.json()["id"])
    assert (found.state, found.status) == ("failed", 401)
    assert "revoked" in found.error


async def test_its_trace_and_its_end_user_go_along(echo_home: Path) -> None:
    log: list[bytes] = []
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    parent = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
    async with asking(echo_home, log) as client:
        left = await client.post(CHAT, json=chat(), headers=ASYNC | parent)
        told = await over(client, left)

    lines = [json.loads(line) for line in log]
    answered = next(line for line in lines if line["request_id"] == told["id"])
    assert answered["trace_id"] == trace_id
    assert answered["receipt_id"] == told["receipt_ids"][0]
    assert answered["operation"] == "chat"


async def test_how_the_json_of_a_message_is_written_does_not_matter(
    client: httpx.AsyncClient,
) -> None:
    body = chat()
    first = await leave(client, CHAT, body, message_id="m")
    again = await leave(client, CHAT, dict(reversed(body.items())), message_id="m")

    assert again.json()["id"] == first.json()["id"]


async def test_what_ends_without_an_answer_is_no_answer_to_who_preferred_not_to_wait(
    echo_home: Path,
) -> None:
    set_pace(echo_home, tokens_per_s=20.0)
    async with asking(echo_home) as client:
        waiting = asyncio.ensure_future(
            client.post(
                CHAT,
                json=chat(max_tokens=4000),
                headers={"prefer": "respond-async, wait=30"},
                timeout=60,
            )
        )
        jobs: list[Any] = []
        while not jobs or jobs[0]["state"] != "running":
            jobs = (await client.get("/v1/jobs")).json()["jobs"]
        await client.post(f"/v1/jobs/{jobs[0]['id']}/cancel")
        answer = await waiting

    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "job_cancelled"


async def test_who_may_have_one_at_once_holds_up_nobody_and_is_answered_in_the_end(
    echo_home: Path,
) -> None:
    set_pace(echo_home, tokens_per_s=50.0)
    _, lone = keyed(echo_home, "lone", limits={"concurrency": 1})
    _, other = keyed(echo_home, "other")
    log: list[bytes] = []
    async with asking(echo_home, log, keys="on") as client:
        client.headers = lone
        # As long as it runs, none of the others has a place.
        endless = await leave(client, CHAT, chat(max_tokens=4000))
        await until_it_runs(client, endless.headers["location"])
        many = [await leave(client, CHAT, chat(max_tokens=10)) for _ in range(10)]
        client.headers = other
        told = await over(client, await leave(client, CHAT, chat(max_tokens=1)))
        client.headers = lone
        await client.post(f"{endless.headers['location']}/cancel")
        last = [await over(client, left) for left in many]

    assert told["state"] == "done"
    assert {one["state"] for one in last} == {"done"}
    refusals = [line for line in log if json.loads(line)["status"] == 429]
    assert told["ended_s"] < max(one["ended_s"] for one in last)
    assert len(refusals) < 5 * len(many)


async def test_a_database_that_is_away_for_a_moment_fails_nothing(echo_home: Path) -> None:
    services = build(Settings(home=echo_home, keys="on"))
    _, mine = keyed(echo_home, "mine")
    app = create_app(services, lambda line: None)
    transport = httpx.ASGITransport(app)
    base = {"transport": transport, "base_url": "http://localhost"}
    async with httpx.AsyncClient(**base, headers=mine) as client:  # type: ignore[arg-type]
        left = await leave(client, CHAT, chat())
        services.keys.book = cast("KeyBook", Away(services.keys.book, num_times=1))
        app.background.start()
        told = await over(client, left)
    await app.background.close()
    await services.close()

    assert (told["state"], told["attempts"]) == ("done", 1)


class Away:
    """A book of keys that cannot be read a few times."""

    def __init__(self, book: KeyBook, num_times: int) -> None:
        self.clock = book.clock
        self._book = book
        self._num_times = num_times

    def get(self, key_id: str) -> Any:
        self._num_times -= 1
        if self._num_times >= 0:
            raise EngineError("the ledger cannot be read now")
        return self._book.get(key_id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._book, name)
