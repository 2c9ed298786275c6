"""Which format is recommended, and how a comparison is told."""

from dataclasses import replace

from canteen.lifecycle.evaluate.statistics import Interval
from canteen.lifecycle.quantize import telling
from canteen.lifecycle.quantize.comparing import Row, Tradeoff

INT8 = Row("int8", "int8", 140_000_000, 181_000_000, 2000.0, 120.0, 20.2, 0.01, Interval(9, 5, 14))
INT4 = replace(INT8, format="int4", disk_bytes=90_000_000, perplexity=25.0, loss=0.25)
SURE_TO_BE_WORSE, PERHAPS_WORSE = Interval(-0.1, -0.2, -0.01), Interval(-0.1, -0.2, 0.01)


def tradeoff(*rows: Row, max_loss: float = 0.015) -> Tradeoff:
    return Tradeoff("smollm2:135m", 20.0, max_loss, rows)


def test_the_smallest_within_the_loss_is_recommended() -> None:
    assert tradeoff(INT8, INT4).recommended == "int8"
    assert tradeoff(INT8, INT4, max_loss=0.3).recommended == "int4"


def test_what_is_surely_worse_at_the_task_is_not_recommended() -> None:
    worse = replace(INT4, loss=0.0, accuracy_change=SURE_TO_BE_WORSE)
    alike = replace(INT4, loss=0.0, accuracy_change=PERHAPS_WORSE)

    assert tradeoff(INT8, worse).recommended == "int8"
    assert tradeoff(INT8, alike).recommended == "int4"


def test_nothing_is_recommended_where_every_format_loses_too_much() -> None:
    told = tradeoff(INT4)

    assert told.recommended == ""
    assert "--max-loss" in told.verdict


def test_a_page_tells_the_table_the_verdict_and_the_drawing() -> None:
    page = telling.html(tradeoff(INT8, INT4))

    assert "<td>int8 *</td>" in page
    assert "<td>+25.0%</td>" in page
    assert "int8 is the smallest that stays within 1.5%" in page
    assert page.count("<svg") == 1
