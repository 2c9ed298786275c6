"""Moving a name to another model, with a record of it, and back."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from canteen.core.errors import CanteenError, InvalidRequest
from canteen.core.model import ModelCard, full_name, name_before
from canteen.lifecycle.promote import records
from canteen.lifecycle.promote.ports import Ports
from canteen.lifecycle.promote.records import Promotion, State
from canteen.lifecycle.quantize.formats import FORMATS

# Former models that stay, so that one can go back so many times.
NUM_KEPT = 2


async def rollback(
    ports: Ports, name: str, by: str, clock: Callable[[], float] = time.time
) -> Promotion:
    """Let a name hold what it held before its last promotion that was not rolled back yet.

    A name that was removed since is back. Raises InvalidRequest where there is no such promotion,
    or where that model was removed.
    """
    return await asyncio.to_thread(_rolled_back, ports, full_name(name), by, clock())


def _rolled_back(ports: Ports, name: str, by: str, now_s: float) -> Promotion:
    with records.locked(ports.home):
        _settle(ports, name)
        current = ports.find(name)
        undone, kept = _former(ports, name)
        record = begun(name, kept, current, now_s)
        record = replace(record, candidate=undone.kept_as, by=by, undoes=undone.id)
        return _moved(ports, record, kept, current)


def begun(name: str, card: ModelCard, before: ModelCard | None, now_s: float) -> Promotion:
    """What is known beforehand; raises InvalidRequest for a name too long to keep the former."""
    return Promotion(
        id=records.new_id(now_s),
        name=name,
        candidate=card.name,
        digest=card.digest,
        by="",
        created_at=datetime.fromtimestamp(now_s, UTC).isoformat(timespec="seconds"),
        state="tried",
        former_digest=before.digest if before else "",
        kept_as=name_before(name, now_s) if before else "",
        folder=card.folder,
        quantization=_served(card),
        former_quantization=_served(before) if before else "",
    )


def _served(card: ModelCard) -> str:
    """The type of the weights that answer; in the default format the card has their source's."""
    made, _, _ = str(card.quality.get("weights_after", "")).partition(",")
    return made.upper() if made and card.quantization.lower() not in FORMATS else card.quantization


def moved(ports: Ports, record: Promotion, card: ModelCard, before: ModelCard | None) -> Promotion:
    """Move a name to a model that passed; the record says so in the end."""
    with records.locked(ports.home):
        _settle(ports, record.name)
        return _moved(ports, record, card, before)


def _moved(ports: Ports, record: Promotion, card: ModelCard, before: ModelCard | None) -> Promotion:
    # The record comes first: a move that nobody knows of could not be undone.
    records.save(replace(record, state="moving"), ports.home)
    try:
        ports.move(record.name, card, before=before, keep_as=record.kept_as)
    except CanteenError:
        _tell_end(replace(record, state="failed"), ports.home)
        raise
    record = replace(record, state="rolled back" if record.undoes else "promoted")
    _tell_end(record, ports.home)
    _forget_older(ports, record)
    return record


def _tell_end(record: Promotion, home: Path) -> None:
    # Where there is no room to say it, the next one finds out.
    with suppress(OSError):
        records.save(record, home)


def _forget_older(ports: Ports, last: Promotion) -> None:
    """Former models that no rollback would come to any more lose their name."""
    known = records.load(ports.home, last.name)
    needed = {one.kept_as for one in records.standing(known)[-NUM_KEPT:]} | {last.kept_as}
    # What a failed one left behind is not to be had elsewhere.
    done = [one.kept_as for one in known if one.kept_as and one.state != "failed"]
    for former in done:
        if former not in needed and ports.find(former) is not None:
            ports.remove(former)


def _settle(ports: Ports, name: str) -> None:
    """Say of moves whose program died whether they happened."""
    for one in records.load(ports.home, name):
        if one.state != "moving":
            continue
        current, kept = ports.find(name), ports.find(one.kept_as) if one.kept_as else None
        state: State = "rolled back" if one.undoes else "promoted"
        if not _has_moved(one, current, kept):
            state = "failed"
        records.save(replace(one, state=state), ports.home)
        # Where the name holds neither any more, nobody else has the former one.
        if kept is not None and current is not None and is_same(kept, current):
            ports.remove(kept.name)


def _has_moved(record: Promotion, current: ModelCard | None, kept: ModelCard | None) -> bool:
    """Whether a move got to its end: the former one is kept, and the name holds the other."""
    if current is None or (current.digest, current.folder) != (record.digest, record.folder):
        return False
    return not record.kept_as or (kept is not None and not is_same(kept, current))


def _former(ports: Ports, name: str) -> tuple[Promotion, ModelCard]:
    """The promotion to undo, and the model that the name held before it."""
    standing = records.standing(records.load(ports.home, name))
    if not standing:
        raise InvalidRequest(
            f"no promotion of '{name}' is left to roll back; canteen promote --list shows all",
            param="name",
        )
    last = standing[-1]
    if not last.kept_as:
        raise InvalidRequest(
            f"'{name}' held nothing before its first promotion; canteen rm {name} removes it",
            param="name",
        )
    kept = ports.find(last.kept_as)
    if kept is None:
        raise InvalidRequest(
            f"what '{name}' held before, {last.kept_as}, was removed from the store; "
            "promote a model that is there",
            param="name",
        )
    return last, kept


def is_same(one: ModelCard, other: ModelCard) -> bool:
    """Whether two names hold the same model with the same defaults."""
    return one == replace(other, name=one.name, modified_at=one.modified_at)
