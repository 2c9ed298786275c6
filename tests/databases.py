"""A PostgreSQL of the tests' own, and empty databases of each kind."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from canteen.metering.store import connect

BIN = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)


@contextmanager
def postgresql() -> Iterator[str]:
    """Its URL while it runs, as a user without privileges; skips where none is installed."""
    if BIN is None:
        pytest.skip("no PostgreSQL here; `make system-packages` installs it")
    folder = Path(tempfile.mkdtemp(prefix="canteen-pg-"))
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    as_user = nobody if os.getuid() == 0 else []
    if as_user:
        os.chown(folder, 65534, 65534)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    data = str(folder / "data")
    made = [*as_user, str(BIN / "initdb"), "-D", data, "-A", "trust", "-U", "canteen", "-N"]
    subprocess.run(made, check=True, capture_output=True, cwd=folder)
    options = f"-F -p {port} -h 127.0.0.1 -k {folder}"
    control = [*as_user, str(BIN / "pg_ctl"), "-D", data, "-w"]
    started = [*control, "-o", options, "-l", str(folder / "log"), "start"]
    subprocess.run(started, check=True, capture_output=True, cwd=folder)
    yield f"postgresql://canteen@127.0.0.1:{port}/postgres"
    subprocess.run(
        [*control, "-m", "immediate", "stop"], check=True, capture_output=True, cwd=folder
    )
    shutil.rmtree(folder)


def emptied(url: str) -> str:
    """The same database with nothing in it."""
    with connect(url).begin() as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return url
