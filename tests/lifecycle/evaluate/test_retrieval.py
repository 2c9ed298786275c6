"""Rankings and similarities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import ndcg_score

from canteen.lifecycle.evaluate import retrieval
from canteen.lifecycle.evaluate.examples import Query
from canteen.lifecycle.evaluate.similarity import spearman

DOCUMENTS = tuple(f"d{place}" for place in range(20))


@given(st.permutations(DOCUMENTS), st.lists(st.integers(0, 3), min_size=20, max_size=20))
def test_ndcg_is_scikit_learn_s(ranked: list[str], gains: list[int]) -> None:
    relevant = dict(zip(DOCUMENTS, map(float, gains), strict=True))

    found = retrieval.record(Query("1", "q", relevant), ranked)

    scores = [20 - ranked.index(name) for name in DOCUMENTS]
    expected = ndcg_score([gains], [scores], k=10) if any(gains) else 0.0
    assert found.ndcg_at_10 == pytest.approx(expected)


def test_recall_and_reciprocal_rank_are_of_the_first_places() -> None:
    query = Query("1", "q", {"a": 1.0, "b": 1.0, "not": 0.0})

    found = retrieval.record(query, ("x", "a", "a", "y"))

    assert found.recalls == (0.0, 0.5, 0.5)
    assert found.reciprocal_rank == 0.5


def test_a_document_that_comes_twice_counts_once() -> None:
    once = retrieval.record(Query("1", "q", {"a": 1.0}), ("a", "b"))
    twice = retrieval.record(Query("1", "q", {"a": 1.0}), ("a", "a", "b"))

    assert once == twice
    assert once.ndcg_at_10 == 1


def test_finding_nothing_is_worth_nothing() -> None:
    found = retrieval.record(Query("1", "q", {"a": 1.0}), ())

    assert {one.total for one in retrieval.metrics([found], ())} == {0.0}


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3))
def test_rank_correlation_is_scipy_s(pairs: list[tuple[int, int]]) -> None:
    one, other = ([float(value) for value in column] for column in zip(*pairs, strict=True))

    found = spearman("s", one, other).total

    is_constant = len(set(one)) == 1 or len(set(other)) == 1
    expected = 0.0 if is_constant else float(spearmanr(one, other).statistic)
    assert found == pytest.approx(expected, abs=1e-9)
    assert np.isfinite(found)
