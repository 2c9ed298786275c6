"""Label scores of the real model, against the sums of its log-probabilities read off directly."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import openvino_genai
import pytest

from canteen.core.arithmetic import served_arithmetic
from canteen.core.engine import Capabilities, EngineStats, complete
from canteen.core.errors import InvalidRequest
from canteen.core.generation import Chunk, GenerationRequest, Message, SamplingParams
from canteen.engines.openvino import OpenVinoEngine
from canteen.runtime.catalog import Catalog
from canteen.tasks.score import ScoreRequest, score

PROMPT = """Q: Which is a planet?
A) Mars
B) a horse
Answer: """
# Labels of one token: longer ones may be spelled in more ways than one.
LABELS = ("A", "B", "C", "positive")


class InProcess:
    """An engine stepped where it stands, for one caller at a time."""

    name = "openvino"

    def __init__(self, engine: OpenVinoEngine) -> None:
        self._engine = engine

    @property
    def capabilities(self) -> Capabilities:
        return self._engine.capabilities

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Chunk]:
        self._engine.add(request)
        while self._engine.has_work():
            for delta in self._engine.step():
                assert delta.chunk is not None
                yield delta.chunk

    async def stats(self) -> EngineStats:
        return self._engine.stats()

    async def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def folder(model_home: Path) -> Path:
    catalog = Catalog(model_home)
    return catalog.path(catalog.get("smollm2:135m"))


@pytest.fixture(scope="module")
def engine(folder: Path) -> InProcess:
    return InProcess(OpenVinoEngine(folder))


def read_off(folder: Path, prompt: str, label: str) -> float:
    """The label's log-probability from those of the tokens of prompt and label."""
    scheduler = openvino_genai.SchedulerConfig()
    scheduler.cache_size = 1
    scheduler.enable_prefix_caching = False
    arithmetic = served_arithmetic(openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    pipeline = openvino_genai.ContinuousBatchingPipeline(str(folder), scheduler, "CPU", arithmetic)
    tokenizer: Any = pipeline.get_tokenizer()
    ids = [
        tokenizer.encode(text, add_special_tokens=False).input_ids.data[0].tolist()
        for text in (prompt, label)
    ]
    config = openvino_genai.GenerationConfig(max_new_tokens=1, echo=True, logprobs=1)
    tokens = openvino.Tensor(np.array([ids[0] + ids[1]], np.int64))
    handle = pipeline.add_request(0, tokens, config)
    logprobs: list[float] = []
    while pipeline.has_non_finished_requests():
        pipeline.step()
        for output in handle.read().values():
            logprobs += output.generated_log_probs
    return sum(logprobs[len(ids[0]) : len(ids[0]) + len(ids[1])])


async def test_a_label_has_the_log_probability_of_its_tokens(
    engine: InProcess, folder: Path
) -> None:
    scores = await score(engine, ScoreRequest("r", "any", LABELS, prompt=PROMPT))

    # In bfloat16 a logit of 16 has steps of an eighth, and rounding depends on the batch.
    expected = [read_off(folder, PROMPT, label) for label in LABELS]
    assert scores == pytest.approx(expected, abs=0.25)


async def test_the_label_the_model_would_choose_has_the_score_of_its_choice(
    engine: InProcess,
) -> None:
    sampling = SamplingParams(temperature=0.0, max_tokens=1)
    free = GenerationRequest("free", "any", prompt="1, 2, 3,", sampling=sampling, logprobs=True)
    (chosen,) = (await complete(engine, free)).choices[0].logprobs

    (found,) = await score(engine, ScoreRequest("r1", "any", (chosen.token,), prompt="1, 2, 3,"))

    assert found == pytest.approx(chosen.logprob, abs=0.05)


async def test_any_text_can_be_a_label_and_the_unlikely_one_loses(engine: InProcess) -> None:
    labels = ("A", "(b) 1.5*? [é]/\\{2}", "zzzzzz")
    messages = (Message("user", PROMPT),)

    scores = await score(engine, ScoreRequest("r2", "any", labels, messages=messages))

    assert len(scores) == len(labels)
    assert scores[0] > max(scores[1:])


@pytest.mark.parametrize("labels", [(), ("a", ""), ("a",) * 1000])
async def test_no_labels_empty_ones_and_too_many_are_refused(
    engine: InProcess, labels: tuple[str, ...]
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await score(engine, ScoreRequest("r3", "any", labels, prompt=PROMPT))

    assert caught.value.param == "labels"
