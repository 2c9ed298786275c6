"""What is learned from a request at its end."""

from canteen.core.generation import Chunk, GenerationRequest, Usage
from canteen.runtime.pace import Pace
from canteen.runtime.ticket import Ticket, ticket_for


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def served(request: GenerationRequest, pace: Pace) -> Ticket:
    """A second of prefill, two seconds for the four tokens after the first."""
    clock = Clock()
    ticket = ticket_for(request, pace, clock)
    ticket.admitted_s = clock()
    clock.now_s += 1.0
    ticket.see(Chunk("a", num_tokens=1))
    clock.now_s += 2.0
    ticket.see(Chunk("bcde", num_tokens=4))
    return ticket


def test_a_whole_answer_teaches_speeds_and_lengths() -> None:
    pace = Pace()
    ticket = served(GenerationRequest("1", "m", prompt="x" * 50), pace)
    ticket.see(Chunk(usage=Usage(prompt_tokens=10, completion_tokens=5)))

    ticket.teach(pace)

    assert pace.prefill_s_per_token() == 0.1
    assert pace.decode_s_per_token() == 0.5
    assert pace.tokens_per_answer() == 5
    assert pace.tokens_per_character() == 0.2


def test_one_that_was_cut_short_teaches_speeds_only() -> None:
    pace = Pace()

    served(GenerationRequest("1", "m", prompt="x" * 40), pace).teach(pace)

    assert pace.decode_s_per_token() == 0.5
    assert pace.tokens_per_answer(default=-1.0) == -1.0


def test_token_ids_teach_nothing_of_characters() -> None:
    pace = Pace()
    ticket = served(GenerationRequest("1", "m", prompt_tokens=(1, 2, 3)), pace)
    ticket.see(Chunk(usage=Usage(prompt_tokens=3, completion_tokens=5)))

    ticket.teach(pace)

    assert pace.tokens_per_character(default=-1.0) == -1.0


def test_what_it_was_worth_is_known_at_the_end() -> None:
    pace = Pace()
    ticket = served(GenerationRequest("1", "m", prompt="x" * 400), pace)
    ticket.see(Chunk(usage=Usage(prompt_tokens=10, completion_tokens=5)))

    assert ticket.actual_cost == 10 + 2 * 5
