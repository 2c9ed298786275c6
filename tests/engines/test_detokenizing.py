"""Tokens to text: the pieces add up, and none ends within a character."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.engines.detokenizing import REPLACEMENT, SAMPLE, Detokenizer, Vocabulary

BYTES = [bytes([value]) for value in range(256)]
CONTROL = 256


def decode(ids: Sequence[int]) -> str:
    """As a SentencePiece tokenizer does: the first space of a text is dropped."""
    text = b"".join(BYTES[i] for i in ids).decode("utf-8", "replace")
    return text.removeprefix(" ")


def byte_vocabulary() -> Vocabulary:
    return Vocabulary([*BYTES, b"<end>"], [CONTROL], decode)


def other_vocabulary() -> Vocabulary:
    vocabulary = Vocabulary([b"?"] * 257, [CONTROL], decode)
    vocabulary.check(list(SAMPLE.encode()))
    return vocabulary


def pieces(detokenizer: Detokenizer, ids: Sequence[int]) -> list[str]:
    return [*(detokenizer.feed(token_id) for token_id in ids), detokenizer.finish()]


@given(st.text())
def test_byte_pieces_add_up_to_the_text(text: str) -> None:
    found = pieces(byte_vocabulary().detokenizer(), list(text.encode()))

    assert "".join(found) == text


@given(st.binary())
def test_invalid_bytes_become_replacement_characters(data: bytes) -> None:
    found = pieces(byte_vocabulary().detokenizer(), list(data))

    assert "".join(found) == data.decode("utf-8", "replace")


def test_a_character_comes_when_its_last_byte_is_there() -> None:
    found = pieces(byte_vocabulary().detokenizer(), list("a😀b".encode()))

    assert found == ["a", "", "", "", "😀", "b", ""]


def test_control_tokens_have_no_text() -> None:
    found = pieces(byte_vocabulary().detokenizer(), [97, CONTROL, 98])

    assert found == ["a", "", "b", ""]


@pytest.mark.parametrize("text", [SAMPLE, "a  b c", "é" * 5, "x"])
def test_other_vocabularies_are_decoded_in_a_window(text: str) -> None:
    ids = list(text.encode())

    found = pieces(other_vocabulary().detokenizer(), ids)

    assert "".join(found) == decode(ids)
    assert REPLACEMENT not in "".join(found)


def test_an_incomplete_character_is_shown_at_the_end_in_a_window_too() -> None:
    found = pieces(other_vocabulary().detokenizer(), list("aé".encode())[:-1])

    assert "".join(found) == f"a{REPLACEMENT}"
