"""The process that holds one model: reads commands from a socket, steps the engine, tells deltas.

Started by the gateway as `python -m canteen.engines.worker FD`. One thread reads commands, the
main thread owns the engine: receive, add or cancel, step, send. It ends with its gateway.
"""

import asyncio
import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Iterator

from canteen.core.engine import BatchEmbedder, EngineStats, StepEngine, Work
from canteen.core.errors import CanteenError, EngineError
from canteen.core.generation import EmbeddingRequest
from canteen.core.telemetry_off import switch_off
from canteen.engines import registry
from canteen.engines.connection import (
    Connection,
    check_adapter,
    check_deadline,
    measured,
    receive,
    step_record,
    told,
)
from canteen.engines.self_stepped import serve
from canteen.engines.wire import (
    Add,
    AskStats,
    Cancel,
    Command,
    Embed,
    Embedded,
    Load,
    Loaded,
    LoadFailed,
    Rest,
    Rested,
    Score,
    Stats,
    Step,
    WireDelta,
    to_wire,
    wire_delta,
)

logger = logging.getLogger(__name__)

Inbox = queue.SimpleQueue[Command]


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
    if registry.steps_itself(load.engine):
        asyncio.run(serve(model, commands, connection, is_heard=load.is_heard))
        return
    inbox: Inbox = queue.SimpleQueue()
    threading.Thread(target=receive, args=(commands, inbox.put), daemon=True).start()
    if registry.is_embedder(load.engine):
        _EmbedderLoop(model, inbox, connection, is_heard=load.is_heard).run()
    else:
        _serve_engine(model, inbox, connection, is_heard=load.is_heard)


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
                connection.send(Stats(measured(engine.stats(), num_steps)))
            elif isinstance(command, Rest):
                # Such an engine holds no device, so there is nothing to do.
                connection.send(Rested(command.is_asleep))
            else:
                _obey(engine, command, connection)
        if not engine.has_work():
            continue
        num_steps += 1
        began_s = time.monotonic()
        deltas = engine.step()
        record = step_record(began_s, engine.work()) if is_heard else None
        if deltas or record:
            connection.hold(Step([wire_delta(delta) for delta in deltas], record))
        if not engine.has_work():
            connection.flush()


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
            check_deadline(command.request)
            check_adapter(command.request, engine.capabilities)
            engine.add(command.request)
        except Exception as exc:  # noqa: BLE001 - it is logged and told to its request
            # Kept in no variable: its traceback would keep this frame, and that the prompt.
            error = to_wire(told(exc))
            connection.send(Step([WireDelta(command.request.id, None, error)]))
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
                self._connection.send(Stats(measured(EngineStats(), self._num_steps)))

    def _embed(self, request: EmbeddingRequest) -> None:
        try:
            made = self._embedder.embed(request, lambda tokens: self._before_step(request, tokens))
            answer = Embedded(request.id, made)
        except _Abandoned:
            return
        except Exception as exc:  # noqa: BLE001 - it is logged and told to its request
            answer = Embedded(request.id, None, to_wire(told(exc)))
        finally:
            self._after_step()
        self._queued.pop(request.id, None)
        self._connection.send(answer)

    def _before_step(self, request: EmbeddingRequest, num_tokens: int) -> None:
        self._after_step()
        self._listen(block=False)
        if request.id not in self._queued:
            raise _Abandoned
        check_deadline(request)
        self._num_steps += 1
        if self._is_heard:
            self._begun = time.monotonic(), Work(request.id, num_tokens, 0, 0)

    def _after_step(self) -> None:
        if self._begun is not None:
            began_s, work = self._begun
            self._connection.send(Step([], step_record(began_s, [work])))
            self._begun = None


if __name__ == "__main__":
    main()
