"""A Canteen served in a process of its own, as its users start it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from canteen.metering.keys.book import KeyBook
from canteen.metering.keys.key import Wanted
from canteen.metering.store import connect
from canteen.runtime.catalog import Catalog

BOUND = re.compile(rb"listening on (http://[\w.\[\]:]+)")
START_WITHIN_S = 60.0
WITHIN_S = 30.0
LOOK_EVERY_S = 0.05
CANTEEN = (sys.executable, "-m", "canteen")


@dataclass(frozen=True)
class Server:
    """A running `canteen serve`: where it listens, its process, and what it has printed."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def port(self) -> int:
        """The port it is bound to."""
        return int(self.url.rpartition(":")[2])

    def stop(self, how: signal.Signals = signal.SIGTERM, within_s: float = 30.0) -> int:
        """Signal it, wait for its end; its exit status."""
        self.process.send_signal(how)
        return self.process.wait(within_s)

    def records(self) -> list[dict[str, Any]]:
        """The access log so far."""
        lines = self.log.read_text().splitlines()
        said = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in said if line.get("event") == "request"]

    def worker_pids(self) -> list[int]:
        """The process ids of its workers."""
        return [pid for pid in self._children() if pid not in self.front_pids()]

    def front_pids(self) -> list[int]:
        """The process ids of those of its processes that speak HTTP, where it is not alone."""
        return [pid for pid in self._children() if b"canteen.api.fronts" in _command(pid)]

    def _children(self) -> list[int]:
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(child) for child in children.split()]

    def metric(self, name: str, **labels: str) -> float:
        """What /metrics says now: the sum of the samples of a name that bear these labels."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=WITHIN_S) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
        samples = [one for family in families for one in family.samples if one.name == name]
        return sum(one.value for one in samples if labels.items() <= one.labels.items())


def _command(pid: int) -> bytes:
    """The command line of a process; empty for one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def set_pace(home: Path, **pace: float) -> Path:
    """Let the echo model of a home go at a pace: `tokens_per_s`, `prefill_tokens_per_s`, or
    within a `context_length`."""
    catalog = Catalog(home)
    card = catalog.get("echo")
    catalog.put(replace(card, parameters={**card.parameters, **pace}))
    return home


def plain_environ(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a user: nothing of Canteen's, of pytest's or of CI's but `home`."""
    ours = ("CANTEEN_", "PYTEST_")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(ours)}
    kept.pop("CI", None)
    # Where Python may not keep what it compiled, every start compiles all of Canteen again.
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    told = {"CANTEEN_HOME": str(home), **(extra or {})}
    if told.get("CANTEEN_MODEL") == "echo":
        # Whoever has the one wants the other, and no real model pulled.
        told.setdefault("CANTEEN_EMBEDDER", "echo-embed")
    return {**kept, **told}


def key_of(home: Path, name: str, **wanted: Any) -> tuple[str, str]:
    """A key in the database of a home: its id and its secret."""
    key, secret = KeyBook(connect(f"sqlite:///{home / 'canteen.db'}")).create(
        Wanted(name, **wanted)
    )
    return key.id, secret


def start(
    home: Path,
    log: Path,
    environ: Mapping[str, str] | None = None,
    command: Sequence[str] = CANTEEN,
    arguments: Sequence[str] = (),
    cwd: Path | None = None,
) -> Server:
    """Start `canteen serve` on a free port and wait until it is ready."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "serve", "--port", "0", *arguments],
            env=plain_environ(home, environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
        )
    deadline_s = time.monotonic() + START_WITHIN_S
    try:
        url = _bound(process, log, deadline_s)
        _await_ready(url, process, log, deadline_s)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return Server(url, process, log)


def end(server: Server) -> None:
    """Stop a server that may have ended already, by force if need be."""
    if server.process.poll() is not None:
        return
    try:
        server.stop()
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()


def linked_copy(source: Path, target: Path) -> Path:
    """A copy of a home that shares its files' bytes and none of its locks."""
    # A database is one file to one program only: two links to it would spoil it.
    leave_out = shutil.ignore_patterns("locks", "staging", "canteen.db*")
    shutil.copytree(source, target, ignore=leave_out, copy_function=_link)
    return target


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _bound(process: subprocess.Popen[bytes], log: Path, deadline_s: float) -> str:
    while True:
        found = BOUND.search(log.read_bytes())
        if found:
            return found.group(1).decode()
        _wait(process, log, deadline_s)


def _await_ready(url: str, process: subprocess.Popen[bytes], log: Path, deadline_s: float) -> None:
    while True:
        try:
            with urllib.request.urlopen(f"{url}/health/ready", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            _wait(process, log, deadline_s)


def _wait(process: subprocess.Popen[bytes], log: Path, deadline_s: float) -> None:
    if process.poll() is not None or time.monotonic() > deadline_s:
        raise AssertionError(f"canteen serve is not ready; it printed:\n{log.read_text()}")
    time.sleep(LOOK_EVERY_S)
