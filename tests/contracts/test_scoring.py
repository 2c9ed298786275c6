"""What every engine that scores must do."""

import math
from itertools import count

import pytest

from canteen.core.engine import StepEngine
from canteen.core.errors import CanteenError
from canteen.core.generation import (
    GenerationRequest,
    Message,
    SamplingParams,
    ScorePrompt,
    ScoreRequest,
    Scores,
)

IDS = count()
LABELS = ("good", "bad", "neither of the two")


def ask(*texts: str, labels: tuple[str, ...] = LABELS) -> ScoreRequest:
    prompts = tuple(ScorePrompt((Message("user", text),), labels) for text in texts)
    return ScoreRequest(f"score-{next(IDS)}", "any", prompts)


def scored(engine: StepEngine, *requests: ScoreRequest) -> dict[str, Scores]:
    for request in requests:
        engine.add(request)
    found: dict[str, Scores] = {}
    while engine.has_work():
        for delta in engine.step():
            assert delta.error is None
            if delta.scores is not None:
                found[delta.request_id] = delta.scores
    return found


def test_every_continuation_of_every_prompt_has_a_logarithm_of_a_probability(
    engine: StepEngine,
) -> None:
    request = ask("It was a good day.", "It rained.")

    scores = scored(engine, request)[request.id]

    assert [len(row) for row in scores.logprobs] == [3, 3]
    assert all(one <= 0 for row in scores.logprobs for one in row)
    assert all(math.fsum(map(math.exp, row)) <= 1 + 1e-9 for row in scores.logprobs)
    assert scores.usage.prompt_tokens > 0
    assert scores.usage.completion_tokens == 0


def test_scores_do_not_depend_on_what_is_scored_beside_them(engine: StepEngine) -> None:
    texts = ("It was a good day.", "It rained all day, and nobody came to see us.", "Fine.")
    alone = [scored(engine, one := ask(text))[one.id].logprobs[0] for text in texts]
    together = [ask(text) for text in texts]

    found = scored(engine, *together)

    for request, expected in zip(together, alone, strict=True):
        assert found[request.id].logprobs[0] == pytest.approx(expected, abs=1e-3)


def test_generations_go_on_beside_scores(engine: StepEngine) -> None:
    generation = GenerationRequest(
        f"beside-{next(IDS)}",
        "any",
        messages=(Message("user", "Tell me of the sea"),),
        sampling=SamplingParams(temperature=0.0, max_tokens=8),
    )
    scoring = ask("It was a good day.")
    engine.add(generation)
    engine.add(scoring)
    ended: set[str] = set()

    while engine.has_work():
        for delta in engine.step():
            if delta.scores or (delta.chunk and delta.chunk.usage):
                ended.add(delta.request_id)

    assert ended == {generation.id, scoring.id}


def test_a_cancelled_request_gives_no_scores(engine: StepEngine) -> None:
    gone, kept = ask("One."), ask("Two.")
    engine.add(gone)
    engine.add(kept)
    engine.cancel(gone.id)

    found: set[str] = set()
    while engine.has_work():
        found |= {delta.request_id for delta in engine.step()}

    assert found == {kept.id}


def test_the_work_of_scoring_is_told_with_its_request(engine: StepEngine) -> None:
    request = ask("It was a good day.")
    engine.add(request)
    num_tokens = 0

    while engine.has_work():
        engine.step()
        num_tokens += sum(one.prefill_tokens for one in engine.work())

    assert num_tokens > 0


@pytest.mark.parametrize("labels", [(), ("good", "")])
def test_a_prompt_without_continuations_is_refused(
    engine: StepEngine, labels: tuple[str, ...]
) -> None:
    request = ask("It was a good day.", labels=labels)

    with pytest.raises(CanteenError, match="continuations"):
        engine.add(request)

    assert not engine.has_work()


def test_a_prompt_longer_than_the_context_is_refused(engine: StepEngine) -> None:
    request = ask("word " * 9000)

    with pytest.raises(CanteenError, match="context"):
        engine.add(request)

    assert not engine.has_work()
