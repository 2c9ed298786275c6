"""A replica on a node of a Ray cluster: it keeps an ordinary worker, and answers the gateway."""

import os
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from canteen.core.engine import EngineStats, Home, StepListener, StepRecord
from canteen.core.errors import CanteenError, EngineError
from canteen.core.generation import Chunk, Scores
from canteen.engines import environment
from canteen.engines.coalescing import Said
from canteen.engines.coalescing import is_last as ends
from canteen.engines.process import Worker
from canteen.engines.wire import (
    Add,
    Embed,
    Loaded,
    Report,
    Score,
    Told,
    decode_command,
    encode,
    to_wire,
)


class Replica:
    """What Ray Serve makes one of on a node. `facts` tells of that node's processor, and under
    `home` is the Python of an engine that has its own.

    A model that cannot be loaded is no reason to try again: the replica stays, and reports why.
    """

    async def __init__(  # type: ignore[misc]  # Ray Serve awaits it
        self,
        engine: str,
        options: dict[str, Any],
        facts: Callable[[], Mapping[str, Any]],
        home: Path,
    ) -> None:
        self._recorder = _Recorder(*_place(), facts())
        self._worker: Worker
        self._loaded: Loaded | None = None
        self._error: CanteenError | None = None
        try:
            program = environment.program(engine, home)
            self._worker = Worker(engine, options, self._recorder, program=program)
            self._loaded = await self._worker.start()
        except CanteenError as error:
            self._error = error

    async def ask(self, body: bytes, left_s: float | None) -> AsyncGenerator[bytes]:
        """Answer a command, within the seconds that are left for it; each piece is a Told.
        Closing early cancels it in the worker."""
        command = decode_command(body)
        assert isinstance(command, Add | Score | Embed)
        deadline_s = None if left_s is None else time.monotonic() + left_s
        # Clocks of machines differ, so the deadline has travelled as what is left until it.
        timed = type(command)(replace(command.request, deadline_s=deadline_s))  # type: ignore[arg-type]
        request_id = command.request.id
        self._recorder.begin(request_id)
        try:
            async with self._worker.asking(timed) as inbox:
                home: Home | None = self._recorder.home
                is_last = False
                while not is_last:
                    said = await inbox.get()
                    is_last = ends(said)
                    told = _told(said)
                    told.records = self._recorder.take(request_id)
                    told.home, home = home, None
                    yield encode(told)
        except CanteenError as error:
            yield encode(Told(error=to_wire(error)))
        finally:
            self._recorder.end(request_id)

    async def report(self) -> bytes:
        """How it is."""
        error = to_wire(self._error) if self._error else None
        stats = EngineStats() if self._error else await self._worker.stats()
        return encode(Report(self._recorder.home, self._loaded, error, stats))

    def check_health(self) -> None:
        """Ray Serve starts another in place of one that raises."""
        if self._error is None and self._worker.is_over:
            raise EngineError("its worker ended again and again")


def _told(said: Said) -> Told:
    if isinstance(said, CanteenError):
        return Told(error=to_wire(said))
    if isinstance(said, Chunk):
        return Told(chunk=said)
    return Told(scores=said) if isinstance(said, Scores) else Told(embeddings=said)


def _place() -> tuple[str, str]:
    """The names of this replica and of its node."""
    import ray
    from ray import serve

    context = ray.get_runtime_context()
    # An engine that spreads over nodes by itself finds the cluster so.
    os.environ.setdefault("RAY_ADDRESS", context.gcs_address)
    nodes = {node["NodeID"]: node["NodeName"] for node in ray.nodes()}
    return serve.get_replica_context().replica_id.unique_id, nodes[context.get_node_id()]


class _Recorder(StepListener):
    """Keeps, for each request under way, its part of what the steps took until it is told."""

    def __init__(self, replica: str, node: str, facts: Mapping[str, Any]) -> None:
        self._replica = replica
        self._num_lives = 0
        self._parts: dict[str, list[StepRecord]] = {}
        self.home = Home(replica, node, 0.0, facts)

    def begin(self, request_id: str) -> None:
        """What is done for this request is wanted."""
        self._parts[request_id] = []

    def end(self, request_id: str) -> None:
        """And no longer."""
        self._parts.pop(request_id, None)

    def take(self, request_id: str) -> list[StepRecord]:
        """What was done for it since the last time."""
        taken, self._parts[request_id] = self._parts[request_id], []
        return taken

    def loading(self) -> None:
        """A process whose clock begins anew is another replica to those who keep books."""
        self._num_lives += 1

    def loaded(self, cpu_s: float) -> None:
        """The model is there."""
        name = f"{self._replica}.{self._num_lives}"
        self.home = self.home._replace(replica=name, cpu_s=cpu_s)

    def step(self, record: StepRecord) -> None:
        """To each request its own rows of the step."""
        rows = defaultdict(list)
        for row in record.work:
            rows[row.request_id].append(row)
        duration_s = record.duration_s / len(rows)
        for request_id in self._parts.keys() & rows.keys():
            part = StepRecord(duration_s, record.cpu_s, rows[request_id], len(rows))
            self._parts[request_id].append(part)

    def lost(self) -> None: ...
