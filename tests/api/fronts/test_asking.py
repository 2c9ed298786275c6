"""A request goes over the line to the application, and its answer comes back, whatever its size."""

import asyncio
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from canteen.api.fronts.asking import Line
from canteen.api.fronts.wire import WINDOW_BYTES
from canteen.core.errors import Overloaded
from tests.api.fronts.line import lines

SCOPE = {
    "http_version": "1.1",
    "method": "POST",
    "scheme": "http",
    "path": "/x",
    "raw_path": b"/x",
    "query_string": b"a=1",
    "headers": [(b"x-a", b"b")],
    "client": ("10.0.0.9", 4711),
    "server": ("127.0.0.1", 80),
}
GONE = {"type": "http.disconnect"}


class Caller:
    """Sends a body in pieces when it is asked to, then waits, and keeps what comes back."""

    def __init__(self, *pieces: bytes) -> None:
        self.got: list[Message] = []
        self.pieces = [*pieces]
        self.has_left = asyncio.Event()
        self.is_reading = asyncio.Event()
        self.is_reading.set()

    async def receive(self) -> Message:
        if not self.pieces:
            await self.has_left.wait()
            return GONE
        piece = self.pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(self.pieces)}

    async def send(self, message: Message) -> None:
        await self.is_reading.wait()
        self.got.append(message)

    @property
    def body(self) -> bytes:
        """What has come of the answer's."""
        return b"".join(message.get("body", b"") for message in self.got)


async def pass_on(line: Line, caller: Caller, **scope: Any) -> None:
    async with line.exchange(1.0) as exchange:
        exchange.begin({**SCOPE, **scope}, more_body=True)
        await exchange.relay(caller.receive, caller.send)


async def test_all_that_a_caller_sent_comes_to_the_application_and_back() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        body = await Request(scope, receive).body()
        await PlainTextResponse(body.upper(), 201, {"x-c": "d"})(scope, receive, send)

    caller = Caller(b"one ", b"two")
    async with lines(app) as (line, _):
        await pass_on(line, caller)

    (scope,) = seen
    assert {name: scope[name] for name in SCOPE} == SCOPE
    assert caller.got[0]["status"] == 201
    assert (b"x-c", b"d") in caller.got[0]["headers"]
    assert caller.body == b"ONE TWO"


async def test_a_body_is_read_no_sooner_than_the_application_reads_it() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        async for piece in request.stream():
            if piece:
                break
        await Response(b"enough", 413)(scope, receive, send)

    caller = Caller(b"one", b"two", b"three")
    async with lines(app) as (line, _):
        await pass_on(line, caller)

    assert caller.body == b"enough"
    assert caller.pieces == [b"two", b"three"]


async def test_who_leaves_is_told_of_and_waits_for_nothing() -> None:
    heard: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (message := await receive())["type"] != "http.disconnect":
            pass
        heard.append(message)

    caller = Caller(b"")
    async with lines(app) as (line, replaying):
        asked = asyncio.ensure_future(pass_on(line, caller))
        caller.has_left.set()
        await asked
        await replaying.lost()

    assert heard == [GONE]
    assert caller.got == []


async def test_who_does_not_read_holds_up_its_own_answer_and_no_other() -> None:
    num_sent = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal num_sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for left in reversed(range(8 if scope["path"] == "/long" else 1)):
            await send(
                {"type": "http.response.body", "body": b"x" * WINDOW_BYTES, "more_body": left > 0}
            )
            num_sent += 1

    slow, other = Caller(), Caller()
    slow.is_reading.clear()
    async with lines(app) as (line, _):
        held_up = asyncio.ensure_future(pass_on(line, slow, path="/long"))
        await pass_on(line, other)
        sent_before = num_sent
        slow.is_reading.set()
        await held_up

    assert len(other.body) == WINDOW_BYTES
    assert sent_before <= 3
    assert len(slow.body) == 8 * WINDOW_BYTES


async def test_an_application_that_fails_leaves_an_answer_that_breaks_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ZeroDivisionError

    caller = Caller()
    async with lines(app) as (line, _):
        await pass_on(line, caller)

    assert [message["type"] for message in caller.got] == ["http.response.start"]
    assert "a request failed" in caplog.text


async def test_without_a_core_a_request_is_to_be_asked_again() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    async with lines(app) as (line, _):
        asked = asyncio.ensure_future(pass_on(line, Caller()))
        await asyncio.sleep(0)
        line.lost()
        with pytest.raises(Overloaded, match="ask again"):
            await asked
        with pytest.raises(Overloaded, match="ask again"):
            await pass_on(line, Caller())


async def test_a_caller_that_goes_with_the_same_breath_is_known_to_have_gone() -> None:
    has_heard = asyncio.Event()

    async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        has_heard.set()

    async with lines(waiting) as (line, _), asyncio.timeout(5):
        async with line.exchange(1.0) as exchange:
            exchange.begin({**SCOPE}, more_body=False)
        await has_heard.wait()


async def test_a_front_does_not_wait_for_a_core_that_has_gone() -> None:
    async with lines(PlainTextResponse("unasked")) as (line, _):
        line.lost()

        with pytest.raises(Overloaded):
            await line.welcome
