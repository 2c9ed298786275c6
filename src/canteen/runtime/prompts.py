"""The prompts that callers store: each a folder of versions, of which none ever changes."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from canteen.core.errors import InvalidRequest, PromptNotFound
from canteen.runtime import blobs, locks

SUFFIX = ".jinja"
# Holds the number of the last version that was removed: it and those before are gone.
REMOVED = "removed"
MOST_VERSIONS = 10_000
MAKE_ROOM = "canteen prompt rm NAME removes a prompt"
_NAME = re.compile(r"[A-Za-z0-9][\w.\-]{0,63}", re.ASCII)
_VERSION = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class StoredPrompt:
    """A version of a prompt; `versions` are all there are, `digest` is that of `source`."""

    name: str
    version: int
    versions: tuple[int, ...]
    source: str
    digest: str
    modified_at: str


class PromptStore:
    """Files under `home`; safe to use from several processes at once."""

    def __init__(self, home: Path) -> None:
        self._prompts = home / "prompts"

    def names(self) -> list[str]:
        """Every prompt, by name."""
        folders = (path.name for path in self._prompts.glob("*") if _NAME.fullmatch(path.name))
        return sorted(name for name in folders if self._versions(name))

    def list(self) -> "Iterator[StoredPrompt]":
        """The latest version of every prompt, by name."""
        for name in self.names():
            with suppress(PromptNotFound):
                yield self.get(name)

    def get(self, reference: str) -> StoredPrompt:
        """The latest version of NAME, or that of NAME@2; raises PromptNotFound."""
        name, version = split(reference)
        versions = self._versions(name)
        if not versions or version not in (None, *versions):
            raise PromptNotFound(reference, [f"{name}@{one}" for one in versions] or self.names())
        version = version or versions[-1]
        try:
            return self._read(name, version, versions)
        except FileNotFoundError:
            raise PromptNotFound(reference, self.names()) from None

    def put(self, name: str, source: str) -> StoredPrompt:
        """Store a source as the next version of a name, unless it is the latest one already.

        Raises StorageFull, and leaves all as it was, where there is no room.
        """
        _checked(name)
        data = source.encode()
        with self._lock(), blobs.full_disk_said(MAKE_ROOM):
            versions = self._versions(name)
            self._erase_leftovers(self._prompts / name, versions)
            if versions and self._path(name, versions[-1]).read_bytes() == data:
                return self._read(name, versions[-1], versions)
            version = 1 + (versions[-1] if versions else self._removed(name))
            if len(versions) >= MOST_VERSIONS:
                raise InvalidRequest(f"'{name}' has {MOST_VERSIONS:,} versions; remove it first")
            blobs.write_whole(self._path(name, version), data)
            return self._read(name, version, (*versions, version))

    def remove(self, name: str) -> None:
        """Forget a prompt. Its versions' numbers are never given again, so that a receipt's
        `NAME/2` stays what it was; raises PromptNotFound."""
        if "@" in name:
            raise InvalidRequest("a prompt is removed with all its versions", param="name")
        with self._lock():
            versions = self._versions(_checked(name))
            if not versions:
                raise PromptNotFound(name, self.names())
            folder = self._prompts / name
            blobs.write_whole(folder / REMOVED, str(versions[-1]).encode())
            self._erase_leftovers(folder, ())

    def _versions(self, name: str) -> tuple[int, ...]:
        """In order; what is being written or was removed is none."""
        stems = (path.stem for path in (self._prompts / name).glob(f"*{SUFFIX}"))
        removed = self._removed(name)
        numbers = (int(stem) for stem in stems if _VERSION.fullmatch(stem))
        return tuple(sorted(number for number in numbers if number > removed))

    def _removed(self, name: str) -> int:
        try:
            return int((self._prompts / name / REMOVED).read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def _read(self, name: str, version: int, versions: tuple[int, ...]) -> StoredPrompt:
        path = self._path(name, version)
        data = path.read_bytes()
        modified = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        at = modified.isoformat(timespec="seconds").replace("+00:00", "Z")
        return StoredPrompt(name, version, versions, data.decode(), blobs.digest_of_bytes(data), at)

    def _path(self, name: str, version: int) -> Path:
        return self._prompts / name / f"{version}{SUFFIX}"

    def _erase_leftovers(self, folder: Path, versions: Iterable[int]) -> None:
        """Remove what killed processes and removals left; only whoever holds the lock writes."""
        kept = {REMOVED, *(f"{version}{SUFFIX}" for version in versions)}
        for path in folder.glob("*"):
            if path.name not in kept:
                blobs.erase(path)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with locks.locked(self._prompts / ".lock"):
            yield


def split(reference: str) -> tuple[str, int | None]:
    """The name, and the version if there is one; raises InvalidRequest for what is neither."""
    name, at, version = reference.partition("@")
    if at and not _VERSION.fullmatch(version):
        raise InvalidRequest("a version is a number, as in NAME@2", param="name")
    return _checked(name), int(version) if at else None


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            "a prompt's name is 1 to 64 letters, digits, '.', '_' and '-', a letter or digit first",
            param="name",
        )
    return name
