"""What a rewriting must keep, and whether it is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.tasks.preserving import KINDS, Kind, found, lost

PLACEHOLDERS = [
    *("{name}", "{}", "{0}", "{x:>10.2f}", "{{ user.name }}", "{% if x %}", "${x}", "${env.HOME}"),
    *("%s", "%d", "%5.2f", "%(count)s", "%1$s", "%PATH%", "$HOME", "<b>", "</b>", "<br/>"),
    *('<a href="x.html">', "<!-- note -->"),
]
FILLERS = ["Dear", "we sent", "for 100 % of", "it costs 5% more,", "if a < b then", "$5", "\n\n"]


def texts(text: str, kind: Kind) -> list[str]:
    return [one.text for one in found(text, (kind,))]


@given(st.lists(st.sampled_from(PLACEHOLDERS) | st.sampled_from(FILLERS), max_size=8))
def test_all_placeholders_are_found_and_nothing_else(parts: list[str]) -> None:
    text = " ".join(parts)

    assert texts(text, "placeholders") == [one for one in parts if one in PLACEHOLDERS]


@given(st.text(st.sampled_from("ab A.{}$%s<>\"'`1,5\n"), max_size=40) | st.text(max_size=40))
def test_what_is_found_is_in_the_text_and_nothing_is_lost_from_itself(text: str) -> None:
    assert all(text[one.start : one.end] == one.text for one in found(text))
    assert lost(text, text) == []


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("names", "Mayor Helen Ortiz said so. Then she left.", ["Helen Ortiz"]),
        ("names", "Then Ortiz spoke. Ortiz's voice was low.", ["Ortiz", "Ortiz"]),
        ("names", "The USA and I agree. NASA too. We do.", ["USA", "NASA"]),
        ("names", "On Monday, Jean-Luc met Ann, Bob and O'Neill.", None),
        ("numbers", "22,000 cars in 1931, at 9:30, for 1.5 each {0}.", None),
        ("quotes", 'He said "so be it" and “fine”, «bon».', ["so be it", "fine", "bon"]),
        ("code", "Run `make x` or:\n```sh\nls {a}\n```\nend", ["`make x`", "```sh\nls {a}\n```"]),
        ("code", "See https://x.org/a?b=1. Mail a.b@x.org!", None),
    ],
)
def test_kinds(kind: Kind, text: str, expected: list[str] | None) -> None:
    others = {
        "names": ["Monday", "Jean-Luc", "Ann", "Bob", "O'Neill"],
        "numbers": ["22,000", "1931", "9:30", "1.5"],
        "code": ["https://x.org/a?b=1", "a.b@x.org"],
    }

    assert texts(text, kind) == (expected or others[kind])


def test_a_placeholder_that_comes_twice_must_come_twice() -> None:
    missing = lost("{a} and {a} of Ann", "{a} of Ann", KINDS)

    assert [(one.kind, one.text, one.start) for one in missing] == [("placeholders", "{a}", 8)]


def test_a_name_or_a_number_that_comes_twice_may_come_once() -> None:
    assert lost("It was Ann, and Ann had 22,000.", "It was Ann with 22000.", KINDS) == []


def test_what_is_lost_is_named_in_order() -> None:
    missing = lost('Tell Ann "yes" 5 times, `x` {y}.', "Tell her.", KINDS)

    assert [one.text for one in missing] == ["Ann", "yes", "5", "`x`", "{y}"]


def test_only_the_kinds_that_are_asked_for_are_looked_at() -> None:
    kinds: tuple[Kind, ...] = ("numbers",)

    assert [one.text for one in lost("Ask Ann {x} 5", "", kinds)] == ["5"]
