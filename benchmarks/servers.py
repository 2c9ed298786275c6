"""The servers that are measured, each in a process of its own for the time of a block."""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from canteen.core import processes
from canteen.runtime.catalog import Catalog
from canteen.runtime.pull import Puller


@dataclass(frozen=True)
class Server:
    """Where it listens, and its process."""

    url: str
    pid: int

    @property
    def resident_bytes(self) -> int:
        """The memory of the process, without its children's."""
        return int(self._proc("statm").split()[1]) * os.sysconf("SC_PAGE_SIZE")

    @property
    def cpu_s(self) -> float:
        """Processor time of the process so far, without its children's."""
        return processes.cpu_s(self.pid)

    @property
    def front_cpu_s(self) -> float:
        """That of its children that speak HTTP, where it has any."""
        children = self._proc(f"task/{self.pid}/children").split()
        fronts = [
            one for one in children if b".fronts." in Path(f"/proc/{one}/cmdline").read_bytes()
        ]
        return sum(processes.cpu_s(int(one)) for one in fronts)

    def _proc(self, name: str) -> str:
        return Path(f"/proc/{self.pid}/{name}").read_text()


@contextmanager
def canteen(home: Path, **environ: str) -> Iterator[Server]:
    """Canteen with the models of a home."""
    port = free_port()
    command = [sys.executable, "-m", "canteen", "serve", "--port", str(port)]
    settings = {"CANTEEN_HOME": str(home.absolute()), "CANTEEN_LOG_LEVEL": "WARNING", **environ}
    with running(command, f"http://127.0.0.1:{port}", "/health/ready", settings) as server:
        yield server


@contextmanager
def echo(num_seqs: int = 32, http_processes: int = 1, /, **speeds: float) -> Iterator[Server]:
    """Canteen with the echo engine alone, at these speeds (see EchoEngine)."""
    with tempfile.TemporaryDirectory() as home:
        catalog = Catalog(Path(home))
        asyncio.run(_pull(catalog, "echo"))
        catalog.put(replace(catalog.get("echo"), parameters=speeds))
        environ = {
            "CANTEEN_MODEL": "echo",
            # No model that would have to be fetched.
            "CANTEEN_EMBEDDER": "echo-embed",
            "CANTEEN_MAX_NUM_SEQS": str(num_seqs),
            "CANTEEN_HTTP_PROCESSES": str(http_processes),
        }
        with canteen(Path(home), **environ) as server:
            yield server


@contextmanager
def running(
    command: list[str], url: str, ready: str, environ: dict[str, str] | None = None
) -> Iterator[Server]:
    """Any server, once it answers at `ready` with success."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, env={**os.environ, **(environ or {})}, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            while not _answers(url + ready):
                if process.poll() is not None:
                    log.seek(0)
                    raise SystemExit(log.read().decode(errors="replace"))
                time.sleep(0.2)
            yield Server(url, process.pid)
        finally:
            process.terminate()
            process.wait(30)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except (urllib.error.URLError, ConnectionError):
        return False


async def _pull(catalog: Catalog, name: str) -> None:
    async for _ in Puller(catalog).pull(name):
        pass
