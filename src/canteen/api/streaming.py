"""Streams of whole events: framed, kept alive, joined when late, closed when nobody listens."""

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from canteen.api.draining import Drain
from canteen.api.errors import Unexpected, shutting_down
from canteen.api.observation import Observation
from canteen.core.errors import CanteenError

logger = logging.getLogger(__name__)

HEARTBEAT_S = 10.0

OnError = Callable[[CanteenError], bytes]
json_bytes = msgspec.json.Encoder().encode


def sse(data: bytes, event: str | None = None) -> bytes:
    """One whole server-sent event; `data` is a single line."""
    if event is None:
        return b"data: " + data + b"\n\n"
    return b"event: " + event.encode() + b"\ndata: " + data + b"\n\n"


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What is sent into a silence of `every_s`, but not to one who `is_waiting` for a turn and
    may yet be refused."""

    frame: bytes
    every_s: float = HEARTBEAT_S
    is_waiting: Callable[[], bool] = lambda: False


def heartbeat(frame: bytes, observe: Observation) -> Heartbeat:
    """The heartbeat of a request: twice before its client would give up, if it says when."""
    silence_s = observe.terms.silence_s or math.inf
    return Heartbeat(frame, min(HEARTBEAT_S, silence_s / 3), lambda: observe.is_waiting())


async def stream(
    frames: AsyncIterator[bytes],
    media_type: str,
    on_error: OnError,
    heartbeat: Heartbeat | None = None,
) -> Response:
    """A response of `frames`, one or several whole ones a write.

    The status waits for the first frame, so an error before it is raised here; but where there
    is a heartbeat, one that has left the queue waits no longer than that. `frames` is closed
    when the client goes.
    """
    pump = _Pump(frames)
    try:
        await pump.first(heartbeat)
    except BaseException:
        await pump.close()
        raise
    return _Stream(pump, media_type, on_error, heartbeat)


class _Pump:
    """A task of its own takes the frames as fast as they come, so that waiting for them can be
    given up cheaply, and a slow reader holds no place at the model: an answer is bounded."""

    def __init__(self, frames: AsyncIterator[bytes]) -> None:
        self.ready: list[bytes] = []
        self.is_done = False
        self._is_ending = False
        self.error: Exception | None = None
        self.wake = asyncio.Event()
        self._task = asyncio.ensure_future(self._run(frames))
        self._task.add_done_callback(self._finish)

    async def first(self, heartbeat: Heartbeat | None) -> None:
        """Wait for a frame or the end, or until a heartbeat is due; raises the error that came
        before any frame."""
        while not self.wake.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(heartbeat.every_s if heartbeat else None):
                    await self.wake.wait()
            if heartbeat is None or not heartbeat.is_waiting():
                break
        if self.error is not None and not self.ready:
            raise self.error

    def take(self) -> bytes:
        """All frames that are ready, which may be none."""
        taken = b"".join(self.ready)
        self.ready.clear()
        self.wake.clear()
        return taken

    def end(self, error: Exception | None = None) -> None:
        """Take no more frames; the answer ends with `error`, if it has not ended yet."""
        if not self.is_done and not self._is_ending:
            # Once only: a second cancellation would hit the generator while it cleans up.
            self._is_ending = True
            self.error = self.error or error
            self._task.cancel()

    async def close(self) -> None:
        """Wait until the frames' generator is closed."""
        self.end()
        await asyncio.wait([self._task])

    async def _run(self, frames: AsyncIterator[bytes]) -> None:
        try:
            async for frame in frames:
                self.ready.append(frame)
                self.wake.set()
        except asyncio.CancelledError:
            pass
        except Exception as error:
            if not isinstance(error, CanteenError):
                logger.exception("a stream failed")
            self.error = self.error or error
        finally:
            await _close(frames)

    def _finish(self, task: "asyncio.Task[None]") -> None:
        self.is_done = True
        self.wake.set()


async def _close(frames: AsyncIterator[bytes]) -> None:
    """Close a generator; other iterators have nothing to close."""
    aclose = getattr(frames, "aclose", None)
    if aclose is not None:
        with contextlib.suppress(asyncio.CancelledError):
            await aclose()


class _Stream(Response):
    """Sends what the pump has, as it comes."""

    def __init__(
        self,
        pump: _Pump,
        media_type: str,
        on_error: OnError,
        heartbeat: Heartbeat | None,
    ) -> None:
        self.status_code = 200
        self.background = None
        self.raw_headers = [
            (b"content-type", media_type.encode()),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
        ]
        self._pump = pump
        self._on_error = on_error
        self._heartbeat = heartbeat
        self._every_s = heartbeat.every_s if heartbeat else HEARTBEAT_S
        self._loop = asyncio.get_running_loop()
        self._sent_s = self._loop.time()
        self._is_beat_due = heartbeat is not None and not pump.ready
        self._is_gone = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream; returns when it is over, its generator closed, whoever ended it."""
        observe: Observation = scope["canteen.observe"]
        drain: Drain = scope["canteen.drain"]
        observe.is_streamed = True
        watcher = asyncio.ensure_future(self._watch(receive))
        self._set_timer()
        try:
            with drain.ending(lambda: self._pump.end(shutting_down())):
                await self._send_all(observe, send)
        finally:
            observe.is_gone = self._is_gone
            self._timer.cancel()
            watcher.cancel()
            await self._pump.close()

    async def _send_all(self, observe: Observation, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        while not self._is_gone:
            is_done = self._pump.is_done
            body = self._pump.take()
            if body and observe.first_sent_s is None:
                observe.first_sent_s = observe.clock()
            if is_done:
                body += self._last(observe)
            elif not body and self._is_beat_due and self._heartbeat:
                body = self._heartbeat.frame
            if body or is_done:
                self._is_beat_due = False
                self._sent_s = self._loop.time()
                message = {"type": "http.response.body", "body": body, "more_body": not is_done}
                await send(message)
            if is_done:
                return
            await self._pump.wake.wait()

    def _last(self, observe: Observation) -> bytes:
        error = self._pump.error
        if error is None:
            return b""
        if not isinstance(error, CanteenError):
            error = Unexpected(observe.request_id)
        observe.fail(error)
        return self._on_error(error)

    def _set_timer(self) -> None:
        self._timer = self._loop.call_later(self._every_s / 2, self._look)

    def _look(self) -> None:
        """Twice a heartbeat's time, so that no silence is longer than one and a half."""
        if self._loop.time() - self._sent_s >= self._every_s * 0.99:
            self._is_beat_due = True
            self._pump.wake.set()
        self._set_timer()

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._is_gone = True
        self._pump.end()
        self._pump.wake.set()
