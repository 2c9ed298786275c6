"""The mirror of a prefix cache."""

from canteen.engines.prefixes import PrefixMirror


def test_full_blocks_that_were_computed_are_found_again() -> None:
    mirror = PrefixMirror(num_blocks=8, block_size=4)
    mirror.add(range(10))

    assert mirror.cached_tokens(range(10)) == 8
    assert mirror.cached_tokens(range(7)) == 4
    assert mirror.cached_tokens([*range(6), 99, 7]) == 4
    assert mirror.cached_tokens([99, *range(1, 9)]) == 0


def test_the_last_token_is_always_computed() -> None:
    mirror = PrefixMirror(num_blocks=8, block_size=4)
    mirror.add(range(8))

    assert mirror.cached_tokens(range(8)) == 7


def test_the_same_block_after_another_beginning_is_another() -> None:
    mirror = PrefixMirror(num_blocks=8, block_size=2)
    mirror.add([1, 2, 3, 4])

    assert mirror.cached_tokens([3, 4, 5]) == 0


def test_what_was_used_least_recently_is_forgotten() -> None:
    mirror = PrefixMirror(num_blocks=4, block_size=2)
    mirror.add([1, 2, 3, 4])
    mirror.add([5, 6, 7, 8])
    mirror.add([1, 2, 3, 4])

    mirror.add([9, 10])

    assert mirror.cached_tokens([1, 2, 3, 4, 5]) == 4
    assert mirror.cached_tokens([5, 6, 7, 8, 9]) == 0


def test_the_short_last_block_of_an_ended_sequence_is_found_whole() -> None:
    mirror = PrefixMirror(num_blocks=8, block_size=4)
    mirror.add(range(6), has_ended=True)

    assert mirror.cached_tokens(range(9)) == 6
    assert mirror.cached_tokens([0, 1, 2, 3, 4, 99, 6]) == 4
