"""What was written and how soon it came, lately."""

from canteen.metering.recent import LATELY_S, MOST_ANSWERS, Recent


class Clock:
    """Stands still until it is told."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_tokens_are_counted_for_each_model() -> None:
    recent = Recent()

    recent.wrote("a", 2)
    recent.wrote("a", 3)

    assert recent.written() == {"a": 5}


def test_a_quantile_is_an_answer_that_there_was() -> None:
    recent = Recent()

    for hundredths in range(1, 101):
        recent.answered("a", hundredths / 100, None)

    assert recent.latencies("a") == {"ttft_s": {"p50": 0.5, "p95": 0.95}, "tpot_s": None}


def test_what_is_older_than_a_minute_tells_nothing_of_now() -> None:
    clock = Clock()
    recent = Recent(clock)
    recent.answered("a", 9.0, 9.0)

    clock.now_s = LATELY_S + 1
    recent.answered("a", 1.0, None)

    assert recent.latencies("a") == {"ttft_s": {"p50": 1.0, "p95": 1.0}, "tpot_s": None}


def test_only_the_last_answers_are_remembered() -> None:
    recent = Recent()

    for _ in range(MOST_ANSWERS):
        recent.answered("a", 9.0, None)
    for _ in range(MOST_ANSWERS):
        recent.answered("a", 1.0, None)

    assert recent.latencies("a")["ttft_s"] == {"p50": 1.0, "p95": 1.0}


def test_what_another_name_of_a_model_does_is_told_of_the_one_in_memory() -> None:
    recent = Recent()
    recent.runs("alias", "loaded")

    recent.wrote("alias", 2)
    recent.answered("alias", 0.1, None)

    assert recent.written() == {"loaded": 2}
    assert recent.latencies("loaded")["ttft_s"] == {"p50": 0.1, "p95": 0.1}
