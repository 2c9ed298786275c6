"""Scores of the real default model, against a softmax over all that may follow, worked out anew."""

from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest

from canteen.core.arithmetic import SCORING
from canteen.core.generation import GenerationRequest, Message, ScorePrompt, ScoreRequest, Scores
from canteen.engines.openvino import OpenVinoEngine
from canteen.runtime.catalog import Catalog

IDS = count()
LABELS = ("positive", "negative", "neither good nor bad", "42")
SYSTEM = Message("system", "You tell whether a review of a film is friendly. " * 4)
TEXTS = ("I loved it.", "A waste of two hours, and of the money.", "Ein schöner Film \U0001f3ac")


@pytest.fixture(scope="module")
def folder(model_home: Path) -> Path:
    catalog = Catalog(model_home)
    return catalog.path(catalog.get("smollm2:135m"))


@pytest.fixture(scope="module")
def engine(folder: Path) -> OpenVinoEngine:
    return OpenVinoEngine(folder, max_num_seqs=8)


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    """The same weights in the same arithmetic, with all their logits."""
    return openvino.Core().compile_model(folder / "openvino_model.xml", "CPU", SCORING)


def ask(*texts: str) -> ScoreRequest:
    prompts = tuple(ScorePrompt((SYSTEM, Message("user", text)), LABELS) for text in texts)
    return ScoreRequest(f"s{next(IDS)}", "any", prompts)


def scores_of(engine: OpenVinoEngine, request: ScoreRequest) -> Scores:
    engine.add(request)
    while engine.has_work():
        for delta in engine.step():
            if delta.scores is not None:
                return delta.scores
    raise AssertionError("no scores came")


def brute_force(engine: OpenVinoEngine, model: Any, prompt: ScorePrompt) -> list[float]:
    """Each continuation after its prompt, read whole and alone."""
    prompts = engine._prompts
    asked = GenerationRequest("brute", "any", messages=prompt.messages)
    tokens, _ = prompts.fitted(asked, prompts.context_length)
    return [
        _logprob(model, tokens, prompts.encoded(continuation))
        for continuation in prompt.continuations
    ]


def _logprob(model: Any, prompt: list[int], continuation: list[int]) -> float:
    ids = np.array([prompt + continuation], np.int64)
    request = model.create_infer_request()
    request.infer(
        {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "position_ids": np.arange(ids.shape[1])[None],
            "beam_idx": np.zeros(1, np.int32),
        }
    )
    # Each row is of what may follow: the last of the prompt, then all but the last of the rest.
    logits = request.get_output_tensor(0).data[0, len(prompt) - 1 : -1].astype(np.float64)
    top = logits.max(axis=1, keepdims=True)
    logprobs = logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
    return float(sum(logprobs[i, token] for i, token in enumerate(continuation)))


def test_scores_are_those_of_a_softmax_over_all_continuations(
    engine: OpenVinoEngine, model: Any
) -> None:
    request = ask(*TEXTS)

    scores = scores_of(engine, request)

    for prompt, found in zip(request.prompts, scores.logprobs, strict=True):
        assert found == pytest.approx(brute_force(engine, model, prompt), abs=1e-2)


def test_a_prompt_of_many_steps_is_scored_alike(engine: OpenVinoEngine, model: Any) -> None:
    messages = (SYSTEM, Message("user", "It was long, and then it went on. " * 75))
    prompt = ScorePrompt(messages, LABELS[:2])

    scores = scores_of(engine, ScoreRequest(f"s{next(IDS)}", "any", (prompt,)))

    assert scores.usage.prompt_tokens > 3 * 256
    expected = brute_force(engine, model, prompt)
    assert scores.logprobs[0] == pytest.approx(expected, abs=1e-2)


def test_what_prompts_share_is_read_once(engine: OpenVinoEngine) -> None:
    state = "The order 4711 was placed on Monday, paid on Tuesday, and sent on Friday. " * 20
    request = ask(*(f"{state} Question {number}?" for number in range(64)))

    usage = scores_of(engine, request).usage

    assert usage.cached_tokens / usage.prompt_tokens >= 0.9


def test_one_prompt_after_another_finds_what_it_shares(engine: OpenVinoEngine) -> None:
    first, second, third = (ask(text) for text in TEXTS)
    scores_of(engine, first)
    scores_of(engine, second)

    usage = scores_of(engine, third).usage

    assert usage.cached_tokens > 24


def test_many_long_labels_are_scored_in_parts(engine: OpenVinoEngine) -> None:
    labels = tuple(f"label number {number} of a long list" for number in range(120))
    prompt = ScorePrompt((SYSTEM, Message("user", "Any text at all. " * 20)), labels)

    scores = scores_of(engine, ScoreRequest(f"s{next(IDS)}", "any", (prompt,)))
    few = scores_of(
        engine, ScoreRequest(f"s{next(IDS)}", "any", (ScorePrompt(prompt.messages, labels[-3:]),))
    )

    assert scores.logprobs[0][-3:] == pytest.approx(few.logprobs[0], abs=1e-3)


def test_no_step_reads_all_of_many_labels(engine: OpenVinoEngine) -> None:
    labels = tuple(f"label number {number} of a long list" for number in range(120))
    prompt = ScorePrompt((SYSTEM, Message("user", "Any text at all. " * 20)), labels)
    engine.add(ScoreRequest(f"s{next(IDS)}", "any", (prompt,)))
    most = 0

    while engine.has_work():
        engine.step()
        most = max(most, sum(one.prefill_tokens for one in engine.work()))

    assert most <= 256


def test_a_request_cancelled_among_its_labels_is_read_no_further(engine: OpenVinoEngine) -> None:
    labels = tuple(f"label number {number} of a long list" for number in range(120))
    prompt = ScorePrompt((SYSTEM, Message("user", "Any text at all. " * 20)), labels)
    request = ScoreRequest(f"s{next(IDS)}", "any", (prompt,))
    engine.add(request)
    while not any(one.prefill_tokens for one in engine.work()):
        engine.step()
    engine.step()
    engine.step()

    engine.cancel(request.id)

    assert not engine.has_work()
