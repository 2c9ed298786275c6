"""Documents get into an index once and in order, whatever the others are like."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canteen.core.errors import InvalidRequest, Overloaded
from canteen.core.generation import EmbeddingRequest, Embeddings
from canteen.engines.echo import DIMENSIONS
from canteen.tasks.documents import Document
from canteen.tasks.indexes import Entry, Index, IndexCard, Indexes, Query
from canteen.tasks.indexing import BATCH_PASSAGES, TEXTS_AT_ONCE, Added, Source, add
from canteen.tasks.passages import Passage
from tests.tasks.speaking import Speaking, model_of


class Counting(Speaking):
    """Keeps what it embedded, and fails from some request on."""

    def __init__(self, most: int = 1_000) -> None:
        super().__init__()
        self.embedded: list[EmbeddingRequest] = []
        self._most = most

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        if len(self.embedded) == self._most:
            raise Overloaded("busy", retry_after_s=1)
        self.embedded.append(request)
        return await super().embed(request)


class Endless(Counting):
    """Embeds from some request on for as long as anybody waits."""

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        if len(self.embedded) == self._most:
            await asyncio.Event().wait()
        return await super().embed(request)


@pytest.fixture
async def index(tmp_path: Path) -> Index:
    return await made(tmp_path)


async def made(folder: Path) -> Index:
    card = IndexCard("notes", "echo-embed", "sha256:0", DIMENSIONS, "2026-11-29")
    return await Indexes(folder / "indexes").create(card)


def document(name: str, text: str = "", **metadata: Any) -> Document:
    return Document(text or f"The text of {name}.", id=name, metadata=metadata)


def of(*documents: Document) -> list[Source]:
    return [Source(one.id, lambda one=one: [one]) for one in documents]  # type: ignore[misc]


def broken(name: str) -> Source:
    def load() -> list[Document]:
        raise InvalidRequest("it cannot be read", param=name)

    return Source(name, load)


async def put(index: Index, sources: Sequence[Source], models: Speaking | None = None) -> list[Any]:
    model = model_of(models or Speaking())
    return [(one.id, one.status) async for one in add(index, model, sources)]


async def test_documents_are_told_in_order_and_found(index: Index) -> None:
    told = await put(index, of(document("b"), document("a", "A zebra ran.")))

    assert told == [("b", "indexed"), ("a", "indexed")]
    (hit,) = await index.search(Query("zebra", None, 1, "text"))
    assert hit.document == "a"


async def test_what_is_there_unchanged_is_not_embedded_again(index: Index) -> None:
    models = Counting()
    await put(index, of(document("a"), document("b")), models)

    told = await put(index, of(document("a"), document("b", "Other words.")), models)

    assert told == [("a", "unchanged"), ("b", "indexed")]
    assert [len(one.inputs) for one in models.embedded] == [2, 1]
    assert await index.documents() == ["a", "b"]


async def test_titles_and_headings_are_embedded_with_a_passage(index: Index) -> None:
    models = Counting()

    await put(index, of(Document("It ran.", id="a", title="Zebras")), models)

    assert models.embedded[0].inputs == ("Zebras\nIt ran.",)


async def test_one_that_fails_does_not_fail_the_others(index: Index) -> None:
    sources = [
        broken("scan.pdf"),
        *of(document("a"), document("b", " "), Document("No id."), document("c")),
    ]

    added = [one async for one in add(index, model_of(Speaking()), sources)]

    assert [(one.id, one.status) for one in added] == [
        ("scan.pdf", "failed"),
        ("a", "indexed"),
        ("b", "failed"),
        ("", "failed"),
        ("c", "indexed"),
    ]
    assert [one.error.param for one in added if one.error] == ["scan.pdf", "text", "id"]


async def test_what_the_index_refuses_only_at_last_fails_alone(index: Index) -> None:
    fields: Any = {f"field{number}": number for number in range(70)}

    told = await put(
        index, of(document("a"), Document("Too much.", id="b", metadata=fields), document("c"))
    )

    assert told == [("a", "indexed"), ("b", "failed"), ("c", "indexed")]
    assert await index.documents() == ["a", "c"]


async def test_an_index_is_tidied_when_much_is_new_and_not_for_every_document(
    index: Index,
) -> None:
    many = [document(f"{number:04}") for number in range(100)]

    await put(index, of(*many))
    was_tidy = await index.is_tidy()
    await put(index, of(document("another")))

    assert was_tidy
    assert await index.is_tidy()
    more = [document(f"more {number}") for number in range(20)]
    await index.put([Entry(one, [Passage("x", 0, 1)], [[0.5] * DIMENSIONS]) for one in more])
    assert not await index.is_tidy()


async def test_two_documents_of_one_id_are_not_taken_for_one(index: Index) -> None:
    sources = of(document("a"), document("a"), document("a", "Something else."))

    assert await put(index, sources) == [("a", "indexed"), ("a", "unchanged"), ("a", "failed")]


async def test_a_long_document_is_embedded_in_pieces(index: Index) -> None:
    models = Counting()
    text = "\n\n".join(f"Paragraph {number}. {'word ' * 180}" for number in range(150))

    (added,) = [one async for one in add(index, model_of(models), of(document("a", text)))]

    assert added == Added("a", "indexed", 150)
    assert max(len(one.inputs) for one in models.embedded) == TEXTS_AT_ONCE
    assert await index.num_passages() == 150


async def test_sources_are_read_only_when_it_is_their_turn(index: Index) -> None:
    loaded: list[int] = []

    def every() -> Iterator[Source]:
        for number in range(3 * BATCH_PASSAGES):
            loaded.append(number)
            yield from of(document(f"{number:04}"))

    async with aclosing(add(index, model_of(Speaking()), every())) as outcomes:
        first = await anext(outcomes)

    assert first.id == "0000"
    assert len(loaded) < 2 * BATCH_PASSAGES


async def test_what_was_told_of_stays_when_it_is_left_or_fails_midway(index: Index) -> None:
    sources = of(*(document(f"{number:04}") for number in range(2 * BATCH_PASSAGES)))
    models = Counting(most=5)

    with pytest.raises(Overloaded):
        await put(index, sources, models)
    held = await index.documents()
    told = await put(index, sources)

    assert len(held) == BATCH_PASSAGES
    assert [status for _, status in told].count("unchanged") == len(held)
    assert len(await index.documents()) == len(sources)


async def test_a_cancelled_one_leaves_whole_documents_and_can_go_on(index: Index) -> None:
    sources = of(*(document(f"{number:04}") for number in range(3 * BATCH_PASSAGES)))
    adding = asyncio.create_task(put(index, sources, Endless(2 * BATCH_PASSAGES // TEXTS_AT_ONCE)))
    # Whoever reads an index hears nothing of what another writes.
    while not await index.documents():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    adding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await adding

    await put(index, sources)

    assert len(await index.documents()) == await index.num_passages() == len(sources)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    names=st.lists(st.sampled_from("abcde"), unique=True, min_size=1),
    texts=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)),
)
def test_to_do_it_twice_is_to_do_it_once(
    names: list[str], texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    texts = [*texts, "last"]
    sources = of(*(document(name, texts[at % len(texts)]) for at, name in enumerate(names)))

    async def twice() -> None:
        index = await made(tmp_path_factory.mktemp("twice"))
        once = await put(index, sources)
        held = await index.documents(), await index.num_passages()
        again = await put(index, sources)

        assert (await index.documents(), await index.num_passages()) == held
        assert [status for _, status in again] == [
            "unchanged" if status == "indexed" else status for _, status in once
        ]

    asyncio.run(twice())
