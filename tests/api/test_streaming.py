import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from canteen.api.draining import Drain
from canteen.api.observation import Observation
from canteen.api.streaming import Heartbeat, heartbeat, sse, stream
from canteen.api.terms import Terms
from canteen.core.errors import CanteenError, EngineError, Overloaded

PING = Heartbeat(b": ping\n")


class Wire:
    """The two ends of an ASGI connection: what was sent, and a client that may leave."""

    def __init__(self) -> None:
        self.drain = Drain()
        self.observe = Observation("r", "", "c")
        self.started: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        self.gone = asyncio.Event()
        self.something_came = asyncio.Event()
        self.scope = {"canteen.drain": self.drain, "canteen.observe": self.observe}

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.started.append(message)
        elif message["body"]:
            self.bodies.append(message["body"])
            self.something_came.set()

    async def carry(
        self, frames: AsyncGenerator[bytes], heartbeat: Heartbeat | None = PING
    ) -> None:
        response = await stream(frames, "text/event-stream", on_error, heartbeat)
        await response(self.scope, self.receive, self.send)


def on_error(error: CanteenError) -> bytes:
    return sse(error.code.encode(), "error")


@pytest.fixture
def wire() -> Wire:
    return Wire()


async def test_frames_that_are_ready_together_leave_in_one_write(wire: Wire) -> None:
    async def frames() -> AsyncGenerator[bytes]:
        for _ in range(3):
            yield sse(b"1")

    await wire.carry(frames())

    assert wire.bodies == [sse(b"1") * 3]


async def test_a_stream_is_not_to_be_stored_nor_buffered(wire: Wire) -> None:
    async def frames() -> AsyncGenerator[bytes]:
        yield sse(b"1")

    await wire.carry(frames())

    headers = dict(wire.started[0]["headers"])
    assert headers[b"content-type"] == b"text/event-stream"
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"x-accel-buffering"] == b"no"
    assert b"content-length" not in headers


async def test_an_error_before_the_first_frame_is_raised(wire: Wire) -> None:
    async def frames() -> AsyncGenerator[bytes]:
        raise Overloaded("busy", retry_after_s=1)
        yield b""

    with pytest.raises(Overloaded):
        await wire.carry(frames())
    assert wire.started == []


async def test_a_late_error_is_the_last_event(wire: Wire) -> None:
    async def frames() -> AsyncGenerator[bytes]:
        yield sse(b"1")
        raise EngineError("the engine broke")

    await wire.carry(frames())

    assert b"".join(wire.bodies) == sse(b"1") + b"event: error\ndata: engine_error\n\n"
    assert wire.observe.error_code == "engine_error"


async def test_an_unexpected_late_error_tells_the_client_nothing_of_itself(wire: Wire) -> None:
    async def frames() -> AsyncGenerator[bytes]:
        yield sse(b"1")
        raise KeyError("secret")

    await wire.carry(frames())

    assert b"".join(wire.bodies).endswith(b"event: error\ndata: internal_error\n\n")


async def test_a_client_that_leaves_closes_the_frames(wire: Wire) -> None:
    closed = asyncio.Event()

    async def frames() -> AsyncGenerator[bytes]:
        try:
            yield sse(b"1")
            await asyncio.Event().wait()
        finally:
            closed.set()

    carrying = asyncio.ensure_future(wire.carry(frames()))
    await wire.something_came.wait()
    wire.gone.set()
    await carrying

    assert closed.is_set()
    assert wire.observe.is_gone


async def test_giving_up_before_the_first_frame_closes_the_frames() -> None:
    entered, closed = asyncio.Event(), asyncio.Event()

    async def frames() -> AsyncGenerator[bytes]:
        try:
            entered.set()
            await asyncio.Event().wait()
            yield b""
        finally:
            closed.set()

    starting = asyncio.ensure_future(stream(frames(), "text/event-stream", on_error, PING))
    await entered.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting

    assert closed.is_set()


async def test_silence_is_filled_with_heartbeats_of_one_newline(wire: Wire) -> None:
    go = asyncio.Event()

    async def frames() -> AsyncGenerator[bytes]:
        await go.wait()
        yield sse(b"1")

    carrying = asyncio.ensure_future(wire.carry(frames(), Heartbeat(b": ping\n", 0.01)))
    while len(wire.bodies) < 3:
        wire.something_came.clear()
        await wire.something_came.wait()
    go.set()
    await carrying

    assert set(wire.bodies[:-1]) == {b": ping\n"}
    assert wire.bodies[-1] == sse(b"1")


async def test_no_heartbeat_tells_a_status_to_one_who_may_yet_be_refused() -> None:
    is_waiting, refuse = True, asyncio.Event()

    async def frames() -> AsyncGenerator[bytes]:
        await refuse.wait()
        raise Overloaded("full", retry_after_s=1.0)
        yield b""

    asyncio.get_running_loop().call_later(0.05, refuse.set)
    with pytest.raises(Overloaded):
        await stream(frames(), "", on_error, Heartbeat(b": ping\n", 0.001, lambda: is_waiting))


@pytest.mark.parametrize(("silence_s", "every_s"), [(None, 10.0), (600.0, 10.0), (3.0, 1.0)])
def test_a_heartbeat_beats_the_read_timeout_of_the_client(
    silence_s: float | None, every_s: float
) -> None:
    observe = Observation("id", "", "caller", Terms(silence_s=silence_s))

    assert heartbeat(b": ping\n", observe).every_s == every_s


async def test_without_a_heartbeat_the_status_waits_for_the_first_frame(wire: Wire) -> None:
    go = asyncio.Event()

    async def frames() -> AsyncGenerator[bytes]:
        await go.wait()
        yield b"{}\n"

    carrying = asyncio.ensure_future(wire.carry(frames(), heartbeat=None))
    asyncio.get_running_loop().call_later(0.05, go.set)
    await carrying

    assert wire.bodies == [b"{}\n"]


async def test_a_stream_that_outlives_the_service_ends_with_an_error(wire: Wire) -> None:
    async def frames() -> AsyncGenerator[bytes]:
        yield sse(b"1")
        await asyncio.Event().wait()

    carrying = asyncio.ensure_future(wire.carry(frames()))
    await wire.something_came.wait()
    wire.drain.end_all()
    await carrying

    assert wire.bodies[-1] == b"event: error\ndata: server_shutting_down\n\n"


async def test_a_slow_reader_does_not_hold_the_frames_back(wire: Wire) -> None:
    are_made, reads = asyncio.Event(), asyncio.Event()

    async def frames() -> AsyncGenerator[bytes]:
        for _ in range(5000):
            yield b"x"
        are_made.set()

    async def send_slowly(message: Any) -> None:
        await reads.wait()
        await wire.send(message)

    response = await stream(frames(), "text/event-stream", on_error, PING)
    carrying = asyncio.ensure_future(response(wire.scope, wire.receive, send_slowly))
    await are_made.wait()
    reads.set()
    await carrying

    assert len(b"".join(wire.bodies)) == 5000
