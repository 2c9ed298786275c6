"""What prompts share, and what is kept of it."""

from hypothesis import given
from hypothesis import strategies as st

from canteen.engines.beginnings import (
    LEAST_SHARED,
    MOST_KEPT,
    Beginnings,
    common_length,
    shared_length,
)

TOKENS = st.lists(st.integers(0, 2), max_size=60).map(tuple)
LONG = tuple(range(200))


@given(TOKENS, TOKENS)
def test_the_common_length_is_that_of_the_longest_common_beginning(
    one: tuple[int, ...], other: tuple[int, ...]
) -> None:
    length = common_length(one, other)

    assert one[:length] == other[:length]
    assert length == min(len(one), len(other)) or one[length] != other[length]


@given(TOKENS.filter(bool), st.lists(TOKENS, max_size=5), st.integers(0, 20))
def test_what_is_shared_is_shared_with_another_and_leaves_a_token(
    tokens: tuple[int, ...], others: list[tuple[int, ...]], num_known: int
) -> None:
    length = shared_length(tokens, others, num_known)

    assert 0 <= length < len(tokens)
    assert length == 0 or any(common_length(tokens, other) >= length for other in others)


def test_a_beginning_that_many_share_is_preferred_to_a_longer_one_of_few() -> None:
    few = [(*LONG[:100], -1)]
    many = [(*LONG[:80], -index) for index in range(1, 9)]

    assert shared_length(LONG, few + many, 0) == 80


def test_a_short_beginning_is_not_worth_keeping() -> None:
    assert shared_length(LONG, [(*LONG[: LEAST_SHARED - 1], -1)], 0) == 0


def test_the_longest_beginning_that_is_kept_is_found() -> None:
    kept: Beginnings[str] = Beginnings()
    kept.keep(LONG[:50], "short")
    kept.keep(LONG[:90], "long")
    kept.keep((-1, *LONG[1:]), "another")

    assert kept.find(LONG) == (90, "long")
    assert kept.find(LONG[:90]) == (50, "short")
    assert kept.find((-2,)) == (0, None)


def test_what_was_used_least_goes_first() -> None:
    kept: Beginnings[int] = Beginnings()
    third = MOST_KEPT // 3
    texts = [(number,) * third for number in range(4)]
    for number, text in enumerate(texts[:3]):
        kept.keep(text, number)
    kept.find((*texts[0], 9))
    kept.keep(texts[3], 3)

    found = [kept.find((*text, 9))[1] for text in texts]

    assert found == [0, None, 2, 3]


def test_what_is_too_long_is_kept_only_until_it_is_read() -> None:
    kept: Beginnings[int] = Beginnings()
    text = (7,) * (MOST_KEPT + 1)
    kept.keep(text, 1)
    during = kept.find((*text, 9))

    kept.shorten()

    assert during == (len(text), 1)
    assert kept.find((*text, 9)) == (0, None)
