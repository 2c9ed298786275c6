"""The vllm engine is held to the contracts of engines, through its worker, on a CPU or a GPU.

Left out is what it does not promise: it steps by itself, so that a request is begun when it is
added, and a step's work is told when it is done; and numbers that no wire carries.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import pytest

from canteen.core.engine import Engine, StepEngine, StepRecord, Work
from canteen.core.errors import InvalidRequest
from canteen.core.generation import Grammar, Message, SamplingParams, ScorePrompt, ScoreRequest
from canteen.engines import environment
from canteen.engines.process import Unheard, Worker, WorkerEngine
from canteen.lifecycle.prepare import prepare
from tests.contracts import test_engine, test_scoring
from tests.contracts.stepped import Stepped
from tests.engines import tiny_llama
from tests.vllm_engine import OPTIONS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

LEFT_OUT = {
    "test_extreme_but_sensible_parameters_are_taken",
    "test_a_request_is_cancelled_before_its_first_step",
    "test_no_work_is_told_of_a_step_in_which_nobody_runs",
}
HELD_TO = {
    name: test
    for contract in (test_engine, test_scoring)
    for name, test in vars(contract).items()
    if name.startswith("test_")
}
globals().update({name: test for name, test in HELD_TO.items() if name not in LEFT_OUT})


class Works(Unheard):
    """Keeps what the steps did."""

    def __init__(self) -> None:
        self.heard: list[Work] = []

    def step(self, record: StepRecord) -> None:
        self.heard += record.work


@pytest.fixture(scope="module")
def engine(vllm_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StepEngine]:
    """A model of two layers."""
    folder = tmp_path_factory.mktemp("tiny")
    prepare(tiny_llama.write(folder / "source"), folder / "out", lambda _: None)
    options = {"folder": str(folder / "out"), **dict(pair.split("=") for pair in OPTIONS)}
    works = Works()

    async def make() -> Engine:
        program = environment.program("vllm", vllm_home)
        worker = Worker("vllm", options, works, program=program)
        return WorkerEngine(worker, await worker.start())

    stepped = Stepped(make())
    stepped.heard = works.heard
    yield stepped
    stepped.close()


@pytest.mark.parametrize(
    "sampling",
    [
        SamplingParams(temperature=0.7, top_k=10**12, seed=-1, max_tokens=4),
        SamplingParams(temperature=100.0, top_p=0.0, seed=2**63, max_tokens=4),
        SamplingParams(top_k=0, min_p=1.0, max_tokens=10**12, stop=("", "e", "a", "i", "o")),
        SamplingParams(
            presence_penalty=2.0, frequency_penalty=-2.0, repetition_penalty=9.0, max_tokens=4
        ),
    ],
)
def test_what_is_extreme_but_sensible_is_taken(
    engine: StepEngine, sampling: SamplingParams
) -> None:
    chunks = test_engine.run(engine, test_engine.ask(sampling=sampling))

    assert chunks[-1].finish_reason


def test_the_likeliest_alternatives_come_with_their_tokens(engine: StepEngine) -> None:
    chunks = test_engine.run(engine, test_engine.ask(logprobs=True, top_logprobs=3))

    logprobs = [one for chunk in chunks for one in chunk.logprobs]
    assert all(len(one.top) == 3 for one in logprobs)
    # Greedy: what was said was the likeliest.
    assert all(one.top[0].bytes == one.bytes for one in logprobs)


def test_choices_of_a_seed_differ_and_come_again(engine: StepEngine) -> None:
    sampling = SamplingParams(temperature=1.0, seed=3, max_tokens=16)

    first, again = (
        [
            test_engine.text_of(chunks, index)
            for chunks in [test_engine.run(engine, test_engine.ask(n=2, sampling=sampling))]
            for index in range(2)
        ]
        for _ in range(2)
    )

    assert first == again
    assert first[0] != first[1]


def test_a_prompt_read_before_is_found_in_the_cache(engine: StepEngine) -> None:
    request = test_engine.ask(messages=(), prompt="what was read before " * 20)
    test_engine.run(engine, request)

    usage = test_engine.usage_of(test_engine.run(engine, replace(request, id="read-again")))

    assert usage.cached_tokens > usage.prompt_tokens // 2


def test_scores_are_what_a_generation_says_of_the_same_tokens(engine: StepEngine) -> None:
    messages = (Message("user", "Say a letter"),)
    said = test_engine.run(engine, test_engine.ask(messages=messages, logprobs=True))
    logprobs = [one for chunk in said for one in chunk.logprobs][:3]
    texts = tuple("".join(one.token for one in logprobs[:end]) for end in (1, 2, 3))
    request = ScoreRequest("of-said", "any", (ScorePrompt(messages, texts),))

    (scores,) = test_scoring.scored(engine, request)["of-said"].logprobs

    sums = accumulate(one.logprob for one in logprobs)
    assert scores == pytest.approx(tuple(sums), abs=1e-3)


def test_a_schema_that_cannot_be_kept_is_refused(engine: StepEngine) -> None:
    schema = {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}

    with pytest.raises(InvalidRequest) as caught:
        engine.add(test_engine.ask(grammar=Grammar("json_schema", json.dumps(schema))))

    assert caught.value.param == "response_format"


def test_a_storm_of_cancels_leaves_nothing_running(engine: StepEngine) -> None:
    long = SamplingParams(temperature=0.0, max_tokens=500, ignore_eos=True)
    requests = [test_engine.ask(sampling=long) for _ in range(24)]
    for request in requests:
        engine.add(request)
    for request in requests:
        engine.cancel(request.id)

    chunks = test_engine.run(engine, test_engine.ask())

    assert chunks[-1].finish_reason
    assert engine.stats().num_running == 0
