"""The mirror of a batching scheduler."""

from canteen.core.engine import Work
from canteen.engines.schedule import Progress, work_of_step


def test_a_long_prompt_is_read_in_pieces_and_its_last_piece_ends_with_a_token() -> None:
    sequence = Progress("a", num_prompt_tokens=10, num_cached=0)

    steps = [work_of_step([sequence], 4), work_of_step([sequence], 4)]
    sequence.write(1)
    steps.append(work_of_step([sequence], 4))

    assert steps == [[Work("a", 4, 0, 0)], [Work("a", 4, 0, 4)], [Work("a", 2, 0, 8)]]


def test_a_written_token_is_computed_after_all_that_came_before() -> None:
    sequence = Progress("a", num_prompt_tokens=3, num_cached=0)
    sequence.write(1)
    work_of_step([sequence], 8)

    sequence.write(1)
    first = work_of_step([sequence], 8)
    sequence.write(2)
    second = work_of_step([sequence], 8)

    assert first == [Work("a", 0, 1, 3)]
    assert second == [Work("a", 0, 2, 4)]


def test_a_cached_prefix_is_not_read_again() -> None:
    sequence = Progress("a", num_prompt_tokens=10, num_cached=8)
    sequence.write(1)

    assert work_of_step([sequence], 8) == [Work("a", 2, 0, 8)]


def test_who_writes_goes_first_and_prompts_share_what_is_left_in_order_of_arrival() -> None:
    writing = Progress("writing", 2, 0)
    writing.write(1)
    work_of_step([writing], 8)
    first, second, third = (Progress(name, 6, 0) for name in ("first", "second", "third"))
    writing.write(1)
    first.write(1)

    works = work_of_step([writing, first, second, third], 10)

    assert works == [Work("writing", 0, 1, 2), Work("first", 6, 0, 0), Work("second", 3, 0, 0)]


def test_who_wrote_nothing_has_a_token_of_its_prompt_left() -> None:
    sequence = Progress("a", num_prompt_tokens=5, num_cached=0)

    assert work_of_step([sequence], 100) == [Work("a", 4, 0, 0)]
    assert work_of_step([sequence], 100) == []
    sequence.write(1)
    assert work_of_step([sequence], 100) == [Work("a", 1, 0, 4)]
