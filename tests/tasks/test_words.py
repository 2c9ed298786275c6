"""The difference of two texts, word by word."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from canteen.tasks.words import Change, changed, diff, joined

TEXTS = st.text(st.sampled_from("ab cd.,'\n-é東"), max_size=40) | st.text(max_size=30)


@given(TEXTS, TEXTS)
def test_a_diff_has_all_of_both_texts_and_nothing_else(before: str, after: str) -> None:
    changes = diff(before, after)

    assert "".join(one.before for one in changes) == before
    assert "".join(one.after for one in changes) == after


@given(TEXTS, TEXTS)
def test_every_change_is_what_it_says(before: str, after: str) -> None:
    changes = diff(before, after)

    for one in changes:
        assert (one.op == "equal") == (one.before == one.after)
        assert (one.op == "insert") == (not one.before)
        assert (one.op == "delete") == (not one.after)
    assert all((a.op == "equal") != (b.op == "equal") for a, b in pairwise(changes))


@given(TEXTS)
def test_a_text_does_not_differ_from_itself(text: str) -> None:
    assert diff(text, text) == ([Change("equal", text, text)] if text else [])
    assert changed(text, text) == 0


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=4))
def test_diffs_of_parts_are_joined_to_that_of_the_whole(parts: list[tuple[str, str]]) -> None:
    changes = joined(one for part in parts for one in diff(*part))

    assert "".join(one.before for one in changes) == "".join(before for before, _ in parts)
    assert "".join(one.after for one in changes) == "".join(after for _, after in parts)


def test_words_are_compared_and_not_letters() -> None:
    assert diff("He have two cats.", "He has two cats, too.") == [
        Change("equal", "He", "He"),
        Change("replace", " have", " has"),
        Change("equal", " two cats", " two cats"),
        Change("insert", "", ", too"),
        Change("equal", ".", "."),
    ]
