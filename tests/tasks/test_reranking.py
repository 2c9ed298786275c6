"""Texts are ranked by the cosine of their embeddings, or by how likely a model says yes."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.core.errors import InvalidRequest
from canteen.core.generation import EmbeddingRequest, Embeddings, ScoreRequest, Scores, Usage
from canteen.tasks.reranking import MOST_DOCUMENTS, TEXTS_AT_ONCE, rerank
from tests.tasks.speaking import Speaking, model_of

TEXTS = ["bread and butter", "a zebra ran", "a zebra"]


class Judging(Speaking):
    """Says yes to what has a zebra."""

    async def score(self, request: ScoreRequest) -> Scores:
        yes = ["zebra" in one.messages[-1].content.split("Passage")[1] for one in request.prompts]
        rows = tuple((math.log(0.6), math.log(0.2)) if one else (-3.0, -1.0) for one in yes)
        return Scores(rows, Usage(prompt_tokens=len(yes)))


class Counting(Speaking):
    """Keeps how many texts it was asked for at once."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        self.sizes.append(len(request.inputs))
        return await super().embed(request)


async def test_many_texts_are_embedded_some_at_a_time() -> None:
    models = Counting()
    texts = ["bread"] * (2 * TEXTS_AT_ONCE) + ["a zebra"]

    ranked = await rerank(model_of(models), "a zebra", texts, method="embedding")

    assert models.sizes == [TEXTS_AT_ONCE, TEXTS_AT_ONCE, 2]
    assert ranked[0].index == len(texts) - 1
    assert len(ranked) == len(texts)


async def test_embeddings_rank_by_their_cosine_from_0_to_1() -> None:
    ranked = await rerank(model_of(Speaking()), "a zebra", TEXTS, method="embedding")

    assert [one.index for one in ranked] == [2, 1, 0]
    assert ranked[0].relevance == pytest.approx(1.0)


async def test_a_language_model_ranks_by_its_probability_of_yes() -> None:
    model = model_of(Judging())

    ranked = await rerank(model, "which animal", TEXTS * 20, method="language_model")

    assert [one.index for one in ranked][:3] == [1, 2, 4]
    assert ranked[0].relevance == pytest.approx(0.75)
    assert model.usage.prompt_tokens == 60


@pytest.mark.parametrize(
    ("query", "texts", "param"),
    [
        (" ", TEXTS, "query"),
        ("a\0", TEXTS, "query"),
        ("a", [], "documents"),
        ("a", ["b"] * (MOST_DOCUMENTS + 1), "documents"),
        ("a", ["b", " "], "documents.1"),
    ],
)
async def test_what_cannot_be_ranked_is_refused(query: str, texts: list[str], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await rerank(model_of(Speaking()), query, texts, method="embedding")

    assert refused.value.param == param


@given(st.lists(st.sampled_from(["a", "a b", "c d", "b"]), min_size=1, max_size=8))
async def test_every_text_is_ranked_once_and_equal_ones_keep_their_order(texts: list[str]) -> None:
    ranked = await rerank(model_of(Speaking()), "a b", texts, method="embedding")

    assert sorted(one.index for one in ranked) == list(range(len(texts)))
    keys = [(-one.relevance, one.index) for one in ranked]
    assert keys == sorted(keys)
    assert all(0 <= one.relevance <= 1 for one in ranked)
