"""The model store: names to cards, cards to files."""

import builtins
import contextlib
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from canteen.core.errors import EngineError, InvalidRequest, ModelNotFound
from canteen.core.model import ModelCard, full_name, name_before
from canteen.core.moments import now
from canteen.runtime import blobs, locks
from canteen.runtime.threads import in_thread

logger = logging.getLogger(__name__)

SCHEMA = 1
LOCK_NAME_LENGTH = len("sha256-") + 64
ORPHANS_STAY_S = 24 * 3600
STAGING_STAYS_S = 7 * 24 * 3600
MAKE_ROOM = "canteen rm MODEL removes a model"


# What tells a file from one that was written in its place.
_Stamp = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Known:
    """A manifest that was read: every request asks for one several times."""

    path: str
    stamp: _Stamp
    card: ModelCard


class Catalog:
    """Files under `home`; safe to use from several processes at once."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._models = home / "models"
        self._manifests = self._models / "manifests"
        self._read_before: dict[str, _Known] = {}

    def list(self) -> builtins.list[ModelCard]:
        """Every model, by name; one whose manifest is damaged is left out with a warning."""
        return [card for card in self._read_all() if card is not None]

    def get(self, name: str) -> ModelCard:
        """The card of a name; raises ModelNotFound, or EngineError where it cannot be read."""
        name = full_name(name)
        known = self._read_before.get(name)
        path = known.path if known else str(self._manifest(name))
        try:
            stamp = _stamp(path)
            if known is None or known.stamp != stamp:
                known = _Known(path, stamp, _parse(Path(path).read_bytes()))
                self._read_before[name] = known
            return known.card
        except FileNotFoundError:
            self._read_before.pop(name, None)
            raise ModelNotFound(name) from None
        except (ValueError, TypeError) as exc:
            raise EngineError(
                f"the manifest of model '{name}' is damaged; pull the model again "
                f"(canteen pull {name}) or remove it (canteen rm {name})",
                code="damaged_manifest",
            ) from exc

    def lack(self, default: str) -> str:
        """That the default model is not here, and what to do; empty where it is."""
        name = full_name(default)
        if any(card.name == name for card in self.list()):
            return ""
        return (
            f"the default model '{name}' is not in the store; run: canteen pull {name}, or set "
            "CANTEEN_MODEL to one that is there"
        )

    def put(self, card: ModelCard) -> str:
        """Write a card under its name, in place of the one that may be there.

        Where that was the last name of a model that was made here, the model stays under another
        name, which is returned; else nothing is. Raises StorageFull, and leaves the old one, where
        there is no room.
        """
        card = replace(card, name=full_name(card.name))
        with self._lock(), blobs.full_disk_said(MAKE_ROOM):
            before = self._read(self._manifest(card.name))
            if before is None:
                self._write(card)
                return ""
            keep_as = self._name_to_keep(before, card)
            self._replace(before, card, keep_as)
            self._collect(before)
        if keep_as:
            logger.info(kept_said(keep_as))
        return keep_as

    def _name_to_keep(self, before: ModelCard, card: ModelCard) -> str:
        """The name that a model gets whose name another card takes; empty where its weights have
        one, or can be had again."""
        if not before.is_made_here:
            return ""
        others = [one for one in self._read_all() if one is not None and one.name != before.name]
        if any(one.digest == before.digest for one in (card, *others)):
            return ""
        return name_before(before.name, time.time())

    def _replace(self, before: ModelCard, card: ModelCard, keep_as: str) -> None:
        """Write a card in place of another, which is kept under the name `keep_as` if that is told.

        Raises OSError, with all names as they were.
        """
        if keep_as:
            self._write(replace(before, name=keep_as))
        try:
            self._write(card)
        except OSError:
            if keep_as and self._read(self._manifest(card.name)) == before:
                self._manifest(keep_as).unlink()
            raise

    def copy(self, source: str, destination: str) -> str:
        """Give a model a second name; the files are shared. Returns what `put` does."""
        card = self.get(source)
        if card.name == full_name(destination):
            return ""
        return self.put(replace(card, name=full_name(destination), modified_at=now()))

    def move(self, name: str, card: ModelCard, *, before: ModelCard | None, keep_as: str) -> None:
        """Let a name hold another card from now on, and keep what it held under the name `keep_as`.

        A reader meets the one or the other, and the files of both stay. Raises InvalidRequest,
        with nothing moved, where the name no longer holds `before` (None: nothing) or the card's
        files are gone, and StorageFull.
        """
        path = self._manifest(full_name(name))
        moved = replace(card, name=full_name(name), modified_at=now())
        with self._lock(), blobs.full_disk_said(MAKE_ROOM):
            if self._read(path) != before or (before is None and path.exists()):
                raise InvalidRequest(
                    f"'{name}' was changed by somebody else meanwhile, and nothing was moved; "
                    "look at it with canteen show, then try again",
                    code="changed_meanwhile",
                )
            if card.folder and not self.path(card).is_dir():
                raise InvalidRequest(
                    f"'{card.name}' was removed meanwhile, and nothing was moved; its files must "
                    "be in the store (canteen list)",
                    code="changed_meanwhile",
                )
            if before is None:
                self._write(moved)
            else:
                self._replace(before, moved, full_name(keep_as))

    def _write(self, card: ModelCard) -> None:
        blobs.write_whole(self._manifest(card.name), _text(card))

    def derive(self, source: str, name: str, **overrides: Any) -> str:
        """Make a model of another's files with other defaults; returns what `put` does.

        `overrides` may be `parameters` (added to the source's), `system`, `template`,
        `messages` and `license`.
        """
        unknown = set(overrides) - {"parameters", "system", "template", "messages", "license"}
        if unknown:
            raise InvalidRequest(f"a model cannot be derived with other {min(unknown)}")
        base = self.get(source)
        if "parameters" in overrides:
            overrides["parameters"] = {**base.parameters, **overrides["parameters"]}
        card = replace(base, name=full_name(name), parent=base.name, modified_at=now(), **overrides)
        return self.put(card)

    def check_removal(self, card: ModelCard) -> None:
        """Raises InvalidRequest for a model that adapters go on."""
        on_it = [one.name for one in self.list() if one.adapter.get("base") == card.name]
        if on_it:
            raise InvalidRequest(
                f"'{card.name}' is needed by its adapters {', '.join(on_it)}; remove them first "
                f"(canteen rm {' '.join(on_it)})",
                param="model",
            )

    def remove(self, name: str) -> None:
        """Forget a name, and remove the files that no other name needs. Raises ModelNotFound, and
        what `check_removal` does."""
        path = self._manifest(full_name(name))
        with self._lock():
            card = self._read(path)
            if card is not None:
                self.check_removal(card)
            try:
                path.unlink()
            except FileNotFoundError:
                raise ModelNotFound(full_name(name)) from None
            with contextlib.suppress(OSError):
                path.parent.rmdir()
            if card is not None:
                self._collect(card)

    def path(self, card: ModelCard) -> Path:
        """The prepared folder of a card."""
        return self.home / card.folder

    def has_blob(self, digest: str) -> bool:
        """Whether the whole of these bytes is here."""
        return self.blob_path(digest).exists()

    def blob_path(self, digest: str) -> Path:
        """Where these bytes are, or would be; raises InvalidRequest for what is no digest."""
        return self._models / "blobs" / blobs.checked(digest).replace(":", "-")

    async def add_blob(
        self, digest: str, chunks: AsyncIterator[bytes], size_bytes: int = 0
    ) -> None:
        """Store bytes that come in pieces, `size_bytes` in all where that is known.

        Raises InvalidRequest if their digest is another, StorageFull if they do not fit.
        """
        destination = self.blob_path(digest)
        with blobs.full_disk_said(MAKE_ROOM):
            await self._receive(digest, chunks, size_bytes, destination)

    async def _receive(
        self, digest: str, chunks: AsyncIterator[bytes], size_bytes: int, destination: Path
    ) -> None:
        upload = Upload(self._models / "uploads")
        try:
            if size_bytes > shutil.disk_usage(self._models).free:
                raise blobs.no_room(MAKE_ROOM)
            async for chunk in chunks:
                await in_thread(upload.write, chunk)
            if upload.digest() != digest:
                raise InvalidRequest(
                    f"the bytes sent have digest {upload.digest()}, not {digest}; send them again",
                    param="digest",
                )
            await in_thread(upload.publish, destination)
        finally:
            upload.close()

    def lock_path(self, name: str) -> Path:
        """The lock of a digest, or of a source that is being fetched."""
        return self._models / "locks" / name.replace(":", "-")

    def staging(self, source: str) -> Path:
        """Where a source's downloads are kept until they are published."""
        return self._models / "staging" / staging_name(source)

    def prepared(self, digest: str, preparation: int, form: str = "") -> Path:
        """Where the prepared folder of a digest is, or would be, in a format of weights other
        than the usual one."""
        name = f"{digest.replace(':', '-')}-{preparation}" + (f"-{form}" if form else "")
        return self.home / "prepared" / name

    def partial(self, digest: str) -> Path:
        """Where a digest's preparation works until it is published."""
        return self.home / "prepared" / f".partial-{digest.removeprefix('sha256:')}"

    def tidy(self) -> None:
        """Remove what killed processes left behind, but not what can be resumed."""
        with self._lock():
            for path in self._models.glob("manifests/*/.fresh-*"):
                blobs.erase(path)
            for pattern in ("models/*/.doomed-*", "prepared/.doomed-*"):
                for path in self.home.glob(pattern):
                    blobs.erase(path)
            for path in self._models.glob("uploads/*"):
                with locks.try_locked(path) as is_free:
                    if is_free:
                        blobs.erase(path)
            for path in self.home.glob("prepared/.partial-*"):
                self._erase_unlocked(path, path.name.replace(".partial-", "sha256-"), 0)
            for path in self._models.glob("staging/*"):
                self._erase_unlocked(path, path.name, STAGING_STAYS_S)
            self._collect_orphans()

    def _erase_unlocked(self, path: Path, lock: str, stays_s: float) -> None:
        if age_s(path) < stays_s:
            return
        with locks.try_locked(self.lock_path(lock)) as is_free:
            if is_free:
                blobs.remove(path)

    def _collect(self, card: ModelCard) -> None:
        """Remove a card's files that no card needs; never while a pull of them is going on."""
        cards = list(self._read_all())
        if None in cards:
            return
        kept = {kept.digest for kept in cards if kept} | {kept.folder for kept in cards if kept}
        with locks.try_locked(self.lock_path(card.digest)) as is_free:
            if is_free and card.digest not in kept:
                blobs.remove(self.blob_path(card.digest))
            if is_free and card.folder and card.folder not in kept:
                blobs.remove(self.path(card))

    def _collect_orphans(self) -> None:
        """Remove blobs without a name that nobody came back for (a create follows its upload)."""
        cards = list(self._read_all())
        if None in cards:
            return
        kept = {self.blob_path(card.digest) for card in cards if card}
        kept |= {self.path(card) for card in cards if card}
        for path in (*self._models.glob("blobs/sha256-*"), *self.home.glob("prepared/sha256-*")):
            if path not in kept:
                self._erase_unlocked(path, path.name[:LOCK_NAME_LENGTH], ORPHANS_STAY_S)

    def _read_all(self) -> Iterator[ModelCard | None]:
        for path in sorted(self._manifests.glob("*/*.json")):
            if not path.name.startswith("."):
                yield self._read(path)

    def _read(self, path: Path) -> ModelCard | None:
        try:
            return _parse(path.read_bytes())
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            logger.warning(
                "a damaged manifest is left out; pull the model again or remove it",
                extra={"manifest": f"{path.parent.name}/{path.name}"},
            )
            return None

    def _manifest(self, name: str) -> Path:
        # A '/' in a name must not make folders: `a:b` and `a/b.json` would meet.
        model, tag = name.rsplit(":", 1)
        return self._manifests / model.replace("/", "%2F") / f"{tag}.json"

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with locks.locked(self._models / "locks" / "store"):
            yield


class Upload:
    """A file that is being received; whoever finds it unlocked may remove it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        fd, name = tempfile.mkstemp(dir=folder)
        self._file = os.fdopen(fd, "wb")
        self._path = Path(name)
        self._sha256 = hashlib.sha256()
        self._lock = locks.locked(self._path)
        self._lock.__enter__()

    def write(self, chunk: bytes) -> None:
        """Take the next piece."""
        self._file.write(chunk)
        self._sha256.update(chunk)

    def digest(self) -> str:
        """The digest of all pieces so far."""
        return "sha256:" + self._sha256.hexdigest()

    def publish(self, destination: Path) -> None:
        """Move the file to its place."""
        self._file.flush()
        blobs.publish(self._path, destination)

    def close(self) -> None:
        """Remove the file if it is still here."""
        self._path.unlink(missing_ok=True)
        self._lock.__exit__(None, None, None)
        with contextlib.suppress(OSError):
            # What it still holds may not fit on the disk, and nobody wants it any more.
            self._file.close()


def kept_said(kept_as: str) -> str:
    """What is told of a model that was kept when its last name was given to another."""
    return f"what this replaces was made here, and is kept as {kept_as}"


def staging_name(source: str) -> str:
    """A short file name for a source."""
    return "source-" + hashlib.sha256(source.encode()).hexdigest()[:24]


def age_s(path: Path) -> float:
    """Seconds since a file or folder changed; 0 for one that is gone."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _text(card: ModelCard) -> bytes:
    """A card's manifest."""
    told = {"schema": SCHEMA, **asdict(card)}
    return json.dumps(told, indent=1, ensure_ascii=False).encode()


def _stamp(path: str) -> _Stamp:
    told = os.stat(path)
    return told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns


@lru_cache(maxsize=256)
def _parse(text: bytes) -> ModelCard:
    """A manifest's card; raises ValueError or TypeError for anything else."""
    manifest = json.loads(text)
    if not isinstance(manifest, dict) or manifest.pop("schema", None) != SCHEMA:
        raise ValueError("not a manifest of this version")
    lists = {key: tuple(manifest.get(key, ())) for key in ("messages", "members")}
    card = ModelCard(**{**manifest, **lists})
    if not all(isinstance(getattr(card, f.name), str) for f in fields(card) if f.type is str):
        raise TypeError("a manifest's field has another type")
    if not blobs.is_digest(card.digest):
        raise ValueError("a manifest's digest is none")
    return card
