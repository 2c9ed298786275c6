"""The OpenVINO embedder on the real default embedding model."""

import pytest

from canteen.core.errors import ContextTooLong, InvalidRequest
from canteen.core.generation import EmbeddingRequest
from canteen.engines.openvino_embedder import OpenVinoEmbedder

# What sentence-transformers itself gives for this sentence, from the model's public card.
SENTENCE = "This is an example sentence"
FIRST_VALUES = (0.0677, 0.0635, 0.0487, 0.0793, 0.0374, 0.0027)
SENTENCE_TOKENS = (2023, 2003, 2019, 2742, 6251)


def ask(*inputs: str | tuple[int, ...], **options: object) -> EmbeddingRequest:
    return EmbeddingRequest("1", "all-minilm:latest", inputs, **options)  # type: ignore[arg-type]


def dot(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def test_vectors_are_those_of_the_published_model(embedder: OpenVinoEmbedder) -> None:
    found = embedder.embed(ask(SENTENCE))

    assert found.vectors[0][:6] == pytest.approx(FIRST_VALUES, abs=5e-3)
    assert len(found.vectors[0]) == 384
    assert found.usage.prompt_tokens == 7


def test_what_is_alike_is_near(embedder: OpenVinoEmbedder) -> None:
    cat, kitten, tax = embedder.embed(
        ask("A cat sits on the mat.", "The kitten rests on a rug.", "Income tax is due in May.")
    ).vectors

    assert dot(cat, kitten) > 0.5 > 0.2 > dot(cat, tax)


def test_vectors_have_length_1_and_keep_the_order_whatever_the_batches(
    embedder: OpenVinoEmbedder,
) -> None:
    texts = [f"{'word ' * (i * 37 % 150)}number {i}" for i in range(40)]

    together = embedder.embed(ask(*texts)).vectors

    for text, vector in zip(texts, together, strict=True):
        assert dot(vector, vector) == pytest.approx(1, abs=1e-3)
        alone = embedder.embed(ask(text)).vectors[0]
        assert dot(alone, vector) > 0.999


def test_tokens_give_the_vector_of_their_text(embedder: OpenVinoEmbedder) -> None:
    text, bare, marked = embedder.embed(
        ask(SENTENCE, SENTENCE_TOKENS, (101, *SENTENCE_TOKENS, 102))
    ).vectors

    assert bare == pytest.approx(text, abs=2e-3)
    assert marked == pytest.approx(text, abs=2e-3)


@pytest.mark.parametrize("token", [-1, 30_522, 10**12])
def test_tokens_of_another_vocabulary_are_refused(embedder: OpenVinoEmbedder, token: int) -> None:
    with pytest.raises(InvalidRequest, match="0 to 30521") as raised:
        embedder.embed(ask((token,)))

    assert raised.value.param == "input"


def test_fewer_dimensions_are_the_first_ones_at_length_1(embedder: OpenVinoEmbedder) -> None:
    whole = embedder.embed(ask(SENTENCE)).vectors[0]
    short = embedder.embed(ask(SENTENCE, dimensions=32)).vectors[0]

    assert dot(short, short) == pytest.approx(1, abs=1e-5)
    assert dot(short, whole[:32]) == pytest.approx(dot(whole[:32], whole[:32]) ** 0.5, abs=1e-5)


@pytest.mark.parametrize("dimensions", [0, -1, 385])
def test_dimensions_out_of_range_are_refused_with_both_numbers(
    embedder: OpenVinoEmbedder, dimensions: int
) -> None:
    with pytest.raises(InvalidRequest, match=f"384 dimensions, not {dimensions}") as raised:
        embedder.embed(ask(SENTENCE, dimensions=dimensions))

    assert raised.value.param == "dimensions"


def test_a_text_over_the_context_is_refused_with_both_numbers(embedder: OpenVinoEmbedder) -> None:
    with pytest.raises(ContextTooLong) as raised:
        embedder.embed(ask("short", "word " * 300))

    assert (raised.value.prompt_tokens, raised.value.context_length) == (302, 256)


def test_a_text_of_megabytes_is_refused_or_cut_without_reading_it_all(
    embedder: OpenVinoEmbedder,
) -> None:
    text = "word " * 2_000_000

    with pytest.raises(ContextTooLong, match="at least"):
        embedder.embed(ask(text))

    cut = embedder.embed(ask(text, truncate=True))
    assert cut.usage.prompt_tokens == 256
    assert cut.usage.truncated_tokens < 10_000
    assert cut.vectors == embedder.embed(ask("word " * 254)).vectors


def test_truncation_is_asked_for_and_counted(embedder: OpenVinoEmbedder) -> None:
    found = embedder.embed(ask("word " * 300, truncate=True))
    fits = embedder.embed(ask("word " * 254))

    assert found.usage.prompt_tokens == 256
    assert found.usage.truncated_tokens == 46
    assert found.vectors == fits.vectors


def test_no_texts_give_no_vectors(embedder: OpenVinoEmbedder) -> None:
    found = embedder.embed(ask())

    assert found.vectors == ()
    assert found.usage.prompt_tokens == 0


def test_an_empty_text_has_a_vector(embedder: OpenVinoEmbedder) -> None:
    text, tokens = embedder.embed(ask("", ())).vectors

    assert dot(text, text) == pytest.approx(1, abs=1e-3)
    assert tokens == text
