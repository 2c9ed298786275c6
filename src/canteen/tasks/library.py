"""The indexes of a home with the embedding models that they were built with."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from canteen.core.asking import asked, check
from canteen.core.errors import CanteenError, IndexNotFound, InvalidRequest
from canteen.core.model import ModelCard
from canteen.tasks.indexes import Index, IndexCard, Indexes
from canteen.tasks.indexes.table import LANGUAGES
from canteen.tasks.passages import CHARACTERS, LEAST_CHARACTERS, MOST_CHARACTERS

DEFAULT_LANGUAGE = "English"


@dataclass(frozen=True, slots=True)
class IndexRequest:
    """How an index is to be made; what is given must be so where it is there already."""

    name: str
    embedder: str | None = asked("The model that embeds, of a new index; or the default one.")
    characters: int | None = asked(
        f"Characters of a passage, at most; or {CHARACTERS:,}.",
        least=LEAST_CHARACTERS,
        most=MOST_CHARACTERS,
    )
    overlap: int | None = asked(
        "Characters that neighbouring passages may share; or none.",
        least=0,
        most=MOST_CHARACTERS // 2,
    )
    language: str | None = asked(
        f"Of the words, for their stems; or {DEFAULT_LANGUAGE}.", choices=LANGUAGES
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class IndexDescription:
    """An index as it is told: what it was made with and what it holds."""

    name: str
    embedder: str
    dimensions: int
    characters: int
    overlap: int
    language: str
    created_at: str
    num_documents: int
    num_passages: int
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UnusableIndex:
    """An index that cannot be used any more, and why."""

    name: str
    problem: str


class Library:
    """Indexes by name; `model_card` knows the models of the store, and raises ModelNotFound.
    A new index is of `embedder` where no other is asked for."""

    def __init__(
        self, indexes: Indexes, model_card: Callable[[str], ModelCard], embedder: str
    ) -> None:
        self._embedder = embedder
        self.indexes = indexes
        self._model_card = model_card

    async def open(self, name: str) -> Index:
        """An index whose embedding model is still the one that it was built with."""
        index = await self.indexes.open(name)
        self._check_model(index.card, index.card.model)
        return index

    async def make(self, request: IndexRequest) -> Index:
        """The index of that name, made if it is not there; raises InvalidRequest where it is
        there and was made with other options."""
        try:
            return await self._fitting(request)
        except IndexNotFound:
            pass
        try:
            return await self.indexes.create(self._card(request))
        except InvalidRequest as error:
            # Somebody else may have made it meanwhile.
            if error.code != "index_exists":
                raise
        return await self._fitting(request)

    async def describe(self, index: Index) -> IndexDescription:
        """What an index is and holds."""
        card = index.card
        return IndexDescription(
            name=card.name,
            embedder=card.model,
            dimensions=card.dimensions,
            characters=card.characters,
            overlap=card.overlap,
            language=card.language,
            created_at=card.created_at,
            num_documents=await index.num_documents(),
            num_passages=await index.num_passages(),
            fields=tuple(await index.fields()),
        )

    async def every(self) -> list[IndexDescription | UnusableIndex]:
        """What every index is and holds, by name."""
        told = []
        for name in await self.indexes.names():
            # One may be removed meanwhile.
            with suppress(IndexNotFound):
                told.append(await self._listed(name))
        return told

    async def _listed(self, name: str) -> IndexDescription | UnusableIndex:
        try:
            return await self.describe(await self.indexes.open(name))
        except IndexNotFound:
            raise
        except CanteenError as exc:
            return UnusableIndex(name, exc.message)

    async def _fitting(self, request: IndexRequest) -> Index:
        index = await self.indexes.open(request.name)
        self._check_model(index.card, request.embedder or index.card.model)
        for option in ("characters", "overlap", "language"):
            wanted, held = getattr(request, option), getattr(index.card, option)
            if wanted not in (None, held):
                raise InvalidRequest(
                    f"index '{request.name}' was made with {option} {held}, not {wanted}; leave "
                    "it out, or remove the index and make it anew",
                    param=option,
                    code="index_exists",
                )
        return index

    def _check_model(self, card: IndexCard, embedder: str) -> None:
        model = self._model_card(embedder)
        card.check_model(model.name, model.digest)

    def _card(self, request: IndexRequest) -> IndexCard:
        model = self._model_card(request.embedder or self._embedder)
        if model.kind != "embedder":
            raise InvalidRequest(
                f"model '{model.name}' does not embed; choose another", param="embedder"
            )
        return IndexCard(
            request.name,
            model.name,
            model.digest,
            model.embedding_length,
            datetime.now(UTC).isoformat(timespec="seconds"),
            CHARACTERS if request.characters is None else request.characters,
            request.overlap or 0,
            request.language or DEFAULT_LANGUAGE,
        )
