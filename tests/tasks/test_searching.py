"""A search shows where in which document it found what, and answers only from that."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from canteen.core.errors import IndexNotFound, InvalidRequest, ModelNotFound
from canteen.core.model import ModelCard
from canteen.engines.echo import DIMENSIONS
from canteen.tasks.answering import NOTHING_FOUND
from canteen.tasks.documents import Document, read
from canteen.tasks.indexes import Index, Indexes
from canteen.tasks.indexing import Source, add
from canteen.tasks.library import IndexRequest, Library
from canteen.tasks.searching import Searched, SearchRequest, search
from tests.cards import card
from tests.tasks.speaking import Speaking, model_of

TEXTS: Mapping[str, str] = {
    "zoo.md": "# Zoo\n\nIt opens at nine.\n\n## Animals\n\nA zebra ran over the river. " * 2,
    "bread.md": "# Bread\n\nFlour, water and salt make bread.",
}
EMBEDDER = card(name="echo-embed:latest", kind="embedder", embedding_length=DIMENSIONS)
OTHER = card(name="other:latest", kind="embedder", digest="sha256:b", embedding_length=DIMENSIONS)
MODELS = {"echo-embed": EMBEDDER, "other": OTHER, "echo": card(name="echo:latest")}


def model_card(name: str) -> ModelCard:
    try:
        return MODELS[name.removesuffix(":latest")]
    except KeyError:
        raise ModelNotFound(name) from None


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(Indexes(tmp_path), model_card, "all-minilm")


@pytest.fixture
async def index(library: Library) -> Index:
    index = await library.make(IndexRequest("notes", embedder="echo-embed", characters=60))
    sources = []
    for name, text in TEXTS.items():
        document = read(text.encode(), name=name)
        document = Document(
            document.text, name, document.title, "", document.sections, (), {"kind": name[:3]}
        )
        sources.append(Source(name, lambda document=document: [document]))  # type: ignore[misc]
    assert all([one.status == "indexed" async for one in add(index, model_of(Speaking()), sources)])
    return index


async def found(index: Index, query: str, **options: Any) -> Searched:
    return await search(index, model_of(Speaking()), SearchRequest(query, **options))


@pytest.mark.parametrize("mode", ["hybrid", "vector", "text"])
async def test_hits_and_snippets_are_parts_of_their_documents(index: Index, mode: str) -> None:
    result = await found(index, "a zebra ran", mode=mode, limit=3)

    assert "zebra" in result.hits[0].text
    for hit in result.hits:
        text = TEXTS[hit.document]
        assert text[hit.start : hit.end] == hit.text
        assert text[hit.snippet.start : hit.snippet.end] == hit.snippet.text
    assert result.answer is None


async def test_filters_choose_documents(index: Index) -> None:
    result = await found(index, "a zebra ran", filter={"kind": "bre"})

    assert {hit.document for hit in result.hits} == {"bread.md"}


async def test_an_answer_cites_what_was_found(index: Index) -> None:
    models = Speaking(lambda messages: "A zebra ran over the river [1].")

    result = await search(
        index, model_of(models), SearchRequest("What did the zebra do?", answer=True, mode="text")
    )

    assert result.answer is not None
    (cited,) = result.answer.citations
    assert TEXTS[cited.document][cited.start : cited.end] == cited.quote
    assert "zebra" in cited.quote


async def test_nothing_found_is_no_question_for_the_model(index: Index) -> None:
    models = Speaking()
    request = SearchRequest("xylophone", mode="text", answer=True)

    result = await search(index, model_of(models), request)

    assert result.hits == ()
    assert result.answer is not None
    assert result.answer.text == NOTHING_FOUND
    assert models.asked == []


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"query": " "}, "query"),
        ({"query": "x" * 10_001}, "query"),
        ({"query": "\ud800"}, "query"),
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"limit": math.nan}, "limit"),
        ({"mode": "fuzzy"}, "mode"),
        ({"filter": {"colour": "red"}}, "filter.colour"),
        ({"filter": {"kind": {"like": "z"}}}, "filter.kind"),
    ],
)
async def test_what_cannot_be_searched_is_refused(
    index: Index, options: dict[str, Any], param: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await found(index, **{"query": "zebra", **options})

    assert refused.value.param == param


async def test_an_index_is_made_once_and_described(library: Library) -> None:
    request = IndexRequest("notes", embedder="echo-embed", overlap=20)
    await library.make(request)
    index = await library.make(request)

    described = await library.describe(await library.make(IndexRequest("notes")))

    assert (described.name, described.embedder, described.dimensions) == (
        "notes",
        "echo-embed:latest",
        DIMENSIONS,
    )
    assert (described.characters, described.overlap, described.num_passages) == (1000, 20, 0)
    assert index.card.digest == EMBEDDER.digest


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"embedder": "other"}, "model"),
        ({"embedder": "absent"}, "model"),
        ({"characters": 70}, "characters"),
        ({"characters": 7}, "characters"),
        ({"overlap": 10}, "overlap"),
        ({"language": "German"}, "language"),
        ({"language": "Klingon"}, "language"),
    ],
)
async def test_an_index_that_is_there_is_not_made_otherwise(
    index: Index, library: Library, options: dict[str, Any], param: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await library.make(IndexRequest("notes", **options))

    assert refused.value.param == param


async def test_what_generates_cannot_embed(library: Library) -> None:
    with pytest.raises(InvalidRequest, match="does not embed"):
        await library.make(IndexRequest("notes", embedder="echo"))

    with pytest.raises(IndexNotFound):
        await library.open("notes")


async def test_an_index_is_not_searched_with_another_model_of_the_same_name(
    index: Index, tmp_path: Path
) -> None:
    changed = Library(Indexes(tmp_path), lambda name: OTHER, "all-minilm")

    with pytest.raises(InvalidRequest) as refused:
        await changed.open("notes")

    assert refused.value.code == "other_embedding_model"
