"""The arithmetic of TTFT, TPOT, ITL, throughput and goodput, on outcomes made by hand."""

import math

import pytest

from canteen.bench.figures import Figures, Objectives, Outcome, Run, Spread


def outcome(due_s: float, *text_s: float, tokens: int | None = None, error: str = "") -> Outcome:
    """An answer whose stream ended with its last text; a token a text unless said."""
    end_s = text_s[-1] if text_s else due_s
    return Outcome(
        due_s,
        due_s,
        end_s,
        text_s,
        completion_tokens=len(text_s) if tokens is None else tokens,
        error=error,
    )


def test_ttft_counts_from_the_arrival_and_not_from_the_sending() -> None:
    late = Outcome(due_s=1.0, sent_s=1.5, end_s=3.0, text_s=(2.0, 3.0), completion_tokens=2)

    assert late.ttft_s == pytest.approx(1.0)


def test_tpot_is_the_time_after_the_first_text_over_the_tokens_after_the_first() -> None:
    coalesced = outcome(0.0, 1.0, 2.0, 3.0, tokens=9)

    assert coalesced.tpot_s == pytest.approx(2.0 / 8)


def test_an_answer_of_one_token_has_no_tpot() -> None:
    assert math.isnan(outcome(0.0, 1.0).tpot_s)


def test_itl_is_one_per_gap() -> None:
    run = Run([outcome(0.0, 1.0, 2.0, 5.0), outcome(0.0, 1.0, 3.0)], 0.0, 5.0)

    assert Figures.of(run).itl.median == pytest.approx(2.0)


def test_a_spread_is_of_the_numbers_alone() -> None:
    spread = Spread.of([math.nan, *(float(value) for value in range(101))])

    assert (spread.median, spread.p90, spread.p99) == pytest.approx((50.0, 90.0, 99.0))


def test_a_spread_of_nothing_is_not_a_number() -> None:
    assert math.isnan(Spread.of([math.nan]).median)


def test_what_came_after_the_window_does_not_count_as_throughput() -> None:
    run = Run([outcome(0.0, 1.0, 2.0), outcome(0.0, 1.0, 2.0, 3.0, 4.0)], 0.0, 2.0)

    figures = Figures.of(run)

    assert figures.output_tokens_per_s == pytest.approx(4 / 2.0)
    assert figures.requests_per_s == pytest.approx((1 + 0.5) / 2.0)


@pytest.mark.parametrize(
    "objectives",
    [Objectives(ttft_s=1.5), Objectives(tpot_s=0.5), Objectives(e2e_s=2.5)],
    ids=["ttft", "tpot", "deadline"],
)
def test_goodput_is_of_the_answers_that_met_the_objective(objectives: Objectives) -> None:
    good = outcome(0.0, 1.0, 1.4, 1.8)
    slow = outcome(0.0, 2.0, 3.0, 4.0)
    refused = outcome(0.0, error="503")

    figures = Figures.of(Run([good, slow, refused], 0.0, 4.0), objectives)

    assert figures.good_share == pytest.approx(1 / 3)
    assert figures.goodput_per_s == pytest.approx(1 / 4)


def test_an_answer_of_one_token_can_be_good() -> None:
    assert Objectives(tpot_s=0.1).are_met(outcome(0.0, 1.0))


def test_errors_are_counted_by_their_status_and_kept_out_of_the_times() -> None:
    outcomes = [
        outcome(0.0, 1.0),
        outcome(0.0, error="503"),
        outcome(0.0, 9.0, error="timeout"),
        outcome(0.0, error="503"),
    ]

    figures = Figures.of(Run(outcomes, 0.0, 1.0))

    assert figures.errors == {"503": 2, "timeout": 1}
    assert figures.num_whole == 1
    assert figures.ttft.p99 == pytest.approx(1.0)
