"""`canteen doctor`: what this machine has, and what it lacks."""

import os
import platform
import shutil
import socket
from pathlib import Path

import click

from canteen.cli import store
from canteen.core.errors import ModelNotFound
from canteen.core.units import exact
from canteen.engines.registry import ENGINES, is_installed
from canteen.metering.probes.auto import ACCELERATOR, PROCESSOR, examine
from canteen.settings import Settings

# The default model's download, its preparation and some room to breathe.
ENOUGH_BYTES = 2_000_000_000
CONNECT_WITHIN_S = 1.0


@click.command
@store.as_json
def command(is_json: bool) -> None:
    """Look at this machine; exit status 1 if something is missing."""
    settings = store.settings()
    findings = [_python(), _disk(settings.home), _engine(), _model(settings), _port(settings)]
    findings += _energy()
    if is_json:
        store.echo_json([{"ok": ok, "finding": finding} for ok, finding in findings])
    else:
        for ok, finding in findings:
            click.echo(f"{'ok' if ok else 'no':4}{finding}")
    if not all(ok for ok, _ in findings):
        raise SystemExit(1)


def _python() -> tuple[bool, str]:
    cpus = os.cpu_count()
    return True, f"Python {platform.python_version()}, {platform.machine()}, {cpus} CPUs"


def _disk(home: Path) -> tuple[bool, str]:
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    return free > ENOUGH_BYTES, f"{store.human_bytes(free)} free for CANTEEN_HOME"


def _engine() -> tuple[bool, str]:
    installed = [name for name in ENGINES if is_installed(name)]
    return "openvino" in installed, f"engines installed: {', '.join(installed)}"


def _model(settings: Settings) -> tuple[bool, str]:
    name = settings.default_model
    try:
        store.catalog().get(name)
    except ModelNotFound:
        return False, f"{name} is not in the store; canteen pull {name} brings it"
    return True, f"{name} is in the store"


def _port(settings: Settings) -> tuple[bool, str]:
    try:
        with socket.create_connection((settings.host, settings.port), timeout=CONNECT_WITHIN_S):
            return True, f"something listens on port {settings.port} already"
    except OSError:
        return True, f"port {settings.port} is free"


def _energy() -> list[tuple[bool, str]]:
    """Nothing here is missing: what no counter tells is modelled."""
    examined = examine({**PROCESSOR, **ACCELERATOR}, exact(1, "J"))
    told = [f"energy by {one.name}: {one.state}; {one.detail}" for one in examined]
    is_counted = any(one.name in PROCESSOR and one.counter for one in examined)
    told.append(f"energy is {'counted' if is_counted else 'modelled from processor time'}")
    return [(True, finding) for finding in told]
