"""Stop strings, whatever the pieces the text comes in."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from canteen.engines.stopping import StopStrings

LETTERS = st.text("ab\n", max_size=12)


def shown(pieces: list[str], stops: list[str]) -> tuple[str, bool]:
    watch = StopStrings(stops)
    text = "".join(watch.feed(piece) for piece in pieces)
    return text + ("" if watch.is_hit else watch.finish()), watch.is_hit


def cut_at(text: str, cuts: list[int]) -> list[str]:
    edges = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[a:b] for a, b in pairwise(edges)]


def test_a_stop_string_over_three_pieces_is_found_and_not_shown() -> None:
    assert shown(["one", " two ", "three"], ["e two t"]) == ("on", True)


def test_what_may_become_a_stop_string_is_held_back_until_it_does_not() -> None:
    watch = StopStrings(["<end>"])

    assert watch.feed("text <en") == "text "
    assert watch.feed("try") == "<entry"


def test_the_end_of_the_text_releases_what_was_held_back() -> None:
    assert shown(["text <en"], ["<end>"]) == ("text <en", False)


def test_nothing_is_shown_after_a_hit() -> None:
    assert shown(["a stop b", " more"], ["stop"]) == ("a ", True)


def test_empty_stop_strings_never_stop() -> None:
    assert shown(["text"], [""]) == ("text", False)


@given(text=LETTERS, stops=st.lists(LETTERS, max_size=3), cuts=st.lists(st.integers(0, 20)))
def test_how_the_text_is_cut_makes_no_difference(
    text: str, stops: list[str], cuts: list[int]
) -> None:
    assert shown(cut_at(text, cuts), stops) == shown(list(text), stops)


@given(text=LETTERS, stops=st.lists(LETTERS, max_size=3))
def test_what_is_shown_has_no_stop_string(text: str, stops: list[str]) -> None:
    result, is_hit = shown(list(text), stops)

    assert text.startswith(result)
    assert not any(stop and stop in result for stop in stops)
    assert is_hit or result == text
