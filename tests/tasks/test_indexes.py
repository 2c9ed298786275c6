"""An index holds what it was given once, whatever happens in between, and finds it again."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canteen.core.errors import EngineError, InvalidRequest, Overloaded
from canteen.tasks.documents import Document
from canteen.tasks.indexes import Entry, Index, IndexCard, Indexes, Query, parsed
from canteen.tasks.indexes.index import context, embedded
from canteen.tasks.indexes.writing import writing
from canteen.tasks.passages import Passage
from canteen.tasks.search import fused, snippet

DIMENSIONS = 8
DIGEST = "sha256:" + "a" * 64


def card(name: str = "notes", **changes: Any) -> IndexCard:
    return IndexCard(name, "tiny", DIGEST, DIMENSIONS, "2026-11-29T00:00:00Z", **changes)


def vector(text: str) -> list[float]:
    """A vector that is the same for the same text, in every process."""
    drawn = np.random.default_rng(list(text.encode())).standard_normal(DIMENSIONS)
    return [float(one) for one in drawn]


def document(name: str, text: str = "", **metadata: Any) -> Document:
    return Document(text or f"The text of {name}.", id=name, metadata=metadata)


async def add(index: Index, documents: Sequence[Document]) -> int:
    entries = []
    for one in await index.stale(documents):
        cut = index.passages(one)
        entries.append(Entry(one, cut, [vector(passage.text) for passage in cut]))
    return await index.put(entries)


async def found(index: Index, text: str, **asked: Any) -> list[str]:
    asked.setdefault("mode", "text")
    return [hit.document for hit in await index.search(Query(text, vector(text), **asked))]


async def contents(index: Index) -> list[tuple[str, int, str]]:
    """All that is in a small index."""
    hits = await index.search(Query("x", vector("x"), limit=100, mode="vector"))
    return sorted((hit.document, hit.start, hit.text) for hit in hits)


def write(folder: Path, text: str) -> None:
    folder.mkdir()
    folder.joinpath("index.json").write_text(text)


@pytest.fixture
async def index(tmp_path: Path) -> Index:
    return await Indexes(tmp_path / "indexes").create(card())


async def test_words_and_vectors_find_a_passage_with_its_offsets(index: Index) -> None:
    long = Document(
        "First part. " * 80 + "\n\n" + "A zebra ran. " * 50, id="long", metadata={"n": [1, {}]}
    )
    await add(index, [long, document("other", "Nothing striped is here.")])

    for mode in ("hybrid", "vector", "text"):
        query = Query("zebras", vector("A zebra ran. " * 49 + "A zebra ran."), 1, mode)
        (hit,) = await index.search(query)

        assert hit.document == "long"
        assert hit.text == long.text[hit.start : hit.end]
        assert "zebra" in hit.text
        assert hit.metadata == {"n": [1, {}]}


async def test_a_title_is_found_and_is_no_part_of_the_text(index: Index) -> None:
    await add(index, [Document("Some words.", id="a", title="Giraffes"), document("b")])

    (hit,) = await index.search(Query("giraffe", mode="text"))

    assert (hit.document, hit.text, hit.title) == ("a", "Some words.", "Giraffes")


async def test_indexing_twice_changes_nothing(index: Index) -> None:
    documents = [document("a", lang="en"), document("b", year=3), document("c", "Word. " * 500)]
    assert await add(index, documents) == 3
    before = await contents(index)

    assert await index.stale(documents) == []
    assert await add(index, documents) == 0
    assert await contents(index) == before


async def test_a_changed_document_replaces_all_its_passages(index: Index) -> None:
    await add(index, [document("a", "Old words here. " * 200), document("b")])
    assert len(await found(index, "old")) > 1

    assert await add(index, [document("a", "New words."), document("b")]) == 1

    assert await found(index, "old") == []
    assert await found(index, "new") == ["a"]
    assert await index.documents() == ["a", "b"]


async def test_changed_metadata_is_a_change(index: Index) -> None:
    await add(index, [document("a", year=1)])

    assert await add(index, [document("a", year=2)]) == 1
    assert await found(index, "text", conditions=parsed({"year": 2})) == ["a"]
    assert await found(index, "text", conditions=parsed({"year": 1})) == []


async def test_removed_documents_are_gone(index: Index) -> None:
    await add(index, [document("a"), document("b's"), document("c")])

    assert await index.remove(["b's", "a", "not there"]) == 2

    assert await found(index, "text") == ["c"]


async def test_a_tidied_index_finds_the_same(index: Index) -> None:
    await add(index, [document(f"d{number}", f"A zebra, {number}.") for number in range(20)])
    await index.tidy()
    await add(index, [document("d3", "A horse."), document("new", "A zebra.")])
    before = sorted(await found(index, "zebra", limit=50))

    await index.tidy()

    assert sorted(await found(index, "zebra", limit=50)) == before
    assert len(before) == 20


FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({"year": 2001}, ["b"]),
    ({"year": {"gte": 2001}}, ["b", "c"]),
    ({"year": {"gt": 2000.5, "lt": 2002}}, ["b"]),
    ({"year": {"lte": 2001}, "new": True}, ["b"]),
    ({"lang": {"in": ["de", "fr"]}}, ["b", "c"]),
    ({"day": {"gte": "2024-02-01"}}, ["c"]),
    ({"new": False}, ["a"]),
    ({'who\'s `x` "y"': "x' OR '1'='1"}, ["a"]),
    ({"lang": "en' OR '1'='1"}, []),
    ({"lang": "en'; DROP TABLE passages; --"}, []),
    ({"lang": "\\"}, []),
    ({}, ["a", "b", "c"]),
]


@pytest.mark.parametrize(("asked", "names"), FILTERS)
@pytest.mark.parametrize("mode", ["text", "vector", "hybrid"])
async def test_filters_choose_by_metadata(
    index: Index, asked: dict[str, Any], names: list[str], mode: str
) -> None:
    await add(
        index,
        [
            document("a", year=2000, lang="en", new=False, **{'who\'s `x` "y"': "x' OR '1'='1"}),
            document("b", year=2001, lang="de", new=True, day="2024-01-31"),
            document("c", year=2002.5, lang="fr", tags=["kept", "only"], day="2024-02-01"),
        ],
    )

    assert sorted(await found(index, "text", mode=mode, conditions=parsed(asked))) == names


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"nope": 1}, "filter.nope"),
        ({"year": "2000"}, "filter.year"),
        ({"year) OR (1=1": 1}, "filter.year) OR (1=1"),
        ({"year": {"like": "x"}}, "filter.year"),
        ({"year": {}}, "filter.year"),
        ({"year": {"in": []}}, "filter.year"),
        ({"year": {"in": [1, "a"]}}, "filter.year"),
        ({"year": None}, "filter.year"),
        ({"year": [1]}, "filter.year"),
        ({"year": float("nan")}, "filter.year"),
        ({"new": {"gt": True}}, "filter.new"),
        ({"lang": "\ud800"}, "filter.lang"),
    ],
)
async def test_a_filter_that_cannot_be_is_refused_with_its_field(
    index: Index, asked: dict[str, Any], param: str
) -> None:
    await add(index, [document("a", year=2000, lang="en", new=True)])

    with pytest.raises(InvalidRequest) as caught:
        await found(index, "text", conditions=parsed(asked))

    assert caught.value.param == param


@pytest.mark.parametrize(
    ("query", "param"),
    [
        (Query(" ", vector("x")), "query"),
        (Query("\ud800", vector("x")), "query"),
        (Query("x", vector("x"), limit=0), "limit"),
        (Query("x", vector("x"), limit=101), "limit"),
    ],
)
async def test_a_query_that_cannot_be_is_refused(index: Index, query: Query, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await index.search(query)

    assert caught.value.param == param


@pytest.mark.parametrize("text", ['"', "AND OR NOT", "a:b*~^(", "'; --", "the of", "日本語", "%"])
async def test_any_text_can_be_searched_for(index: Index, text: str) -> None:
    await add(index, [document("a", "AND then a:b* happened.")])

    assert await found(index, text, mode="hybrid") == ["a"]


@pytest.mark.parametrize(
    ("bad", "param"),
    [
        (document("", "x"), "id"),
        (document("\ud800", "x"), "id"),
        (document("a", " "), "text"),
        (document("a", "\udc00"), "text"),
        (document("a", "x", key="\udc00"), "metadata"),
        (document("a", "x", key=float("inf")), "metadata"),
        (document("a", "x", key="x" * 20_000), "metadata"),
    ],
)
async def test_a_document_that_cannot_be_kept_is_refused(
    index: Index, bad: Document, param: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await index.stale([bad])

    assert caught.value.param == param


async def test_too_many_fields_to_filter_by_are_refused_and_nothing_is_kept(index: Index) -> None:
    metadata = {f"f{number}": number for number in range(65)}

    with pytest.raises(InvalidRequest, match="64 fields"):
        await add(index, [Document("x", id="a", metadata=metadata)])

    assert await index.num_passages() == 0


@pytest.mark.parametrize("bad", [[1.0] * 7, [float("nan")] * DIMENSIONS, []])
async def test_vectors_of_another_shape_are_refused(index: Index, bad: list[float]) -> None:
    with pytest.raises(EngineError, match="8 finite numbers"):
        await index.search(Query("x", bad))


async def test_an_index_of_another_embedding_model_says_which(index: Index) -> None:
    index.card.check_model("renamed", DIGEST)

    with pytest.raises(InvalidRequest, match="'tiny'") as caught:
        index.card.check_model("other", "sha256:" + "b" * 64)

    assert caught.value.param == "model"


@pytest.mark.parametrize("name", ["", "..", "../a", "a/b", "/etc", ".hidden", "a\0b", "x" * 65])
async def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    indexes = Indexes(tmp_path)

    for tried in (indexes.open(name), indexes.remove(name), indexes.create(card(name))):
        with pytest.raises(InvalidRequest) as caught:
            await tried
        assert caught.value.param == "index"


async def test_a_name_that_is_not_there_is_told_with_names_like_it(tmp_path: Path) -> None:
    indexes = Indexes(tmp_path)
    with pytest.raises(InvalidRequest, match="none yet"):
        await indexes.open("notes")
    await indexes.create(card("notes"))

    for tried in (indexes.open("note"), indexes.remove("note")):
        with pytest.raises(InvalidRequest, match="did you mean 'notes'"):
            await tried


async def test_indexes_are_listed_and_removed(tmp_path: Path) -> None:
    indexes = Indexes(tmp_path)
    assert await indexes.names() == []
    made = [await indexes.create(card(name)) for name in ("b", "a")]

    assert await indexes.names() == ["a", "b"]
    assert (await Indexes(tmp_path).open("b")).card == made[0].card
    with pytest.raises(InvalidRequest, match="there already"):
        await indexes.create(card("a"))
    await indexes.remove("a")

    assert await indexes.names() == ["b"]
    assert os.listdir(tmp_path) == ["b"]


async def test_a_name_used_again_is_another_index(tmp_path: Path) -> None:
    indexes, other = Indexes(tmp_path), Indexes(tmp_path)
    await add(await indexes.create(card()), [document("a")])
    await other.remove("notes")
    await other.create(card())

    assert await (await indexes.open("notes")).documents() == []


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"language": "Klingon"}, "language"),
        ({"characters": 3}, "characters"),
        ({"overlap": 900}, "overlap"),
    ],
)
async def test_an_index_that_cannot_be_is_refused(
    tmp_path: Path, changes: dict[str, Any], param: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await Indexes(tmp_path).create(card(**changes))

    assert caught.value.param == param


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 1}', "[" * 100_000])
async def test_a_damaged_card_says_what_to_do(tmp_path: Path, text: str) -> None:
    write(tmp_path / "notes", text)

    with pytest.raises(EngineError, match="canteen index rm notes"):
        await Indexes(tmp_path).open("notes")


async def test_a_damaged_index_hides_no_other(tmp_path: Path) -> None:
    indexes = Indexes(tmp_path)
    await indexes.create(card("notes"))
    write(tmp_path / "bad", "{")

    assert await indexes.names() == ["bad", "notes"]
    with pytest.raises(InvalidRequest, match="did you mean 'notes'"):
        await indexes.open("note")
    await indexes.remove("bad")
    assert await indexes.names() == ["notes"]


async def test_what_another_process_writes_is_seen_at_once(index: Index, tmp_path: Path) -> None:
    other = await Indexes(tmp_path / "indexes").open("notes")

    await add(index, [document("a", "A zebra.")])

    assert await found(other, "zebra") == ["a"]


async def test_writers_take_turns(index: Index) -> None:
    batches = [[document(f"d{(start + step) % 9}") for step in range(5)] for start in range(8)]

    await asyncio.gather(*(add(index, batch) for batch in batches))

    assert await index.num_passages() == 9


async def test_searches_find_whole_passages_while_documents_change(index: Index) -> None:
    texts = [f"A zebra of version {version}. " * 40 for version in range(12)]
    await add(index, [document("a", texts[0])])

    async def change() -> None:
        for text in texts:
            await add(index, [document("a", text)])
            await index.tidy()

    changing = asyncio.create_task(change())
    while not changing.done():
        hits = await index.search(Query("zebra", vector("zebra"), limit=50))
        assert hits
        assert all(any(hit.text == text[hit.start : hit.end] for text in texts) for hit in hits)

    await changing


async def test_a_writer_that_waits_too_long_is_told_to_come_again(tmp_path: Path) -> None:
    async with writing(tmp_path):
        with pytest.raises(Overloaded):
            async with writing(tmp_path, patience_s=0.05):
                pass


WRITER = """
import asyncio, sys
from pathlib import Path
from canteen.tasks.indexes import Indexes
from tests.tasks.test_indexes import add, document

async def main():
    index = await Indexes(Path(sys.argv[1])).open("notes")
    print("writing", flush=True)
    for number in range(10_000):
        await add(index, [document(f"d{number % 7}", f"Version {number}. " * 300)])
        if number % 5 == 0:
            await index.tidy()

asyncio.run(main())
"""


@pytest.mark.parametrize("after_s", [0.05, 0.4])
async def test_a_killed_writer_leaves_whole_documents_and_the_next_goes_on(
    index: Index, tmp_path: Path, after_s: float
) -> None:
    folder = str(tmp_path / "indexes")
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    writer = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", WRITER, folder), stdout=asyncio.subprocess.PIPE, env=environment
    )
    assert writer.stdout is not None
    await writer.stdout.readline()
    await asyncio.sleep(after_s)

    writer.send_signal(signal.SIGKILL)
    await writer.wait()

    for name, start, text in await contents(index):
        version = text.split(".")[0]
        whole = document(name, f"{version}. " * 300)
        assert whole.text[start : start + len(text)] == text
    documents = [document(f"d{number}", "The end.") for number in range(7)]
    await add(index, documents)
    await index.tidy()
    assert await contents(index) == [(one.id, 0, "The end.") for one in documents]


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["One.", "Two.", "Three. " * 99])),
        max_size=4,
    )
)
def test_an_index_is_what_was_put_last_however_often(
    tmp_path_factory: pytest.TempPathFactory, batches: list[dict[str, str]]
) -> None:
    async def run() -> None:
        index = await Indexes(tmp_path_factory.mktemp("indexes")).create(card(characters=100))
        last: dict[str, str] = {}
        for batch in batches:
            documents = [document(name, text) for name, text in batch.items()]
            await add(index, documents)
            await add(index, documents)
            last |= batch

        held = await contents(index)
        assert {name for name, _, _ in held} == set(last)
        assert all(last[name][start : start + len(text)] == text for name, start, text in held)
        assert len(held) == sum(len(index.passages(document(*one))) for one in last.items())

    asyncio.run(run())


@given(st.lists(st.lists(st.integers(0, 30), unique=True, max_size=12), max_size=3))
def test_fusion_ranks_by_the_sum_of_reciprocal_ranks(rankings: list[list[int]]) -> None:
    result = fused(rankings)

    for key, score in result:
        ranks = [ranking.index(key) + 1 for ranking in rankings if key in ranking]
        assert score == pytest.approx(sum(1 / (60 + rank) for rank in ranks))
    scores = [score for _, score in result]
    assert scores == sorted(scores, reverse=True)
    assert {key for key, _ in result} == {key for ranking in rankings for key in ranking}
    if len(rankings) == 1:
        assert [key for key, _ in result] == rankings[0]


@given(st.text(max_size=500), st.text(max_size=20))
def test_a_snippet_is_a_part_of_the_passage_that_fits(text: str, query: str) -> None:
    start, end = snippet(text, query, 60)

    assert 0 <= start <= end <= len(text)
    assert end - start <= 60


def test_a_snippet_shows_the_words_that_were_asked_for() -> None:
    text = "Nothing here. " * 30 + "The zebra ran to the river. " + "Nothing there. " * 30
    long = "much of it " * 60 + "a zebra ran " + "and so on " * 60

    for one in (text, long):
        start, end = snippet(one, "zebra river")
        assert "zebra" in one[start:end]


def test_the_context_of_a_passage_is_what_its_text_does_not_say() -> None:
    whole = Document("# B\n\nWords.", title="A")
    passage = Passage(whole.text, 0, len(whole.text), ("A", "B", "C"))

    assert context(whole, passage) == "A > C"
    assert embedded(whole, passage) == "A > C\n# B\n\nWords."
