"""What people are told of jobs: lines that say something, in words."""

from typing import Any

from canteen.cli.job_text import came_of, told
from canteen.lifecycle.jobs.job import Job

STEP = {"event": "step", "step": 3, "steps": 9, "loss": 1.5, "tokens_per_s": 1234.5}


def done(**result: Any) -> str:
    return "\n".join(came_of(Job("job_1", "train", "a:latest", {}, "done", 0.0, result=result)))


def test_events_are_told_in_a_line_each() -> None:
    assert told(STEP) == "step 3/9, loss 1.5000, 1,234 tokens/s"
    foretold = {**STEP, "eta_s": 3723.4}
    assert told(foretold) == "step 3/9, loss 1.5000, 1,234 tokens/s, 1:02:03 to go"
    assert told({"event": "resumed", "step": 3}) == "resumed at step 3"
    assert told({"status": "merging", "completed": 0}) == "merging"
    assert told({"event": "checkpoint", "step": 3}) == ""


def test_energy_and_money_are_told_where_there_is_any() -> None:
    free = told({**STEP, "energy_wh": 0.0, "cost_usd": 0.0000001})
    paid = told({**STEP, "energy_wh": 0.0285, "cost_usd": 0.0123})

    assert free == "step 3/9, loss 1.5000, 1,234 tokens/s"
    assert paid.endswith("tokens/s, 0.0285 Wh, $0.0123")


def test_what_a_model_writes_is_one_line_that_no_terminal_obeys() -> None:
    text = "so\n\n\x1b[2J\u202e\u2028it is" + "\n" * 200

    line = told({"event": "sample", "step": 3, "text": text})

    assert line.startswith(r"step 3 writes: so\n\n\x1b[2J\u202e\u2028it is\n")
    assert line.endswith("…")
    assert line.isprintable()
    assert len(line) < 250


def test_a_result_is_told_in_words_and_without_what_says_nothing() -> None:
    told = done(steps=34, stopped="", dropped=0, validation_loss=4.40596, tokens=1200000, model="a")

    assert told.splitlines() == [
        "job_1 is done",
        "  steps: 34",
        "  loss on what was held back, nats: 4.406",
        "  tokens learned from: 1,200,000",
        "  model: a",
        'Ask it: canteen run a "…"',
    ]
    assert "  examples left out as too long: 2" in done(dropped=2)
    assert "  ended early: 3 validations" in done(stopped="3 validations")
