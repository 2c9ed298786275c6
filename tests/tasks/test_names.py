"""What may be a name: runs of capitals, without the words that are capitals by their place."""

import pytest

from canteen.tasks.names import is_cased, names


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("The Anna Schmidt of today", ["Anna Schmidt"]),
        ("I met Ludwig van Beethoven in Bonn.", ["Ludwig van Beethoven", "Bonn"]),
        ("The Bank of England and the rest", ["Bank of England"]),
        ("Johnson & Johnson, AT&T", ["Johnson & Johnson", "AT&T"]),
        ("J. K. Rowling's book", ["J. K. Rowling's"]),
        ("Élodie et Σωκράτης", ["Élodie", "Σωκράτης"]),
        ("met Jose\u0301 here", ["Jose\u0301"]),
        ("nothing here", []),
        ("ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT NINE", []),
        ("Anna\nBob", ["Anna", "Bob"]),
    ],
)
def test_names_are_runs_of_capitals(text: str, wanted: list[str]) -> None:
    assert [text[span.start : span.end] for span in names(text)] == wanted


@pytest.mark.parametrize(
    ("text", "is_so"),
    [("Anna", True), ("anna", True), ("東京 tower", True), ("東京タワー T", False)],
)
def test_letters_have_two_cases_or_not(text: str, is_so: bool) -> None:
    assert is_cased(text) is is_so
