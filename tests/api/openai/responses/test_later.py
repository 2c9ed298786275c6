"""Responses in the background as the official `openai` client asks for them, on the echo engine."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import cast

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.responses import Response

from tests.serving import Server, set_pace

Serve = Callable[..., Server]


def of(server: Server) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0)


@pytest.fixture
async def client(echo_server: Server) -> AsyncIterator[AsyncOpenAI]:
    async with of(echo_server) as made:
        yield made


async def over(client: AsyncOpenAI, response: Response) -> Response:
    while True:
        response = await client.responses.retrieve(response.id)
        if response.status not in ("queued", "in_progress"):
            return response


async def test_a_response_in_the_background_is_queued_and_then_completed(
    client: AsyncOpenAI,
) -> None:
    begun = await client.responses.create(
        model="echo",
        input=[{"role": "user", "content": "one two"}],
        instructions="Say it.",
        background=True,
    )

    ended = await over(client, begun)

    assert begun.status == "queued"
    assert begun.id.startswith("resp_")
    assert begun.background
    assert (ended.id, ended.status, ended.background) == (begun.id, "completed", True)
    assert "one two" in ended.output_text
    assert (ended.model_extra or {})["footprint"]["id"].startswith("rcpt_")


async def test_one_that_fails_says_why(client: AsyncOpenAI) -> None:
    ended = await over(
        client, await client.responses.create(model="nobody", input="x", background=True)
    )

    assert ended.status == "failed"
    assert ended.error is not None
    assert "nobody" in ended.error.message


async def test_one_is_cancelled_and_stays_so(serve: Serve, echo_home: Path) -> None:
    server = serve(set_pace(echo_home, tokens_per_s=20.0))
    async with of(server) as client:
        begun = await client.responses.create(
            model="echo", input="word", max_output_tokens=4000, background=True
        )
        await client.responses.cancel(begun.id)
        ended = await over(client, begun)
        again = await client.responses.cancel(begun.id)

    assert ended.status == again.status == "cancelled"


async def test_an_unknown_one_is_404(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="resp_0"):
        await client.responses.retrieve("resp_0")


async def test_jobs_of_other_routes_are_no_responses(client: AsyncOpenAI) -> None:
    chat = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
    spec = {"path": "/v1/chat/completions", "body": chat}
    job = await client.post("/jobs", cast_to=object, body={"kind": "request", "spec": spec})

    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(cast("dict[str, str]", job)["id"])
