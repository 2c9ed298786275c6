"""What every embedder must do, whatever runs inside it."""

import math

import pytest

from canteen.core.engine import BatchEmbedder
from canteen.core.errors import InvalidRequest
from canteen.core.generation import EmbeddingRequest

TEXTS = ("the cat sat on the mat", "a cat is sitting on a mat", "interest rates rose again", "")


def vectors_of(
    embedder: BatchEmbedder, *inputs: str | tuple[int, ...], dimensions: int | None = None
) -> tuple[tuple[float, ...], ...]:
    return embedder.embed(EmbeddingRequest("r", "any", inputs, dimensions)).vectors


def cosine(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def test_there_is_a_unit_vector_for_every_text(embedder: BatchEmbedder) -> None:
    vectors = vectors_of(embedder, *TEXTS)

    assert len(vectors) == len(TEXTS)
    assert len({len(vector) for vector in vectors}) == 1
    for vector in vectors:
        assert math.hypot(*vector) == pytest.approx(1, abs=1e-4)


def test_the_order_of_the_texts_is_kept_whatever_their_company(embedder: BatchEmbedder) -> None:
    alone = [vectors_of(embedder, text)[0] for text in TEXTS]

    for one, together in zip(alone, vectors_of(embedder, *TEXTS), strict=True):
        assert cosine(one, together) > 0.995


def test_texts_that_are_alike_are_near(embedder: BatchEmbedder) -> None:
    cat, other_cat, rates, _ = vectors_of(embedder, *TEXTS)

    assert cosine(cat, other_cat) > cosine(cat, rates)


def test_tokens_are_counted(embedder: BatchEmbedder) -> None:
    one = embedder.embed(EmbeddingRequest("r", "any", ("the cat",)))
    two = embedder.embed(EmbeddingRequest("r", "any", ("the cat", "the cat")))

    assert two.usage.prompt_tokens == 2 * one.usage.prompt_tokens > 0


def test_fewer_dimensions_are_again_a_unit_vector(embedder: BatchEmbedder) -> None:
    (vector,) = vectors_of(embedder, TEXTS[0], dimensions=16)

    assert len(vector) == 16
    assert math.hypot(*vector) == pytest.approx(1, abs=1e-4)


def test_more_dimensions_than_there_are_is_refused_by_name(embedder: BatchEmbedder) -> None:
    with pytest.raises(InvalidRequest) as caught:
        vectors_of(embedder, TEXTS[0], dimensions=100_000)

    assert caught.value.param == "dimensions"


def test_token_ids_are_a_text(embedder: BatchEmbedder) -> None:
    (vector,) = vectors_of(embedder, (100, 101, 102))

    assert math.hypot(*vector) == pytest.approx(1, abs=1e-4)


def test_a_text_beyond_the_context_is_cut_on_request_and_never_breaks(
    embedder: BatchEmbedder,
) -> None:
    request = EmbeddingRequest("r", "any", ("word " * 20_000,), truncate=True)

    (vector,) = embedder.embed(request).vectors

    assert math.hypot(*vector) == pytest.approx(1, abs=1e-4)
