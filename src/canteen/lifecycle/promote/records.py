"""What was promoted and rolled back, by whom, when and with which figures; kept as files."""

import fcntl
import logging
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from canteen.core.errors import EngineError
from canteen.lifecycle import files
from canteen.lifecycle.promote.gate import Verdict

logger = logging.getLogger(__name__)

FOLDER = "promotions"
# Of what cannot be read any more.
_NAME = re.compile(rb'"name":\s*"([^"\\]+)"')
# `tried` is a dry run, which is not kept; `moving` is a move that was begun; where it
# stays, the program died, and the next one looks what became of it.
State = Literal["tried", "refused", "moving", "promoted", "rolled back", "failed"]


@dataclass(frozen=True, slots=True)
class Promotion:
    """A name that moved to another model, or did not. `former_digest` and `kept_as` are of what it
    held before, empty where that was nothing.

    A digest is of the source weights, which preparations share: `folder` and `quantization` tell
    those apart.

    `by` is who asked, as user@host; `runs` are the evaluations, by their ids. Of a rollback,
    `undoes` is the id of the promotion that it took back.
    """

    id: str
    name: str
    candidate: str
    digest: str
    by: str
    created_at: str
    state: State
    gate: str = ""
    is_sure: bool = False
    former_digest: str = ""
    kept_as: str = ""
    verdicts: tuple[Verdict, ...] = ()
    runs: tuple[str, ...] = ()
    undoes: str = ""
    folder: str = ""
    quantization: str = ""
    former_quantization: str = ""


def new_id(now_s: float) -> str:
    """An id that sorts by time and can be a part of a model's name."""
    return f"{datetime.fromtimestamp(now_s, UTC):%Y%m%dT%H%M%S.%f}"


def save(record: Promotion, home: Path) -> None:
    """Keep a record, in place of what it said before; a reader meets all of it or nothing."""
    told = msgspec.json.format(msgspec.json.encode(record), indent=1)
    files.write_whole(home / FOLDER / f"{record.id}.json", told)


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Nobody else moves a name for the time of the block; waits for who does."""
    folder = home / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def load(home: Path, name: str = "") -> Sequence[Promotion]:
    """The records of a name, or all, the oldest first. Raises EngineError where one that may be of
    the name is damaged; others that are damaged are left out with a warning."""
    found = [_read(path, name) for path in sorted((home / FOLDER).glob("[!.]*.json"))]
    return [record for record in found if record is not None and name in ("", record.name)]


def standing(records: Sequence[Promotion]) -> Sequence[Promotion]:
    """The promotions of one name that were not rolled back, the oldest first."""
    undone = {one.undoes for one in records if one.state == "rolled back"}
    return [one for one in records if one.state == "promoted" and one.id not in undone]


def _read(path: Path, name: str) -> Promotion | None:
    text = path.read_bytes()
    try:
        return msgspec.json.decode(text, type=Promotion)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        damaged = EngineError(
            f"the record {path.name} in {FOLDER} of CANTEEN_HOME is damaged; put it right "
            f"or move it away ({exc})",
            code="damaged_record",
        )
        whose = _NAME.search(text)
        if name and (whose is None or whose[1] == name.encode()):
            raise damaged from exc
        logger.warning(damaged.message)
        return None
