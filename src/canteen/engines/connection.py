"""The worker's end of the socket, and what is told over it whatever the engine."""

import logging
import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from canteen.core import processes
from canteen.core.engine import Capabilities, EngineStats, StepRecord, Work
from canteen.core.errors import CanteenError, DeadlineExceeded, EngineError, NotSupported
from canteen.core.generation import Request
from canteen.engines.wire import HEADER, Command, Event, decode_command, frame

logger = logging.getLogger(__name__)

# Steps that are shorter are told of together: to hear of each would take longer than to do it.
TOGETHER_S = 0.002


class Connection:
    """The worker's end of the socket, blocking."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._file = self._socket.makefile("rb")
        self._held = bytearray()
        self._told_s = 0.0

    def commands(self) -> Iterator[Command]:
        """Commands until the gateway is gone."""
        while len(header := self._file.read(HEADER.size)) == HEADER.size:
            (size,) = HEADER.unpack(header)
            if len(body := self._file.read(size)) < size:
                return
            yield decode_command(body)

    def send(self, event: Event) -> None:
        """Tell the gateway; blocks while it is slow to read."""
        self.hold(event)
        self.flush()

    def hold(self, event: Event) -> None:
        """Tell the gateway, with what comes within `TOGETHER_S` of the last that it was told."""
        self._held += frame(event)
        if time.monotonic() - self._told_s >= TOGETHER_S:
            self.flush()

    def flush(self) -> None:
        """Hold nothing back any longer."""
        if self._held:
            self._socket.sendall(self._held)
            self._held.clear()
            self._told_s = time.monotonic()


def receive(commands: Iterator[Command], tell: Callable[[Command], object]) -> None:
    """Pass commands on; with the gateway, the process ends."""
    for command in commands:
        tell(command)
    # The gateway is gone, perhaps killed: nobody reads what is still being computed, here and in
    # the processes of the same session.
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def step_record(
    began_s: float, work: Sequence[Work], others: Sequence[int] = ()
) -> StepRecord | None:
    """Of a step that did something, in this process and `others`."""
    if not work:
        return None
    return StepRecord(time.monotonic() - began_s, cpu_s(others), work)


def cpu_s(others: Sequence[int] = ()) -> float:
    """All processor time so far of this process, and of `others`."""
    return time.process_time() + sum(map(processes.cpu_s, others))


def check_deadline(request: Request) -> None:
    """A request that waited here while a step ran may be wanted no more."""
    if request.deadline_s is not None and time.monotonic() >= request.deadline_s:
        raise DeadlineExceeded


def check_adapter(request: Request, capabilities: Capabilities) -> None:
    """An engine that does not know of adapters would answer without."""
    if request.adapter and not capabilities.adapter_rank:
        raise NotSupported(
            "this model was loaded without room for adapters, or its engine takes none; "
            "send the request again"
        )


def measured(stats: EngineStats, num_steps: int, others: Sequence[int] = ()) -> EngineStats:
    """The gauges of an engine with those that are its processes'."""
    memory_bytes = _resident_bytes() + sum(map(processes.resident_bytes, others))
    return replace(stats, memory_bytes=memory_bytes, num_steps=num_steps)


def told(exc: Exception) -> CanteenError:
    """What one request is told of an exception, which is no reason to end the others."""
    if isinstance(exc, CanteenError):
        return exc
    logger.error("a request failed", exc_info=exc)
    return EngineError("the engine could not take this request")


def _resident_bytes() -> int:
    # Not Linux: the peak is the nearest figure the standard library has.
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return processes.resident_bytes(os.getpid()) or peak_bytes
