"""Deltas are read one by one while there is time, and joined while there is none."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from hypothesis import given
from hypothesis import strategies as st

from canteen.core.engine import fold
from canteen.core.errors import DeadlineExceeded
from canteen.core.generation import Chunk, Completion, Usage
from canteen.engines.coalescing import EASY, MOST_GAP_S, WINDOW_S, Inbox, Pace, Said, is_last, join
from tests.runtime.virtual_time import run


def pace(share: float) -> Pace:
    """That of a loop which is busy for a share of its time."""
    now_s = [0.0, WINDOW_S]
    made = Pace(lambda: now_s.pop(0), iter([0.0, share * WINDOW_S]).__next__)
    made.look()
    return made


def words(*texts: str) -> list[Chunk]:
    """A token each, and the end."""
    end = Chunk(num_tokens=0, finish_reason="stop", usage=Usage(completion_tokens=len(texts)))
    return [*(Chunk(text, num_tokens=1) for text in texts), end]


async def told(inbox: Inbox) -> list[Said]:
    """Everything, to the end."""
    said = [await inbox.get()]
    while not is_last(said[-1]):
        said.append(await inbox.get())
    return said


def test_a_loop_with_time_to_spare_joins_nothing() -> None:
    assert pace(EASY).gap_s == 0.0


def test_the_busier_a_loop_is_the_longer_a_delta_may_wait() -> None:
    gaps_s = [pace(share).gap_s for share in (0.3, 0.6, 0.9, 1.0, 1.1)]

    assert gaps_s == sorted(gaps_s)
    assert 0 < gaps_s[0] < gaps_s[-1] == MOST_GAP_S


async def test_deltas_that_are_read_as_they_come_stay_as_they_are() -> None:
    inbox, read = Inbox(pace(0.0)), []

    for chunk in words("a ", "b ", "c"):
        inbox.put(chunk)
        read.append(await inbox.get())

    assert read == words("a ", "b ", "c")


def test_under_load_the_first_delta_is_read_at_once_and_the_rest_together() -> None:
    async def scenario() -> None:
        inbox = Inbox(pace(1.0))
        first, *rest = words("a ", "b ", "c ", "d")
        inbox.put(first)
        assert await inbox.get() == first

        for chunk in rest[:-1]:
            inbox.put(chunk)
        reading = asyncio.ensure_future(inbox.get())
        await asyncio.sleep(0)
        assert not reading.done()
        inbox.put(rest[-1])

        assert await reading == join(rest)

    run(scenario())


async def test_what_waits_is_read_when_its_time_is_over() -> None:
    inbox = Inbox(pace(1.0))
    for text in ("a ", "b "):
        inbox.put(Chunk(text, num_tokens=1))
        assert await inbox.get() == Chunk(text, num_tokens=1)


async def test_an_error_ends_what_waits_after_what_was_said_before_it() -> None:
    inbox = Inbox(pace(1.0))
    inbox.put(Chunk("a ", num_tokens=1))
    await inbox.get()
    inbox.put(Chunk("b ", num_tokens=1))
    error = DeadlineExceeded()
    inbox.put(error)

    assert await told(inbox) == [Chunk("b ", num_tokens=1), error]


PIECES = st.lists(st.tuples(st.integers(0, 1), st.text(max_size=3), st.booleans()), max_size=20)


@given(PIECES, st.sampled_from([0.0, 1.0]))
def test_nothing_is_lost_or_changes_its_order_however_it_is_joined(
    pieces: Sequence[tuple[int, str, bool]], share: float
) -> None:
    async def put(inbox: Inbox) -> None:
        for index, text, is_paused in pieces:
            inbox.put(Chunk(text, index, 1))
            if is_paused:
                await asyncio.sleep(0)
        inbox.put(Chunk(index=0, finish_reason="length"))
        inbox.put(Chunk(index=1, finish_reason="stop", usage=Usage(completion_tokens=len(pieces))))

    async def got(inbox: Inbox) -> AsyncIterator[Chunk]:
        for said in await told(inbox):
            assert isinstance(said, Chunk)
            yield said

    async def read() -> Completion:
        inbox = Inbox(pace(share))
        _, completion = await asyncio.gather(put(inbox), fold(got(inbox), 2))
        return completion

    completion = asyncio.run(read())

    assert [choice.text for choice in completion.choices] == [
        "".join(text for index, text, _ in pieces if index == choice) for choice in (0, 1)
    ]
    assert [choice.finish_reason for choice in completion.choices] == ["length", "stop"]
    assert completion.usage.completion_tokens == len(pieces)
