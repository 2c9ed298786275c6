"""Batches and files as the official `openai` client asks for them, on the echo engine."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.serving import Server, key_of, set_pace

Serve = Callable[..., Server]
CHAT = "/v1/chat/completions"


@pytest.fixture
async def client(echo_server: Server) -> AsyncIterator[AsyncOpenAI]:
    async with of(echo_server) as made:
        yield made


def of(server: Server, api_key: str = "unused") -> AsyncOpenAI:
    """A client as its users make it, but that tries once, so that errors are seen."""
    return AsyncOpenAI(base_url=f"{server.url}/v1", api_key=api_key, max_retries=0)


def chat(custom_id: str, text: str = "one two", url: str = CHAT, **more: Any) -> dict[str, Any]:
    body = {"model": "echo", "messages": [{"role": "user", "content": text}], **more}
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": body}


def jsonl(*lines: Any) -> bytes:
    return b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines)


async def begun(client: AsyncOpenAI, content: bytes, endpoint: Any = CHAT) -> Any:
    file = await client.files.create(file=("asked.jsonl", content), purpose="batch")
    return await client.batches.create(
        input_file_id=file.id, endpoint=endpoint, completion_window="24h"
    )


async def over(client: AsyncOpenAI, batch_id: str) -> Any:
    while True:
        batch = await client.batches.retrieve(batch_id)
        if batch.status not in ("validating", "in_progress", "finalizing", "cancelling"):
            return batch


async def one_is_answered(client: AsyncOpenAI, batch_id: str) -> None:
    """Its answer is kept, which is later than its line of the log is written."""
    batch: Any = None
    while batch is None or not batch.request_counts.completed:
        batch = await client.batches.retrieve(batch_id)


async def read(client: AsyncOpenAI, file_id: str) -> list[Any]:
    content = await client.files.content(file_id)
    return [json.loads(line) for line in content.text.splitlines()]


async def test_a_batch_is_answered_line_by_line_in_its_order(client: AsyncOpenAI) -> None:
    asked = [chat(f"ask-{number}", f"grüße 😀 {number}") for number in range(40)]
    asked[7]["body"]["model"] = "nobody"

    batch = await over(client, (await begun(client, jsonl(*asked))).id)

    assert batch.status == "completed"
    counts = batch.request_counts
    assert (counts.total, counts.completed, counts.failed) == (40, 39, 1)
    answers = await read(client, batch.output_file_id)
    good = [one["custom_id"] for number, one in enumerate(asked) if number != 7]
    assert [one["custom_id"] for one in answers] == good
    said = answers[0]["response"]
    assert said["status_code"] == 200
    assert said["body"]["choices"][0]["message"]["content"] == "grüße 😀 0"
    assert said["body"]["footprint"]["id"].startswith("rcpt_")
    (refused,) = await read(client, batch.error_file_id)
    assert refused["custom_id"] == "ask-7"
    assert refused["response"]["status_code"] == 404
    assert refused["response"]["body"]["error"]["code"] == "model_not_found"


async def test_embeddings_come_in_batches_too(client: AsyncOpenAI) -> None:
    line = {"custom_id": "a", "method": "POST", "url": "/v1/embeddings"}
    content = jsonl(line | {"body": {"model": "echo-embed", "input": "one"}})

    batch = await over(client, (await begun(client, content, "/v1/embeddings")).id)

    (answer,) = await read(client, batch.output_file_id)
    assert answer["response"]["body"]["data"][0]["embedding"]


@pytest.mark.parametrize(
    ("content", "line", "code"),
    [
        (b'{"custom_id": "a"\n', 1, "invalid_json_line"),
        (b"[]\n", 1, "invalid_json_line"),
        (jsonl(chat("a"), chat("a")), 2, "duplicate_custom_id"),
        (jsonl(chat("a"), chat("b", url="/v1/embeddings")), 2, "mismatched_url"),
        (jsonl(chat("")), 1, "missing_required_parameter"),
        (jsonl(chat("a", stream=True)), 1, "invalid_request"),
        (jsonl(chat("a", background=True)), 1, "invalid_request"),
        (b'{"custom_id": "\\ud800"}\n', 1, "missing_required_parameter"),
        (jsonl(chat("a") | {"method": "GET"}), 1, "invalid_method"),
        (jsonl(chat("a") | {"body": 3}), 1, "missing_required_parameter"),
        (b"\n \n", None, "empty_file"),
    ],
)
async def test_a_file_with_a_bad_line_fails_as_a_whole_and_says_which(
    client: AsyncOpenAI, content: bytes, line: int | None, code: str
) -> None:
    batch = await begun(client, content)

    assert batch.status == "failed"
    assert batch.output_file_id is None
    (error,) = batch.errors.data
    assert (error.line, error.code) == (line, code)


async def test_files_are_kept_listed_read_and_forgotten(client: AsyncOpenAI) -> None:
    content = jsonl(chat("a", "grüße"))
    kept = await client.files.create(file=("asked.jsonl", content), purpose="batch")

    listed = [file.id async for file in client.files.list()]
    shown = await client.files.retrieve(kept.id)
    gone = await client.files.delete(kept.id)

    assert kept.id in listed
    assert (shown.bytes, shown.filename, shown.purpose) == (len(content), "asked.jsonl", "batch")
    assert gone.deleted
    with pytest.raises(openai.NotFoundError, match="GET /v1/files"):
        await client.files.retrieve(kept.id)


async def test_lists_are_turned_page_by_page(client: AsyncOpenAI) -> None:
    begin = [await begun(client, jsonl(chat("a"))) for _ in range(3)]

    listed = [batch.id async for batch in client.batches.list(limit=2)]

    assert {one.id for one in begin} <= set(listed)
    assert len(listed) == len(set(listed))
    with pytest.raises(openai.BadRequestError, match="to go on after"):
        await client.batches.list(after="batch_0")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"endpoint": "/v1/models"}, "no model is asked"),
        ({"completion_window": "soon"}, "hours or days"),
        ({"completion_window": "8d"}, "hours or days"),
    ],
)
async def test_what_no_batch_can_be_is_refused(
    client: AsyncOpenAI, asked: dict[str, Any], said: str
) -> None:
    file = await client.files.create(file=("a.jsonl", jsonl(chat("a"))), purpose="batch")
    told: Any = {"input_file_id": file.id, "endpoint": CHAT, "completion_window": "24h"}
    with pytest.raises(openai.BadRequestError, match=said):
        await client.batches.create(**told | asked)
    with pytest.raises(openai.NotFoundError):
        await client.batches.create(**told | {"input_file_id": "file-0"})


async def test_what_no_file_can_be_is_refused(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="UTF-8"):
        await client.files.create(file=("a.jsonl", b"\xff\xfe"), purpose="batch")
    with pytest.raises(openai.BadRequestError, match="POST /v1/jobs"):
        await client.files.create(file=("a.jsonl", b"{}"), purpose="fine-tune")
    with pytest.raises(openai.BadRequestError):
        await client.post("/files", cast_to=object, body={"purpose": "batch"})


async def test_a_file_that_is_too_large_is_refused(serve: Serve, echo_home: Path) -> None:
    async with of(serve(echo_home, CANTEEN_MAX_BODY_BYTES="2000")) as client:
        with pytest.raises(openai.APIStatusError, match="CANTEEN_MAX_BODY_BYTES") as found:
            await client.files.create(file=("a.jsonl", b"x" * 3000), purpose="batch")

    assert found.value.status_code == 413


async def test_a_batch_is_cancelled_and_what_was_answered_is_there(
    serve: Serve, echo_home: Path
) -> None:
    set_pace(echo_home, tokens_per_s=20.0)
    server = serve(echo_home, CANTEEN_MAX_NUM_SEQS="2")
    quick, slow = chat("quick", max_tokens=1), [chat(f"{one}", max_tokens=4000) for one in range(9)]
    async with of(server) as client:
        batch = await begun(client, jsonl(quick, *slow))
        await one_is_answered(client, batch.id)
        await client.batches.cancel(batch.id)
        ended = await over(client, batch.id)
        answers = await read(client, ended.output_file_id)
        others = await read(client, ended.error_file_id)
        with pytest.raises(openai.BadRequestError, match="over already"):
            await client.batches.cancel(batch.id)

    assert ended.status == "cancelled"
    assert [one["custom_id"] for one in answers] == ["quick"]
    assert {one["error"]["code"] for one in others} == {"batch_cancelled"}
    assert len(others) == len(slow)


async def test_files_and_batches_are_their_callers_own(serve: Serve, echo_home: Path) -> None:
    (_, mine), (_, yours) = key_of(echo_home, "mine"), key_of(echo_home, "yours")
    server = serve(echo_home, CANTEEN_KEYS="on")
    async with of(server, mine) as me, of(server, yours) as you:
        batch = await over(me, (await begun(me, jsonl(chat("a")))).id)

        assert [one.id async for one in me.batches.list()] == [batch.id]
        assert [one async for one in you.batches.list()] == []
        assert [one async for one in you.files.list()] == []
        for asked in (
            you.batches.retrieve(batch.id),
            you.batches.cancel(batch.id),
            you.files.content(batch.output_file_id),
            you.files.delete(batch.input_file_id),
        ):
            with pytest.raises(openai.NotFoundError):
                await asked
