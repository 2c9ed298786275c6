"""Sorting texts, on the echo engine: what is said last is what it finds likely."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.cli.function import LLM
from canteen.core.errors import CanteenError, ClassifierNotFound, InvalidRequest
from canteen.tasks.classify import Classified, ClassifyRequest, Example

LABELS = ("sports", "politics", "science")


@pytest.fixture
def llm(echo_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LLM]:
    monkeypatch.setenv("CANTEEN_HOME", str(echo_home))
    with LLM("echo") as llm:
        yield llm


def test_the_label_that_is_likeliest_is_told_with_all_probabilities(llm: LLM) -> None:
    result = llm.classify("all about politics", LABELS, method="score")

    assert result.label == "politics"
    assert result.labels == ("politics",)
    assert tuple(result.probabilities) == LABELS
    assert math.fsum(result.probabilities.values()) == pytest.approx(1)
    assert result.probability == result.probabilities["politics"]
    assert result.label_mass is not None


def test_by_meaning_no_mass_of_labels_is_told(llm: LLM) -> None:
    result = llm.classify("This text is about politics.", LABELS)

    assert result.label == "politics"
    assert result.method == "embedding"
    assert result.label_mass is None
    assert math.fsum(result.probabilities.values()) == pytest.approx(1)


def test_a_label_that_is_not_likely_enough_is_none_of_these(llm: LLM) -> None:
    result = llm.classify("about nothing of it", LABELS, threshold=0.5, method="score")

    assert result.label is None
    assert result.labels == ()
    assert result.probability == pytest.approx(1 / 3)


def test_a_text_may_bear_several_labels(llm: LLM) -> None:
    result = llm.classify("yes", LABELS, is_multi=True, debias=False)

    assert set(result.labels) == set(LABELS)
    assert all(0 <= share <= 1 for share in result.probabilities.values())


def test_texts_are_answered_in_order_and_fail_by_themselves(llm: LLM) -> None:
    texts = ["science", "", "sports", "bin\0ary", "politics"]

    results = list(llm.each("classify", texts, labels=LABELS, method="score"))

    told = [one.label if isinstance(one, Classified) else "failed" for one in results]
    assert told == ["science", "failed", "sports", "failed", "politics"]
    assert llm.receipt is not None
    assert llm.receipt.prompt_version == "classify/1"


def test_examples_are_told_to_the_model_as_mappings_too(llm: LLM) -> None:
    examples = [{"text": "a goal", "label": "sports"}]

    result = llm.classify("about science", LABELS, examples=examples)

    assert result.label == "science"
    assert result.method == "score"


@pytest.mark.parametrize(
    ("options", "version"),
    [
        ({"labels": LABELS}, "classify-meaning/1"),
        ({"labels": LABELS, "method": "score"}, "classify/1"),
        ({"labels": LABELS, "is_multi": True}, "classify-each/1"),
    ],
)
def test_the_receipt_names_the_prompt_that_was_asked_with(
    llm: LLM, options: dict[str, Any], version: str
) -> None:
    list(llm.each("classify", ["science"], **options))

    assert llm.receipt is not None
    assert llm.receipt.prompt_version == version


@pytest.mark.parametrize(
    ("options", "param", "said"),
    [
        ({"labels": ()}, "labels", "from 2 to 256, not 0"),
        ({"labels": ("one",)}, "labels", "from 2 to 256, not 1"),
        ({"labels": ("a", "b", "a")}, "labels", "'a' stands there twice"),
        ({"labels": tuple(map(str, range(300)))}, "labels", "not 300"),
        ({"labels": ("a", " ")}, "labels", "empty"),
        ({"labels": LABELS, "descriptions": {"art": "x"}}, "descriptions", "'art'"),
        ({"labels": LABELS, "threshold": 1.5}, "threshold", "from 0 to 1"),
        ({"labels": LABELS, "threshold": math.nan}, "threshold", "from 0 to 1"),
        ({"labels": LABELS, "examples": (Example("t", "art"),)}, "examples.0.label", "'art'"),
        ({"labels": LABELS, "classifier": "mine"}, "classifier", "labels and a method of its own"),
        ({"labels": LABELS, "examples": ({"text": "t"},)}, "examples", "a text and a label"),
        ({"labels": LABELS, "examples": (Example("t", LABELS[0]),) * 65}, "examples", "64"),
        ({"classifier": "mine", "debias": False}, "classifier", "of its own"),
        ({"labels": LABELS, "method": "guess"}, "method", "embedding, score"),
        ({"labels": LABELS, "method": "embedding", "is_multi": True}, "method", "need the method"),
    ],
)
def test_what_cannot_be_sorted_is_refused_and_the_field_named(
    options: dict[str, Any], param: str, said: str
) -> None:
    with pytest.raises(InvalidRequest, match=said) as refused:
        ClassifyRequest("text", **options)

    assert refused.value.param == param


def test_a_text_longer_than_the_context_is_refused(llm: LLM) -> None:
    with pytest.raises(InvalidRequest, match="context"):
        llm.classify("word " * 9000, LABELS, method="score")


def test_a_classifier_that_was_never_fitted_is_not_found(llm: LLM) -> None:
    with pytest.raises(ClassifierNotFound, match="'mine' not found"):
        llm.classify("text", classifier="mine")


def examples(count: int = 30) -> list[dict[str, str]]:
    return [
        {"text": f"text {number} about {LABELS[number % 3]}", "label": LABELS[number % 3]}
        for number in range(count)
    ]


def test_a_calibrated_classifier_is_kept_by_name_and_asked_by_name(llm: LLM) -> None:
    made = llm.fit("topics", examples())

    result = llm.classify("news about science", classifier="topics")

    assert made.labels == LABELS
    assert made.report["num_examples"] == 30
    assert made.report["accuracy_after"]["central"] == 1
    assert made.report["ece_after"]["central"] < made.report["ece_before"]["central"]
    assert result.label == "science"
    assert result.method == "score"


def test_a_classifier_of_another_prompt_is_refused(llm: LLM) -> None:
    made = llm.fit("topics", examples())
    llm._services.classifiers.put(replace(made, prompt_version="classify/0"))

    with pytest.raises(InvalidRequest, match="prompt has changed"):
        llm.classify("news", classifier="topics")


def test_an_empty_example_is_named(llm: LLM) -> None:
    with pytest.raises(InvalidRequest, match="empty") as refused:
        llm.fit("topics", [*examples(), {"text": " ", "label": "sports"}], method="head")

    assert refused.value.param == "examples.30.text"


def test_a_classifier_of_another_model_is_refused(llm: LLM) -> None:
    llm.fit("topics", examples())
    llm._services.catalog.copy("echo", "other")
    llm.model = "other"

    with pytest.raises(InvalidRequest, match="fitted to 'echo'"):
        llm.classify("news", classifier="topics")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": (*LABELS, "art")}, "'art' has no example"),
        ({"labels": LABELS[:2]}, "'science' is none of the labels"),
        ({"method": "guess"}, "score, head"),
    ],
)
def test_examples_that_do_not_fit_their_labels_are_refused(
    llm: LLM, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(CanteenError, match=said):
        llm.fit("topics", examples(), **change)


@given(st.lists(st.sampled_from(["a b", "c d", "e"]), min_size=2, max_size=3, unique=True))
def test_labels_that_differ_are_taken(labels: list[str]) -> None:
    assert ClassifyRequest("text", labels=tuple(labels)).labels == tuple(labels)
