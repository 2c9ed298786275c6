"""Summaries and corrections."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.lifecycle.evaluate import corrections, summaries
from canteen.lifecycle.evaluate.examples import Corrected, Summarized

WORDS = ("the", "a", "cat", "cats", "sat", "sit", "on", "mat", ",", ".")
texts = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)


def test_rouge_l_counts_the_longest_common_subsequence() -> None:
    """The example of the paper: police the gunman / police killed the gunman."""
    assert summaries.rouge_l("police kill the gunman", "police killed the gunman") == 0.75
    assert summaries.rouge_l("the gunman kill police", "police killed the gunman") == 0.5


@given(texts, texts)
def test_rouge_l_is_a_share_and_the_same_both_ways(one: str, other: str) -> None:
    found = summaries.rouge_l(one, other)

    assert 0 <= found <= 1
    assert found == summaries.rouge_l(other, one)
    assert summaries.rouge_l(one, one) == 1


def facts(source: str, summary: str) -> dict[str, float]:
    record = summaries.record(Summarized("1", source, "reference"), summary)
    return {one.name: one.total for one in summaries.metrics([record], ())}


def test_names_and_numbers_that_the_source_lacks_are_not_faithful() -> None:
    source = "In 1843 Ada Lovelace wrote notes on a machine."

    found = facts(source, "Notes by Ada Lovelace of 1843, sent to Babbage in 1844.")

    assert found["faithful_facts"] == pytest.approx(3 / 5)


def test_a_piece_of_the_source_is_faithful_and_so_is_saying_nothing() -> None:
    source = "The King lived in Ulm. He had 3 sons, and the youngest was called Simpleton."

    for summary in (source, source.partition(".")[0], ""):
        found = facts(source, summary)
        assert found["faithful_facts"] == found["faithful_words"] == 1


def test_content_words_that_the_source_lacks_are_counted() -> None:
    assert facts("A cat sat.", "The cat slept.")["faithful_words"] == 0.5


def applied(source: Sequence[str], found: Sequence[corrections.Edit]) -> list[str]:
    made = list(source)
    for start, end, words in reversed(found):
        made[start:end] = words
    return made


@given(texts, texts)
def test_edits_make_the_target_of_the_source(source: str, target: str) -> None:
    found = corrections.edits(source, target)

    assert applied(corrections.tokens(source), found) == corrections.tokens(target)


@given(texts, texts)
def test_edits_do_not_touch(source: str, target: str) -> None:
    found = corrections.edits(source, target)

    assert all(one[1] < other[0] for one, other in pairwise(found))


def values(source: str, target: str, said: str) -> dict[str, float]:
    record = corrections.record(Corrected("1", source, target), said)
    return {one.name: one.total for one in corrections.metrics([record], ())}


def test_a_correction_is_judged_by_its_edits() -> None:
    source, target = "He go to an park .", "He goes to a park ."

    assert values(source, target, target)["f0.5"] == 1
    assert values(source, target, source) == {
        "f0.5": 0,
        "precision": 1,
        "recall": 0,
        "exact_match": 0,
    }
    half = values(source, target, "He goes to an garden .")
    assert (half["precision"], half["recall"]) == (0.5, 0.5)


def test_a_wrong_correction_weighs_more_than_a_missed_one() -> None:
    source, target = "a b c d", "a x c y"

    missed = values(source, target, "a x c d")
    wrong = values(source, target, "z x c y")

    assert missed["recall"] < 1
    assert wrong["precision"] < 1
    assert values(source, source, "z b c d")["f0.5"] == 0
    assert values(source, source, source)["f0.5"] == 1
