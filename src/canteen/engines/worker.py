"""The process that holds one model: reads commands from a socket, steps the engine, tells deltas.

Started by the gateway as `python -m canteen.engines.worker FD`. One thread reads commands, the
main thread owns the engine: receive, add or cancel, step, send. It ends with its gateway.
"""

import logging
import os
import queue
import resource
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from canteen.core.engine import BatchEmbedder, EngineStats, StepEngine, StepRecord, Work
from canteen.core.errors import CanteenError, DeadlineExceeded, EngineError
from canteen.core.generation import EmbeddingRequest, Request
from canteen.core.telemetry_off import switch_off
from canteen.engines import registry
from canteen.engines.wire import (
    HEADER,
    Add,
    AskStats,
    Cancel,
    Command,
    Embed,
    Embedded,
    Event,
    Load,
    Loaded,
    LoadFailed,
    Score,
    Stats,
    Step,
    WireDelta,
    decode_command,
    frame,
    to_wire,
    wire_delta,
)

logger = logging.getLogger(__name__)

# Steps that are shorter are told of together: to hear of each would take longer than to do it.
TOGETHER_S = 0.002

Inbox = queue.SimpleQueue[Command]


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


def main() -> None:
    """Load what the gateway asks for, then serve it until the gateway is gone."""
    switch_off(os.environ, sys.modules)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    connection = Connection(int(sys.argv[1]))
    commands = connection.commands()
    load = next(commands)
    if not isinstance(load, Load):
        raise TypeError("the first command must be Load")
    try:
        model = registry.create(load.engine, load.options)
    except CanteenError as error:
        connection.send(LoadFailed(to_wire(error)))
        return
    except Exception:
        logger.exception("loading failed")
        connection.send(LoadFailed(to_wire(EngineError("the model could not be loaded"))))
        return
    inbox: Inbox = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(commands, inbox), daemon=True).start()
    if registry.is_embedder(load.engine):
        _EmbedderLoop(model, inbox, connection, is_heard=load.is_heard).run()
    else:
        _serve_engine(model, inbox, connection, is_heard=load.is_heard)


def _receive(commands: Iterator[Command], inbox: Inbox) -> None:
    for command in commands:
        inbox.put(command)
    # The gateway is gone, perhaps killed: nobody reads what is still being computed.
    os._exit(0)


def _serve_engine(
    engine: StepEngine, inbox: Inbox, connection: Connection, *, is_heard: bool
) -> None:
    connection.send(Loaded(engine.name, engine.capabilities, time.process_time()))
    num_steps = 0
    while True:
        for command in _waiting(inbox, block=not engine.has_work()):
            # The next step may be a long one.
            connection.flush()
            if isinstance(command, AskStats):
                connection.send(Stats(_measured(engine.stats(), num_steps)))
            else:
                _obey(engine, command, connection)
        if not engine.has_work():
            continue
        num_steps += 1
        began_s = time.monotonic()
        deltas = engine.step()
        record = _record(began_s, engine.work()) if is_heard else None
        if deltas or record:
            connection.hold(Step([wire_delta(delta) for delta in deltas], record))
        if not engine.has_work():
            connection.flush()


def _record(began_s: float, work: Sequence[Work]) -> StepRecord | None:
    """Of a step that did something."""
    if not work:
        return None
    return StepRecord(time.monotonic() - began_s, time.process_time(), work)


def _waiting(inbox: Inbox, *, block: bool) -> Iterator[Command]:
    """The commands that are there; where there is nothing else to do, wait for one."""
    try:
        yield inbox.get(block)
        while True:
            yield inbox.get_nowait()
    except queue.Empty:
        return


def _obey(engine: StepEngine, command: Command, connection: Connection) -> None:
    if isinstance(command, Add | Score):
        try:
            _check_deadline(command.request)
            engine.add(command.request)
        except Exception as exc:  # noqa: BLE001 - it is logged and told to its request
            # Kept in no variable: its traceback would keep this frame, and that the prompt.
            told = to_wire(_told(exc))
            connection.send(Step([WireDelta(command.request.id, None, told)]))
    elif isinstance(command, Cancel):
        engine.cancel(command.request_id)


class _Abandoned(Exception):
    """Nobody waits for these embeddings any more."""


class _EmbedderLoop:
    """Embeds for one request after another, and hears the gateway before every step."""

    def __init__(
        self, embedder: BatchEmbedder, inbox: Inbox, connection: Connection, *, is_heard: bool
    ) -> None:
        self._embedder = embedder
        self._inbox = inbox
        self._connection = connection
        self._queued: dict[str, EmbeddingRequest] = {}
        self._is_heard = is_heard
        self._num_steps = 0
        self._begun: tuple[float, Work] | None = None

    def run(self) -> None:
        """Serve until the process ends."""
        self._connection.send(Loaded(self._embedder.name, cpu_s=time.process_time()))
        while True:
            self._listen(block=not self._queued)
            if self._queued:
                self._embed(next(iter(self._queued.values())))

    def _listen(self, *, block: bool) -> None:
        for command in _waiting(self._inbox, block=block):
            if isinstance(command, Embed):
                self._queued[command.request.id] = command.request
            elif isinstance(command, Cancel):
                self._queued.pop(command.request_id, None)
            elif isinstance(command, AskStats):
                self._connection.send(Stats(_measured(EngineStats(), self._num_steps)))

    def _embed(self, request: EmbeddingRequest) -> None:
        try:
            made = self._embedder.embed(request, lambda tokens: self._before_step(request, tokens))
            answer = Embedded(request.id, made)
        except _Abandoned:
            return
        except Exception as exc:  # noqa: BLE001 - it is logged and told to its request
            answer = Embedded(request.id, None, to_wire(_told(exc)))
        finally:
            self._after_step()
        self._queued.pop(request.id, None)
        self._connection.send(answer)

    def _before_step(self, request: EmbeddingRequest, num_tokens: int) -> None:
        self._after_step()
        self._listen(block=False)
        if request.id not in self._queued:
            raise _Abandoned
        _check_deadline(request)
        self._num_steps += 1
        if self._is_heard:
            self._begun = time.monotonic(), Work(request.id, num_tokens, 0, 0)

    def _after_step(self) -> None:
        if self._begun is not None:
            began_s, work = self._begun
            self._connection.send(Step([], _record(began_s, [work])))
            self._begun = None


def _check_deadline(request: Request) -> None:
    """A request that waited here while a step ran may be wanted no more."""
    if request.deadline_s is not None and time.monotonic() >= request.deadline_s:
        raise DeadlineExceeded


def _measured(stats: EngineStats, num_steps: int) -> EngineStats:
    return replace(stats, memory_bytes=_resident_bytes(), num_steps=num_steps)


def _told(exc: Exception) -> CanteenError:
    """What one request is told of an exception, which is no reason to end the others."""
    if isinstance(exc, CanteenError):
        return exc
    logger.error("a request failed", exc_info=exc)
    return EngineError("the engine could not take this request")


def _resident_bytes() -> int:
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        # Not Linux: the peak is the nearest figure the standard library has.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
