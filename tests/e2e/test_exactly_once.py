"""A job, a batch and a message each complete exactly once, though the service is killed at work."""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from canteen.core.database import Tables
from canteen.metering.store import connect
from canteen.runtime.deferred.broker import Message, TableBroker
from tests.compat.test_batches import chat, jsonl
from tests.databases import emptied
from tests.e2e.chats import until
from tests.runtime.deferred.listener import Listener, listening
from tests.runtime.deferred.test_webhook import SIGNING_KEY
from tests.serving import Server, set_pace

Serve = Callable[..., Server]
NUM_EACH = 10
CHAT = "/v1/chat/completions"
# Words, at twenty a second: half a second of work each, four at a time. The first job is at work
# for both kills, however late they come; what is left after them goes as fast as it can.
PACE, LONG, LONGEST = 20.0, 10, 2000


def body(name: str) -> dict[str, Any]:
    return {
        "model": "echo",
        "messages": [{"role": "user", "content": f"{name} says"}],
        "max_tokens": LONGEST if name == "job-0" else LONG,
    }


class Callers:
    """Those who ask, in three ways, and ask everything again when they are told to."""

    def __init__(self, tables: Tables, broker: TableBroker, listener: Listener) -> None:
        self.tables = tables
        self.broker = broker
        self.listener = listener
        self.jobs: dict[str, str] = {}
        self.batch_id = ""

    async def ask(self, server: Server) -> None:
        """Everything that is asked, each with its id; only a batch has none."""
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            for number in range(NUM_EACH):
                await self._leave(client, f"job-{number}")
                self._send(f"message-{number}")
            if not self.batch_id:
                self.batch_id = await _batch(client)

    async def _leave(self, client: httpx.AsyncClient, name: str) -> None:
        spec = {"path": CHAT, "body": body(name), "message_id": name, "webhook": self.listener.url}
        left = await client.post("/v1/jobs", json={"kind": "request", "spec": spec})
        assert left.status_code == 202, left.text
        assert self.jobs.setdefault(name, left.json()["id"]) == left.json()["id"]

    def _send(self, name: str) -> None:
        headers = {
            "ce_id": name,
            "ce_source": "/orders",
            "ce_type": "llm.chat.requested.v1",
            "reply-to": "orders.replies",
        }
        self.broker.publish(Message("canteen.commands", name, headers, json.dumps(body(name))))

    def num_in(self, channel: str) -> int:
        """Messages that nobody has settled yet."""
        question = "SELECT id FROM canteen_messages WHERE channel = :channel"
        with self.tables.reading() as connection:
            return len(connection.execute(question, {"channel": channel}))

    def replies(self) -> list[Message]:
        """What has come, and is left there."""
        return self.broker.receive("orders.replies", 1000)


async def _batch(client: httpx.AsyncClient) -> str:
    lines = jsonl(*(chat(f"line-{n}", f"line-{n} says", max_tokens=LONG) for n in range(NUM_EACH)))
    files, data = {"file": ("asked.jsonl", lines)}, {"purpose": "batch"}
    file = (await client.post("/v1/files", files=files, data=data)).json()
    asked = {"input_file_id": file["id"], "endpoint": CHAT, "completion_window": "24h"}
    return str((await client.post("/v1/batches", json=asked)).json()["id"])


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_killed_twice_and_asked_again_each_is_answered_exactly_once(
    serve: Serve, echo_home: Path, tmp_path: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    url = f"sqlite:///{tmp_path / 'broker.db'}"
    environ = {"CANTEEN_MAX_NUM_SEQS": "4"}
    if kind == "postgresql":
        url = emptied(str(request.getfixturevalue("postgres")))
        environ["CANTEEN_DATABASE"] = url
    environ |= {
        "CANTEEN_BROKER": url,
        "CANTEEN_WEBHOOK_SECRET": SIGNING_KEY,
        "CANTEEN_WEBHOOK_HOSTS": "127.0.0.1",
    }
    tables = connect(url, is_own=False)
    broker = TableBroker(tables, is_postgresql=kind == "postgresql")
    broker.open()
    set_pace(echo_home, tokens_per_s=PACE)
    async with listening() as listener:
        callers = Callers(tables, broker, listener)
        server = serve(echo_home, **environ)
        await callers.ask(server)
        for num_heard, pace in ((2, PACE), (5, 0.0)):
            await until(lambda num=num_heard: len(listener.got) >= num)  # type: ignore[misc]
            server.stop(signal.SIGKILL)
            set_pace(echo_home, tokens_per_s=pace)
            server = serve(echo_home, **environ)
            await callers.ask(server)
        jobs, batch, output = await all_over(server, callers)
        await until(lambda: len(told_of(listener)) == NUM_EACH)
        server.stop()

    assert Counter(told_of(listener)) == Counter(callers.jobs.values())
    assert {job["state"] for job in jobs} == {"done"}
    assert any(job["attempts"] > 1 for job in jobs)
    assert batch["request_counts"] == {"total": NUM_EACH, "completed": NUM_EACH, "failed": 0}
    assert [line["custom_id"] for line in output] == [f"line-{n}" for n in range(NUM_EACH)]
    replies = Counter(reply.headers["correlation-id"] for reply in callers.replies())
    assert replies == Counter(f"message-{n}" for n in range(NUM_EACH))


async def all_over(server: Server, callers: Callers) -> tuple[list[Any], Any, list[Any]]:
    """The jobs, the batch, and what it has written, once all is done."""
    async with httpx.AsyncClient(base_url=server.url, timeout=90) as client:
        jobs = [
            (await client.get(f"/v1/jobs/{job_id}", params={"wait": "60"})).json()
            for job_id in callers.jobs.values()
        ]
        num_left = NUM_EACH
        while num_left:
            batch = (await client.get(f"/v1/batches/{callers.batch_id}")).json()
            counts = batch["request_counts"]
            num_left = counts["total"] - counts["completed"] - counts["failed"]
            await asyncio.sleep(0.05)
        written = await client.get(f"/v1/files/{batch['output_file_id']}/content")
    await until(lambda: callers.num_in("canteen.commands") == 0)
    await until(lambda: callers.num_in("orders.replies") >= NUM_EACH)
    return jobs, batch, [json.loads(line) for line in written.text.splitlines()]


def told_of(listener: Listener) -> list[str]:
    """The jobs that were told of, each word of them once: who gets it twice knows by its id."""
    words = {got.headers["webhook-id"]: json.loads(got.body) for got in listener.got}
    return [word["data"]["id"] for word in words.values()]
