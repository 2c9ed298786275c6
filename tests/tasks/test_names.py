"""What may be a name: runs of capitals, without the words that are capitals by their place."""

import pytest

from canteen.tasks.names import has_capitals, names


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


@pytest.mark.parametrize(("text", "has"), [("Anna", True), ("anna", False), ("東京", False)])
def test_capitals_stand_out_or_not(text: str, has: bool) -> None:
    assert has_capitals(text) is has
