"""Passages and sentences are slices of their text, and leave no word out."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.core.errors import InvalidRequest
from canteen.tasks.documents import Document, read
from canteen.tasks.passages import passages
from canteen.tasks.sentences import sentences

PIECES = st.lists(
    st.sampled_from(["A word. ", "Another one! ", "\n", "\n\n", "# Head\n", "x" * 70, " ", "ö"])
    | st.text(max_size=20),
    max_size=40,
)


def split(text: str) -> list[str]:
    return [text[span.start : span.end] for span in sentences(text)]


@pytest.mark.parametrize(
    "parts",
    [
        ["Dr. Smith met Mrs. Jones at 3.5 p.m. on Jan. 5th.", '"Really?" she asked.'],
        ["The U.S. Army won.", "He lives in the U.S.", "She does too."],
        ["J. K. Rowling wrote it.", "It is me.", "So am I.", "See fig. 3 of vol. 2."],
        ["Is it so?", "Yes... it is!", "Version 1.2.3 of example.com is out.", "Done."],
        ["1. First item.", "2. Second item.", "- a bullet", "- another"],
        ["# A heading", "A line\nthat goes on.", "The end"],
        ["Er kam z.B. am Montag.", "Dann ging er."],
        ["日本語です。", "次の文。", "「はい。」", "終"],
        ["यह एक है।", "यह दो है।"],
    ],
)
def test_sentences_end_where_a_reader_ends_them(parts: list[str]) -> None:
    joiner = "\n" if parts[0].startswith(("1", "#")) else " "

    assert split(joiner.join(parts)) == parts


def test_an_unmatched_quotation_mark_does_not_swallow_sentences() -> None:
    assert len(split('An " inch. Two. Three. ' * 50)) == 150


@given(PIECES)
def test_sentences_are_in_order_and_hold_every_word(pieces: list[str]) -> None:
    text = "".join(pieces)
    spans = sentences(text)

    assert all(one.end <= other.start for one, other in pairwise(spans))
    assert holds_every_word(text, spans)
    assert all(text[span.start : span.end].strip() for span in spans)


def holds_every_word(text: str, spans: Sequence[tuple[int, int]]) -> bool:
    """Whether every character that is not blank is inside a span."""
    inside: set[int] = set()
    for start, end in spans:
        inside.update(range(start, end))
    return all(at in inside for at, character in enumerate(text) if not character.isspace())


@pytest.mark.parametrize("piece", ["A sentence here. ", ".", ". ", "\n ", "1. ", "。", "("])
def test_sentences_of_a_text_made_to_be_slow_are_in_order(piece: str) -> None:
    spans = sentences(piece * (600_000 // len(piece)))

    assert spans == sorted(spans)


@given(PIECES, st.integers(50, 120), st.integers(0, 25))
def test_passages_are_slices_in_order_that_hold_every_word(
    pieces: list[str], characters: int, overlap: int
) -> None:
    text = "".join(pieces)
    try:
        document = read(text.encode(), name="a.md")
    except InvalidRequest:
        return

    found = passages(document, characters=characters, overlap=overlap)

    assert all(document.text[one.start : one.end] == one.text for one in found)
    assert all(0 < len(one.text) <= characters for one in found)
    assert [one.start for one in found] == sorted({one.start for one in found})
    assert [one.end for one in found] == sorted({one.end for one in found})
    assert holds_every_word(document.text, [(one.start, one.end) for one in found])


def test_a_passage_knows_the_headings_it_stands_under() -> None:
    body = "Words of it. " * 20
    document = read(f"# A\n\n## B\n\n{body}\n\n## C\n\n{body}".encode(), name="a.md")

    found = passages(document, characters=300)

    assert [one.headings for one in found] == [("A", "B"), ("A", "C")]
    assert found[0].text.startswith("# A")


def test_short_sections_go_together_under_what_they_share() -> None:
    document = read(b"# A\n\n## B\nTiny.\n\n## C\nSmall.", name="a.md")

    (one,) = passages(document)

    assert one.headings == ("A",)


def test_passages_overlap_by_whole_sentences() -> None:
    text = " ".join(f"Sentence number {number} is here." for number in range(100))

    found = passages(Document(text), characters=200, overlap=60)

    for one, other in pairwise(found):
        assert 0 < one.end - other.start <= 60
        assert other.text.startswith("Sentence")


@pytest.mark.parametrize(
    ("characters", "overlap", "param"),
    [(10, 0, "characters"), (10**9, 0, "characters"), (100, 51, "overlap"), (100, -1, "overlap")],
)
def test_impossible_sizes_are_refused(characters: int, overlap: int, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        passages(Document("x"), characters=characters, overlap=overlap)

    assert caught.value.param == param
