"""What `canteen doctor` looks at: each thing, whether it is well, and what to do if not."""

import ctypes
import os
import platform
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import httpx

from canteen.cli import store
from canteen.core.errors import CanteenError, EngineError, ModelNotFound, NotSupported
from canteen.engines.standing import standings
from canteen.lifecycle.training import packages
from canteen.lifecycle.training.specs import Finetune
from canteen.metering.store import Trouble, connect
from canteen.planning.this_host import Processor, processor
from canteen.runtime.memory import budget_bytes, machine_bytes
from canteen.settings import Settings, strange

# The default model's download, its preparation and some room to breathe.
ENOUGH_BYTES = 2_000_000_000
ENOUGH_FILES = 4096
FAST = ("amx_bf16", "avx512_bf16", "avx512_vnni", "avx_vnni", "avx2")
CONNECT_WITHIN_S = 1.0
# No clock of a machine that has this release is before it.
RELEASED = datetime(2026, 11, 1, tzinfo=UTC)
MOST_SKEW_S = 5.0
# Linux's answer where nothing keeps the clock right.
_TIME_ERROR = 5
_ADJTIMEX_BYTES = 512


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, and what to do about it: empty where all is well."""

    said: str
    advice: str = ""
    is_ok: bool = True


def wrong(said: str, advice: str) -> Finding:
    """A finding that keeps Canteen from working as it is set."""
    return Finding(said, advice, is_ok=False)


def machine(settings: Settings) -> Iterator[Finding]:
    """The machine: its processor, memory, disk, open files and clock."""
    yield Finding(f"Python {platform.python_version()}, {platform.machine()}")
    yield cpu(processor())
    yield _memory(settings)
    yield disk(settings.home)
    yield _files()
    yield clock(time.time(), is_kept=_is_clock_kept())


def service(settings: Settings) -> Iterator[Finding]:
    """What the service needs: engines, models, a port and a database."""
    installed = [one.name for one in standings(settings.home) if one.is_installed]
    said = f"engines installed: {', '.join(installed)}"
    has_default = "openvino" in installed
    yield Finding(said) if has_default else wrong(said, "pip install openvino-genai")
    yield _model(settings.default_model)
    yield _embedder(settings.default_embedder)
    yield training()
    yield port(settings)
    yield exposure(settings)
    yield database(settings)
    yield times(settings)
    for name in strange():
        yield Finding(f"{name} is no setting", "see canteen settings for what it may be called")


def training(find: Callable[[str], object] = find_spec) -> Finding:
    """Whether models can be trained here, which not everybody wants; `find` finds a package."""
    try:
        packages.check(Finetune(), find)
    except NotSupported as error:
        return Finding("models cannot be trained here", error.message)
    return Finding(f"models can be trained here, with torch {version('torch')}")


def cpu(kind: Processor) -> Finding:
    """What the processor has for the arithmetic of models."""
    said = f"{kind.name}, {kind.num_threads} threads"
    has = [name for name in FAST if name in kind.flags]
    if has:
        return Finding(f"{said}: {', '.join(has)}")
    if platform.machine() not in ("x86_64", "AMD64"):
        return Finding(said)
    return Finding(f"{said}: no AVX2", "models run, several times slower; use a newer processor")


def disk(home: Path) -> Finding:
    """Room for models, and leave to write them."""
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        return wrong(
            f"CANTEEN_HOME cannot be written: {error.strerror}",
            "set CANTEEN_HOME to a folder of this user's, or give it to them",
        )
    free = shutil.disk_usage(there).free
    said = f"{store.human_bytes(free)} free for CANTEEN_HOME"
    if free > ENOUGH_BYTES:
        return Finding(said)
    return wrong(said, "canteen rm MODEL makes room; or set CANTEEN_HOME to a larger disk")


def clock(now_s: float, *, is_kept: bool | None) -> Finding:
    """Whether the clock can be right; `is_kept` None where the system does not tell."""
    said = f"the clock says {datetime.fromtimestamp(now_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
    if now_s < RELEASED.timestamp():
        return wrong(f"{said}, which is over", "set the clock: keys and receipts are dated by it")
    if is_kept is False:
        return Finding(f"{said}, and nothing keeps it right", "let NTP run (chrony, timesyncd)")
    return Finding(said)


def port(settings: Settings) -> Finding:
    """Whether the port is free, or Canteen's already."""
    where = f"port {settings.port}"
    try:
        with socket.create_connection((settings.host, settings.port), timeout=CONNECT_WITHIN_S):
            pass
    except OSError:
        return Finding(f"{where} is free")
    number, asks_for_key = _canteen(settings)
    if number:
        return Finding(f"Canteen {number} answers on {where} already")
    if asks_for_key:
        said = f"Canteen answers on {where} already, and asks for a key"
        return Finding(said, "set CANTEEN_API_KEY to a good one, for canteen ps and canteen stop")
    return wrong(
        f"{where} is taken by another program", "choose another: CANTEEN_PORT, or serve --port"
    )


def exposure(settings: Settings) -> Finding:
    """Who can call, and whether that is meant."""
    from canteen.core.addresses import is_loopback

    if is_loopback(settings.host):
        return Finding("only this machine can call")
    said = f"other machines can call {settings.host}"
    if settings.keys == "on":
        return Finding(f"{said}, with a key")
    if settings.allow_remote:
        return Finding(f"{said}, and need no key", "set CANTEEN_KEYS=on, and canteen keys create")
    if settings.keys == "auto":
        return Finding(f"{said}, once there is a key", "canteen keys create NAME makes one")
    advice = "set CANTEEN_KEYS=on, or CANTEEN_ALLOW_REMOTE=1 where nobody needs a key"
    return wrong(f"{said}, and keys are off: it would not start", advice)


def database(settings: Settings) -> Finding:
    """Whether the database answers, and has the same time."""
    if not settings.database:
        return Finding("the database is a file in CANTEEN_HOME")
    advice = "see CANTEEN_DATABASE: its host, name, user and password, and whether it runs"
    try:
        with connect(settings.database).begin() as connection:
            if settings.database.startswith("sqlite"):
                return Finding("the database can be written")
            rows = connection.execute("SELECT EXTRACT(EPOCH FROM now()) AS now_s")
    except Trouble as error:
        return wrong(f"the database cannot be used: {error}", advice)
    except CanteenError as error:
        return wrong(error.message, advice)
    skew_s = abs(float(rows[0]["now_s"]) - time.time())
    if skew_s > MOST_SKEW_S:
        said = f"the database's clock is {skew_s:.0f} s from this one"
        return wrong(said, "let NTP run on both machines: budgets end by the clock")
    return Finding("the database answers")


def times(settings: Settings) -> Finding:
    """Whether a shutdown waits for the longest answer."""
    if settings.drain_timeout_s >= settings.request_timeout_s:
        return Finding("a shutdown waits for every answer")
    return Finding(
        f"a shutdown waits {settings.drain_timeout_s:g} s, "
        f"and an answer may take {settings.request_timeout_s:g} s",
        "set CANTEEN_DRAIN_TIMEOUT_S to CANTEEN_REQUEST_TIMEOUT_S, to cut none short",
    )


def _memory(settings: Settings) -> Finding:
    has, budget = machine_bytes(), budget_bytes(settings.memory_gb)
    said = f"{store.human_bytes(has)} of memory, {store.human_bytes(budget)} of it for models"
    if budget <= has:
        return Finding(said)
    return wrong(said, "set CANTEEN_MEMORY_GB below what the machine has")


def _files() -> Finding:
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    said = f"{limit} files may be open"
    if limit >= ENOUGH_FILES:
        return Finding(said)
    return Finding(said, f"ulimit -n {ENOUGH_FILES} allows more connections at a time")


def _is_clock_kept() -> bool | None:
    """What the kernel knows of the clock: whether something like NTP keeps it right."""
    try:
        libc = ctypes.CDLL(None)
        state: int = libc.adjtimex(ctypes.create_string_buffer(_ADJTIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR


def _model(name: str) -> Finding:
    advice = f"canteen pull {name} brings it"
    try:
        card = store.catalog().get(name)
    except ModelNotFound:
        return wrong(f"{name} is not in the store", advice)
    except EngineError as error:
        return wrong(error.message, advice)
    if card.folder and not store.catalog().path(card).is_dir():
        return wrong(f"the files of {name} are gone", advice)
    return Finding(f"{name} is in the store")


def _embedder(name: str) -> Finding:
    """Much can be done without it."""
    found = _model(name)
    return Finding(found.said, found.advice)


def _canteen(settings: Settings) -> tuple[str, bool]:
    """The version of the Canteen that answers, or whether one answers that asks for a key."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{host}:{settings.port}/version"
    try:
        answer = httpx.get(
            url, headers=store.credentials(settings), timeout=CONNECT_WITHIN_S, trust_env=False
        )
        if 'realm="canteen"' in answer.headers.get("www-authenticate", ""):
            return "", True
        return str(answer.json()["version"]), False
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return "", False


def gpu() -> Finding:
    """What the driver tells of NVIDIA boards."""
    boards = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    if boards:
        names = [_board(path) for path in boards]
        return Finding(f"GPU: {', '.join(names)}")
    if any(Path("/dev").glob("nvidia[0-9]*")) or os.environ.get("NVIDIA_VISIBLE_DEVICES"):
        said = "a GPU was given to this machine, and its driver tells nothing"
        return Finding(said, "see nvidia-smi; a container needs the NVIDIA runtime")
    return Finding("no GPU; models run on the processor")


def _board(information: Path) -> str:
    lines = (line.partition(":") for line in information.read_text().splitlines())
    return next((text.strip() for name, _, text in lines if name == "Model"), "unknown")
