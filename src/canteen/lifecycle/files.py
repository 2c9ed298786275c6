"""Files that are there wholly or not at all, and stay so when the power goes; and shared ones."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from canteen.core.errors import ModelUnsuitable

WEIGHTS = (".bin", ".safetensors")


def write_whole(path: Path, data: bytes) -> None:
    """Write a small file such that a reader, or a crash, meets the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".fresh-{os.getpid()}-{path.name}")
    try:
        with fresh.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    sync(path.parent)


def sync(folder: Path) -> None:
    """Have a folder's list of names on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def share(source: str, target: str) -> None:
    """Copy, but let weights, which nobody writes to, be one file on disk where possible."""
    if source.endswith(WEIGHTS):
        try:
            os.link(os.path.realpath(source), target)
        except OSError:
            shutil.copyfile(source, target)
    else:
        shutil.copyfile(source, target)


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file of a model; a missing file says nothing. Raises ModelUnsuitable."""
    if not path.exists():
        return {}
    try:
        value = json.loads(path.read_text("utf-8"))
    except ValueError as exc:
        raise ModelUnsuitable(f"{path.name} in the folder is not valid JSON") from exc
    return value if isinstance(value, dict) else {}
