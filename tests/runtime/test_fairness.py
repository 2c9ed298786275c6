"""Whose turn it is: callers are given the same, however much each asks for."""

from hypothesis import given
from hypothesis import strategies as st

from canteen.core.generation import Priority
from canteen.runtime.fairness import Turns
from canteen.runtime.pace import Work
from canteen.runtime.ticket import BATCH_COST, Ticket

MOST_TOKENS = 1000


def ticket(caller_id: str, num_tokens: float, priority: Priority = "interactive") -> Ticket:
    """One that is worth what was expected, since nothing is noted on it."""
    return Ticket("r", caller_id, priority, None, False, 0, Work(num_tokens), clock=lambda: 0.0)


def serve_next(turns: Turns) -> Ticket:
    first = turns.heads()[0]
    turns.start(first)
    turns.stop(first)
    return first


@given(
    st.lists(st.integers(1, MOST_TOKENS), min_size=5, max_size=40),
    st.lists(st.integers(1, MOST_TOKENS), min_size=5, max_size=40),
)
def test_while_both_have_work_no_caller_is_given_a_request_more(
    ones: list[int], others: list[int]
) -> None:
    turns, given_tokens = Turns(), {"one": 0.0, "other": 0.0}
    for num_tokens in ones:
        turns.push(ticket("one", num_tokens))
    for num_tokens in others:
        turns.push(ticket("other", num_tokens))

    while len(turns.heads()) == 2:
        served = serve_next(turns)
        given_tokens[served.caller_id] += served.work.num_tokens
        assert abs(given_tokens["one"] - given_tokens["other"]) <= MOST_TOKENS


def test_batch_work_is_given_its_small_share() -> None:
    turns = Turns()
    for _ in range(100):
        turns.push(ticket("job", 10, "batch"))
        turns.push(ticket("chat", 10))

    served = [serve_next(turns).priority for _ in range(90)]

    assert served.count("batch") == 90 / (BATCH_COST + 1)


def test_who_comes_back_after_a_pause_has_saved_up_nothing() -> None:
    turns = Turns()
    for _ in range(10):
        turns.push(ticket("busy", 100))
    for _ in range(5):
        serve_next(turns)
    for _ in range(5):
        turns.push(ticket("back", 100))

    served = [serve_next(turns).caller_id for _ in range(4)]

    assert sorted(served) == ["back", "back", "busy", "busy"]


def test_what_waits_before_a_newcomer_is_its_own_and_the_fair_part_of_others() -> None:
    turns = Turns()
    for _ in range(10):
        turns.push(ticket("bulk", 100))
    turns.push(ticket("chat", 100))

    ahead = turns.ahead_of(ticket("chat", 100))

    assert [one.caller_id for one in ahead].count("chat") == 1
    assert [one.caller_id for one in ahead].count("bulk") == 2
