"""The indexes of a home, by name: made, opened, listed and removed, each wholly or not at all."""

import asyncio
import errno
import shutil
import time
import uuid
from pathlib import Path

from canteen.core.errors import IndexNotFound, InvalidRequest
from canteen.tasks.documents import Document
from canteen.tasks.indexes import card as cards
from canteen.tasks.indexes.card import IndexCard
from canteen.tasks.indexes.index import Index
from canteen.tasks.indexes.table import LANGUAGES, Table
from canteen.tasks.passages import passages

MOST_DIMENSIONS = 8_192
MOST_OPEN = 16
# What was begun and not finished for so long was left by a process that died.
LEFT_S = 24 * 3600
_BEGUN = ".begun-"
_REMOVED = ".removed-"


class Indexes:
    """Indexes in the folders of `folder`; safe to use from several processes at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        # LanceDB keeps what it read of an index in memory, with the open table. The one used last
        # is the last one.
        self._open: dict[str, Index] = {}

    async def names(self) -> list[str]:
        """Every index, by name, damaged ones too."""
        return await asyncio.to_thread(self._names)

    async def create(self, card: IndexCard) -> Index:
        """Make an empty index for vectors of one embedding model.

        Raises InvalidRequest where the name is taken, or what it is made with is impossible.
        """
        _check(card)
        begun = self._folder / f"{_BEGUN}{card.id}"
        await asyncio.to_thread(self._begin, begun)
        try:
            await Table.create(begun, card.dimensions, card.language)
            await asyncio.to_thread(self._publish, begun, card)
        finally:
            await asyncio.to_thread(shutil.rmtree, begun, ignore_errors=True)
        return await self.open(card.name)

    async def open(self, name: str) -> Index:
        """The index of a name; raises InvalidRequest, with names like it, where there is none."""
        folder = self._folder / cards.checked_name(name)
        card = await asyncio.to_thread(cards.read, folder)
        if card is None:
            self._open.pop(name, None)
            raise IndexNotFound(name, await self.names())
        index = self._open.get(name)
        if index is None or index.card != card:
            index = Index(card, folder, await Table.open(folder, card.dimensions))
        self._open.pop(name, None)
        self._open[name] = index
        while len(self._open) > MOST_OPEN:
            del self._open[next(iter(self._open))]
        return index

    async def remove(self, name: str) -> None:
        """Remove an index; raises InvalidRequest where there is none."""
        self._open.pop(name, None)
        removed = self._folder / f"{_REMOVED}{uuid.uuid4().hex}"
        try:
            (self._folder / cards.checked_name(name)).rename(removed)
        except FileNotFoundError:
            raise IndexNotFound(name, await self.names()) from None
        await asyncio.to_thread(shutil.rmtree, removed, ignore_errors=True)

    def _names(self) -> list[str]:
        names = (path.parent.name for path in self._folder.glob(f"*/{cards.FILE}"))
        return sorted(name for name in names if not name.startswith("."))

    def _begin(self, begun: Path) -> None:
        begun.mkdir(parents=True)
        for folder in self._folder.glob(".*-*"):
            if folder != begun and time.time() - folder.stat().st_mtime > LEFT_S:
                shutil.rmtree(folder, ignore_errors=True)

    def _publish(self, begun: Path, card: IndexCard) -> None:
        cards.write(begun, card)
        try:
            begun.rename(self._folder / card.name)
        except OSError as exc:
            if exc.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            raise InvalidRequest(
                f"index '{card.name}' is there already; remove it first, or add to it",
                param="index",
                code="index_exists",
            ) from None


def _check(card: IndexCard) -> None:
    cards.checked_name(card.name)
    passages(Document("x"), characters=card.characters, overlap=card.overlap)
    if not 1 <= card.dimensions <= MOST_DIMENSIONS:
        raise InvalidRequest(
            f"vectors have from 1 to {MOST_DIMENSIONS} dimensions", param="dimensions"
        )
    if card.language not in LANGUAGES:
        raise InvalidRequest(
            f"language '{card.language}' is not one of {', '.join(LANGUAGES)}", param="language"
        )
