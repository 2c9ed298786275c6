"""Runs: what was answered to a data set and how good it was, kept as files, and compared."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from canteen.core.errors import InvalidRequest
from canteen.lifecycle import files
from canteen.lifecycle.evaluate import statistics
from canteen.lifecycle.evaluate.examples import Task
from canteen.lifecycle.evaluate.kept import FOLDER
from canteen.lifecycle.evaluate.kinds import KINDS, metrics
from canteen.lifecycle.evaluate.statistics import Comparison, Interval

_ID = re.compile(r"[\w.\-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is evaluated: a model with its digest, and how it was asked."""

    model: str
    digest: str = ""
    prompt_version: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Miss:
    """One of the worst answers, in words."""

    id: str
    text: str
    wanted: str
    given: str


@dataclass(frozen=True, slots=True)
class Failed:
    """An item that got no answer, and why."""

    id: str
    message: str


@dataclass(frozen=True, slots=True)
class Run:
    """An evaluation. `records` judge item by item, and `outcomes` are the answers themselves.

    `baselines` has the metrics of each baseline on the same items. `receipt` is what it all
    took, as the receipts say it; whoever ran it adds it with `dataclasses.replace`.
    """

    id: str
    task: Task
    dataset: str
    dataset_digest: str
    source: Mapping[str, str]
    subject: Subject
    created_at: str
    wall_s: float
    records: tuple[Any, ...]
    outcomes: tuple[Any, ...]
    metrics: Mapping[str, Interval]
    baselines: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)
    failed: tuple[Failed, ...] = ()
    worst: tuple[Miss, ...] = ()
    receipt: Mapping[str, Any] = field(default_factory=dict)

    @property
    def num_items(self) -> int:
        """How many examples were asked."""
        return len(self.records)


def new_id(task: Task, dataset: str, now_s: float) -> str:
    """A name for a run that sorts by time."""
    moment = datetime.fromtimestamp(now_s, UTC)
    return f"{moment:%Y%m%dT%H%M%S}-{moment.microsecond // 1000:03}-{task}-{dataset}"


def save(run: Run, home: Path) -> Path:
    """Keep a run; a reader meets all of it or nothing."""
    path = home / FOLDER / f"{run.id}.json"
    files.write_whole(path, msgspec.json.encode(run, enc_hook=_plain))
    return path


def load(run_id: str, home: Path) -> Run:
    """A run by its id, or by what its id begins with; raises InvalidRequest."""
    found = [one for one in ids(home) if one == run_id]
    found = found or [one for one in ids(home) if run_id and one.startswith(run_id)]
    if not _ID.fullmatch(run_id) or len(found) != 1:
        which = f"{len(found)} runs begin with" if found else "there is no run"
        raise InvalidRequest(f"{which} '{run_id}'; canteen evaluate --list shows all", param="run")
    raw = msgspec.json.decode((home / FOLDER / f"{found[0]}.json").read_bytes(), type=Run)
    kept = msgspec.convert(raw.records, tuple[KINDS[raw.task].record_type, ...])  # type: ignore[misc]
    return replace(raw, records=kept)


def ids(home: Path) -> Sequence[str]:
    """All runs, the oldest first."""
    return sorted(path.stem for path in (home / FOLDER).glob("[!.]*.json"))


def compare(one: Run, other: Run) -> tuple[Comparison, ...]:
    """Both runs by each metric they share; raises InvalidRequest if their items differ."""
    if one.task != other.task:
        raise InvalidRequest(f"one run is of {one.task}, the other of {other.task}", param="run")
    same = [record.id for record in one.records] == [record.id for record in other.records]
    if one.dataset_digest != other.dataset_digest or not same:
        raise InvalidRequest(
            "the two runs have other items; evaluate both on the same data with the same limit",
            param="run",
        )
    first = metrics(one.task, one.records, other.records)
    second = {metric.name: metric for metric in metrics(one.task, other.records, one.records)}
    return tuple(
        statistics.compare(metric, second[metric.name]) for metric in first if metric.name in second
    )


def _plain(value: Any) -> Any:
    """A number or word of numpy's as Python's own."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a run cannot hold a {type(value).__name__}")
