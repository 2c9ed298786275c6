"""What looks through a text takes time for its length, not for the square of it."""

import gc
import time
from collections.abc import Callable

import pytest

from canteen.tasks.documents import Document, read
from canteen.tasks.facts import Source, stems
from canteen.tasks.grounding import Source as Places
from canteen.tasks.names import names
from canteen.tasks.passages import passages
from canteen.tasks.preserving import lost
from canteen.tasks.rewording import cleaned
from canteen.tasks.sentences import sentences
from canteen.tasks.sieve import Sieve
from canteen.tasks.typed_fields import FINDERS, fields
from canteen.tasks.units import units
from canteen.tasks.words import Change, diff

LENGTH = 8_000
# Twice the text takes twice the time; what takes less than this is not slow, and not measured.
MOST_RATIO = 3.0
LEAST_S = 0.1
ROWS = (
    *("1", "1 ", "111 ", "111'", "1,111 ", "1.", "1.1.1.1.", "1-1-", "0:", "00 ", "+1 ", "(1) "),
    *("a", "a ", "a. ", "a@", "a.", "a-", "a_", "a'", "A ", "A.", "A B. ", "Aa ", "The ", "The A "),
    *("(", "{", "{1} ", "`", "``a`", "`1` 2 ", "{%", "{% ", "<!--", "<", "<a ", "%(", "%", "$a"),
    *('"', '"a" ', "\u201c", "\u201e", "«", "[", "[a](", "[](", "\n", "\n ", " ", "# a\n", "- "),
    *(
        "www.",
        "http://",
        "$1 ",
        "USD 1 ",
        "1 jan ",
        "PO-1-1-1-",
        "order no ",
        "DE11 1111 ",
        "4111 ",
    ),
    *("東", "東。", "é", "e\u0301", "\u0301", "ﬁ", "\u00a0", "hundred ", "!", "! ", "...", ".)"),
)
# Only after something else do these go on for long.
ROWS_AFTER = ("%(x)", "%", "a@a", "title: a", "$1", "{%", "<!--", "`", "\n")


def _fields(text: str) -> object:
    return fields(text, FINDERS)


def _facts(text: str) -> object:
    return Source(text).lacks(text), stems(text)


def _parts(text: str) -> object:
    return sentences(text), passages(Document(text)), list(units(text))


def _lost(text: str) -> object:
    return lost(text, text), lost(text, "x")


def _cleaned(text: str) -> object:
    return cleaned(f"a{text}b", "c")


def _marked(text: str) -> object:
    return read(f"---\ntitle: a{text}b\n---\n# b{text}b".encode(), name="x.md")


def _hypertext(text: str) -> object:
    return read(f"<p>b {text}".encode(), name="x.html")


def _names(text: str) -> object:
    return list(names(text))


def _seconds(work: Callable[[str], object], text: str) -> float:
    # To collect what others left takes time for all there is.
    gc.disable()
    try:
        started_s = time.process_time()
        work(text)
        return time.process_time() - started_s
    finally:
        gc.enable()


# It is timed, so it is left to a machine that has nothing else to do.
@pytest.mark.slow
@pytest.mark.parametrize(
    "work", [_fields, _names, _facts, _parts, _lost, _cleaned, _marked, _hypertext]
)
def test_twice_the_text_takes_no_more_than_about_twice_the_time(
    work: Callable[[str], object],
) -> None:
    slow = []
    rows = [("", row) for row in ROWS] + [(before, row) for before in ROWS_AFTER for row in "0 a"]
    for before, row in rows:
        twice_s = _seconds(work, before + row * (2 * LENGTH // len(row)))
        once_s = twice_s
        if twice_s > LEAST_S:
            once_s = _seconds(work, before + row * (LENGTH // len(row)))
        if twice_s > MOST_RATIO * once_s:
            slow.append((before, row, once_s, twice_s))

    assert not slow


def test_no_mark_of_a_character_is_a_quote_by_itself() -> None:
    source = Places("a" + "\u0301" * LENGTH)

    assert source.places("\u0301") == []


def test_a_sentence_without_end_is_none() -> None:
    sieve = Sieve(Source("Ann sings well."), 3)

    for _ in range(LENGTH):
        sieve.hear(" zeta,")
    sieve.hear(". Ann sings well.")
    sieve.close(is_whole=True)

    assert "no sentence" in sieve.faults
    assert sieve.kept == ["Ann sings well."]


def test_texts_that_are_too_long_to_compare_are_one_change() -> None:
    before, after = "a b " * 50_000, "b c " * 50_000

    assert diff(before, after) == [Change("replace", before, after)]
    assert diff(before, before) == [Change("equal", before, before)]


def test_many_numbers_said_in_words_are_no_number_that_cannot_be() -> None:
    assert Source("hundred " * 1_000).lacks("It is 5.") == ["5"]
