"""Jobs over HTTP: begun, followed, cancelled, gone on with, removed."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from canteen.api.app import create_app
from canteen.bootstrap import build
from canteen.lifecycle.jobs.runner import Jobs
from canteen.settings import Settings
from tests.lifecycle.jobs.counting import begun, jobs, until

CHATS = [
    {"prompt": f"How many are {number} and one?", "completion": f"{number + 1}"}
    for number in range(12)
]


@asynccontextmanager
async def asking(home: Path, there: Jobs | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """Asks the service of a home, with other jobs than its own if told."""
    services = build(Settings(home=home))
    services.jobs = there or services.jobs
    transport = httpx.ASGITransport(create_app(services, lambda line: None))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client
    await services.close()


@pytest.fixture
async def client(echo_home: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with asking(echo_home) as client:
        yield client


async def submit(client: httpx.AsyncClient, **body: Any) -> httpx.Response:
    return await client.post("/v1/jobs", json={"kind": "finetune", **body})


async def test_there_are_no_jobs_at_first(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/jobs")).json() == {"jobs": []}


async def test_an_unknown_job_is_404_in_our_shape(client: httpx.AsyncClient) -> None:
    for path in ("", "/events", "/logs", "/report"):
        answer = await client.get(f"/v1/jobs/job_0{path}")

        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        assert "job_0" in answer.json()["detail"]


async def test_a_model_without_weights_cannot_be_taught(client: httpx.AsyncClient) -> None:
    answer = await submit(client, spec={"model": "echo", "name": "taught"}, examples=CHATS)

    assert answer.status_code == 400
    assert "GGUF file, and this is builtin of a generator" in answer.json()["detail"]
    assert (await client.get("/v1/jobs")).json() == {"jobs": []}


async def test_an_embedder_cannot_be_taught(client: httpx.AsyncClient) -> None:
    answer = await submit(client, spec={"model": "echo-embed", "name": "taught"}, examples=CHATS)

    assert answer.status_code == 400
    assert "this is builtin of an embedder" in answer.json()["detail"]


async def test_a_field_that_a_job_does_not_have_is_named(client: httpx.AsyncClient) -> None:
    answer = await submit(
        client, spec={"model": "echo", "name": "taught", "epoch": 3}, examples=CHATS
    )

    assert answer.status_code == 400
    assert "'epoch'" in answer.json()["detail"]


async def test_files_of_the_server_are_not_read_over_http(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.jsonl"
    secret.write_text(json.dumps(CHATS[0]))

    answer = await submit(client, spec={"model": "echo", "name": "taught", "data": str(secret)})
    trained = await client.post(
        "/v1/jobs", json={"kind": "train", "spec": {"name": "tiny", "corpus": [str(secret)]}}
    )

    assert (answer.status_code, trained.status_code) == (403, 403)
    assert "built-in" in answer.json()["detail"]


@pytest.fixture
def there(tmp_path: Path) -> Jobs:
    """Jobs that only count, in place of those that train."""
    return jobs(tmp_path, "train")


@pytest.fixture
async def asked(there: Jobs, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with asking(tmp_path, there) as client:
        yield client


async def counting(asked: httpx.AsyncClient, **spec: Any) -> str:
    """Submit a job that counts; its id."""
    answer = await asked.post("/v1/jobs", json={"kind": "train", "spec": {"name": "a", **spec}})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def followed(asked: httpx.AsyncClient, job_id: str) -> list[str]:
    """What comes as events until the end."""
    answer = await asked.get(f"/v1/jobs/{job_id}/events")
    frames = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    assert frames.pop() == "[DONE]"
    return [json.loads(frame)["event"] for frame in frames]


async def test_a_job_is_followed_from_its_beginning_to_its_end(asked: httpx.AsyncClient) -> None:
    job_id = await counting(asked)

    told = await followed(asked, job_id)

    assert told == ["submitted", "begun", "step", "step", "step", "done"]
    job = (await asked.get(f"/v1/jobs/{job_id}")).json()
    assert (job["state"], job["result"], job["receipt_ids"]) == ("done", {"counted": 3}, ["rcpt_0"])
    assert job["found"]["energy_wh"] == 0.5
    page = await asked.get(f"/v1/jobs/{job_id}/report")
    assert page.headers["content-type"].startswith("text/html")
    assert "train of a:latest" in page.text


async def test_a_job_is_cancelled_and_gone_on_with(asked: httpx.AsyncClient, there: Jobs) -> None:
    job_id = await counting(asked, waits_at=2)
    await begun(there, job_id, 1)

    cancelled = await asked.post(f"/v1/jobs/{job_id}/cancel")
    first = await followed(asked, job_id)
    resumed = await asked.post(f"/v1/jobs/{job_id}/resume")
    again = await asked.post(f"/v1/jobs/{job_id}/resume")
    second = await followed(asked, job_id)

    assert (cancelled.status_code, first[-1]) == (200, "cancelled")
    assert (resumed.status_code, resumed.json()["state"]) == (202, "queued")
    assert again.status_code == 400
    assert second == [*first, "begun", "step", "done"]
    done = await asked.post(f"/v1/jobs/{job_id}/resume")
    assert (done.status_code, done.json()["detail"]) == (400, f"job {job_id} is done")


async def test_one_job_waits_for_the_other(asked: httpx.AsyncClient, there: Jobs) -> None:
    first, second = [await counting(asked, name=name, waits_at=2) for name in "ab"]
    await begun(there, first, 1)

    waiting = (await asked.get(f"/v1/jobs/{second}")).json()
    (await asked.post(f"/v1/jobs/{second}/cancel")).raise_for_status()

    assert waiting["state"] == "queued"
    assert await followed(asked, second) == ["submitted"]
    assert (await asked.get(f"/v1/jobs/{first}")).json()["state"] == "running"


async def test_of_a_long_log_the_end_is_told(asked: httpx.AsyncClient, there: Jobs) -> None:
    job_id = await counting(asked)
    await followed(asked, job_id)
    (there.folder(job_id) / "log").write_text("the beginning\n" + "x" * (1 << 16) + "\nthe end\n")

    log = await asked.get(f"/v1/jobs/{job_id}/logs")

    assert len(log.content) == 1 << 16
    assert log.text.endswith("\nthe end\n")


async def test_a_job_that_is_over_is_removed(asked: httpx.AsyncClient, there: Jobs) -> None:
    job_id = await counting(asked, waits_at=2)
    await begun(there, job_id, 1)
    early = await asked.delete(f"/v1/jobs/{job_id}")
    (there.folder(job_id) / "go").touch()
    await followed(asked, job_id)

    removed = await asked.delete(f"/v1/jobs/{job_id}")

    assert early.status_code == 400
    assert "cancel it first" in early.json()["detail"]
    assert removed.json() == {"removed": job_id}
    assert (await asked.get(f"/v1/jobs/{job_id}")).status_code == 404


async def test_nothing_of_the_machine_is_told(
    asked: httpx.AsyncClient, there: Jobs, tmp_path: Path
) -> None:
    body = {"kind": "train", "spec": {"name": "a"}, "examples": [{"text": "mine"}]}
    given = (await asked.post("/v1/jobs", json=body)).json()
    named = await there.submit("train", {"name": "b", "data": str(tmp_path / "mine.jsonl")})
    await followed(asked, given["id"])
    there.cancel(named.id)

    told = {one["id"]: one for one in (await asked.get("/v1/jobs")).json()["jobs"]}
    page = (await asked.get(f"/v1/jobs/{named.id}/report")).text
    shown = await asked.get(f"/v1/jobs/{given['id']}")

    assert told[given["id"]]["spec"]["data"] == "given"
    assert told[named.id]["spec"]["data"] == "mine.jsonl"
    assert "mine.jsonl" in page
    for text in (json.dumps(told), page, shown.text):
        assert str(tmp_path) not in text
    for job in told.values():
        assert not {"host", "pid", "born"} & set(job)


async def test_a_caller_who_goes_away_has_begun_what_is_kept(
    asked: httpx.AsyncClient, there: Jobs
) -> None:
    asking = asyncio.ensure_future(counting(asked))
    await until(there.list)
    asking.cancel()

    (job,) = there.list()
    told = await followed(asked, job.id)

    assert told[-1] == "done"
