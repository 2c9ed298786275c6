"""Grounding: a quote's places are exact, cut no word and no character as people see it."""

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.tasks.grounding import Source

TEXTS = st.text(
    st.sampled_from("aAbß \n.é\u0301e\u200d👩🏽東京'\u2019") | st.characters(codec="utf-8")
)


@pytest.mark.parametrize(
    ("text", "quote", "found"),
    [
        ("Anna met Anna", "Anna", ["Anna", "Anna"]),
        ("ACME   Corp\u2019s shop", "acme corp's", ["ACME   Corp\u2019s"]),
        ("in cafe\u0301s", "cafés", ["cafe\u0301s"]),
        ("Straße 12", "STRASSE 12", ["Straße 12"]),
        ("東京タワー", "東京", ["東京"]),
        ("a party", "art", []),
        ("cafe\u0301", "cafe", []),
        ("👩‍👩‍👧", "👩", []),
        ("👩🏽 here", "👩", []),
        ("anything", "  ", []),
        ("ß", "s", []),
    ],
)
def test_a_quote_is_found_as_the_text_has_it(text: str, quote: str, found: list[str]) -> None:
    places = Source(text).places(quote)

    assert [text[place.start : place.end] for place in places] == found


def test_places_in_a_part_are_places_of_the_text() -> None:
    (place,) = Source("Anna met Anna", 4).places("Anna")

    assert place == (9, 13)


def test_a_part_that_cuts_a_word_does_not_make_it_another() -> None:
    assert Source("Annabel", 0, 4).places("Anna") == []


@given(text=TEXTS, quote=TEXTS)
def test_places_are_in_order_and_spell_the_quote(text: str, quote: str) -> None:
    places = Source(text).places(quote)

    assert all(one.end <= other.start for one, other in pairwise(places))
    assert all(spelt(text[place.start : place.end]) == spelt(quote) for place in places)


def spelt(text: str) -> str:
    plain = text.translate(
        str.maketrans("\u2018\u2019\u201c\u201d\u2010\u2011\u2013\u2014", "''\"\"----")
    )
    return " ".join(unicodedata.normalize("NFKC", plain).casefold().split())


@given(text=st.text("aAbß \n.é東京'"))
def test_what_stands_between_blanks_is_found(text: str) -> None:
    words = text.split()

    assert all(Source(text).places(word) for word in words)
