"""The client against servers that answer by the book, and some that do not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter

import pytest

from canteen.bench.client import Client
from canteen.bench.figures import Outcome
from canteen.bench.load import Load
from canteen.core.errors import CanteenError, EngineError, InvalidRequest
from tests.serving import Server

HELLO = b'data: {"choices": [{"delta": {"content": "Hello"}}]}\n\n'
ROLE = b'data: {"choices": [{"delta": {"role": "assistant", "content": ""}}]}\n\n'
USAGE = (
    b'data: {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2, '
    b'"prompt_tokens_details": {"cached_tokens": 4}}}\n\n'
)
DONE = b"data: [DONE]\n\n"
OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"


@asynccontextmanager
async def answering(*pieces: bytes) -> AsyncIterator[str]:
    """The address of a server that says these pieces, whatever it is asked, and closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def ask(url: str, deadline_s: float | None = None) -> Outcome:
    """One request."""
    client = Client(url, "m", Load(deadline_s=deadline_s))
    outcome = await client.ask(1, perf_counter())
    client.close()
    return outcome


async def test_only_text_counts_as_a_token_and_the_server_counts_them() -> None:
    async with answering(OK, ROLE, HELLO, HELLO, USAGE, DONE) as url:
        outcome = await ask(url)

    assert outcome.is_whole
    assert len(outcome.text_s) == 2
    assert (outcome.prompt_tokens, outcome.cached_tokens, outcome.completion_tokens) == (9, 4, 2)


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_events_may_be_cut_anywhere_by_the_chunks_of_http(size: int) -> None:
    body = ROLE + HELLO + USAGE + DONE
    cut = [body[at : at + size] for at in range(0, len(body), size)]
    chunks = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in cut]
    head = OK.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")

    async with answering(head, *chunks, b"0\r\n\r\n") as url:
        outcome = await ask(url)

    assert outcome.is_whole
    assert len(outcome.text_s) == 1


async def test_a_stream_that_ends_too_early_is_no_whole_answer() -> None:
    async with answering(OK, HELLO) as url:
        assert (await ask(url)).error == "broken stream"


async def test_an_error_within_a_stream_is_named_by_its_code() -> None:
    event = b'data: {"error": {"code": "worker_died", "message": "the process ended"}}\n\n'

    async with answering(OK, HELLO, event) as url:
        outcome = await ask(url)

    assert (outcome.error, outcome.message) == ("worker_died", "the process ended")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(b"Retry-After: 3", 3.0), (b"Retry-After: 3\r\nretry-after-ms: 2500", 2.5)],
)
async def test_a_refusal_is_named_by_its_status_and_says_when_to_come_again(
    header: bytes, seconds: float
) -> None:
    body = b'{"error": {"message": "server busy"}}'
    head = b"HTTP/1.1 503 Service Unavailable\r\n%s\r\nContent-Length: %d\r\n\r\n" % (
        header,
        len(body),
    )

    async with answering(head, body) as url:
        outcome = await ask(url)

    assert (outcome.error, outcome.message) == ("503", "server busy")
    assert outcome.retry_after_s == seconds


@pytest.mark.parametrize("pieces", [(), (b"SSH-2.0-OpenSSH_9\r\n\r\n",), (OK, b"data: {]\n\n")])
async def test_what_is_no_answer_is_an_outcome_and_no_exception(pieces: tuple[bytes, ...]) -> None:
    async with answering(*pieces) as url:
        assert not (await ask(url)).is_whole


async def test_a_request_carries_its_headers_and_its_deadline() -> None:
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x/v1"
        headers = {"Authorization": "Bearer key"}
        await Client(url, "m", Load(deadline_s=2.5), headers).ask(1, perf_counter())

    line, *said = heads[0].decode().split("\r\n")
    assert line == "POST /x/v1/chat/completions HTTP/1.1"
    assert {"Authorization: Bearer key", "X-Stainless-Timeout: 2.5"} <= set(said)


async def test_nobody_waits_beyond_the_deadline() -> None:
    never = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await never.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        url = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert (await ask(url, deadline_s=0.05)).error == "timeout"
        never.set()


async def test_a_kept_connection_that_was_closed_meanwhile_is_no_error() -> None:
    whole = HELLO + USAGE + DONE
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(whole)

    async with answering(head, whole) as url:
        client = Client(url, "m", Load())
        outcomes = [await client.ask(number, perf_counter()) for number in (1, 2, 3)]

    assert all(one.is_whole for one in outcomes)
    client.close()


async def test_canteen_answers_the_load_as_it_was_asked(echo_server: Server) -> None:
    load = Load(prompt_tokens=20, max_tokens=30)
    client = Client(f"{echo_server.url}/v1/", "echo", load)

    outcomes = [await client.ask(number, perf_counter()) for number in (1, 2, 3)]

    client.close()
    assert all(one.is_whole for one in outcomes)
    assert {(one.prompt_tokens, one.completion_tokens) for one in outcomes} == {(20, 30)}


async def test_a_check_says_why_no_run_can_begin(echo_server: Server) -> None:
    client = Client(echo_server.url, "nope", Load())

    with pytest.raises(CanteenError, match="404: model 'nope:latest' not found"):
        await client.check()
    client.close()
    with pytest.raises(EngineError, match=r"no server answers at http://127\.0\.0\.1:1: "):
        await Client("http://127.0.0.1:1", "echo", Load()).check()


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://x:port", "127.0.0.1:99999"])
def test_an_address_that_is_none_is_said_at_once(url: str) -> None:
    with pytest.raises(InvalidRequest, match="is no address"):
        Client(url, "m", Load())
