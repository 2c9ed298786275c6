"""One sequence at a time guesses ahead from what it has read, and keeps every promise."""

import json
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from canteen.core.engine import fold
from canteen.core.generation import (
    Chunk,
    Completion,
    GenerationRequest,
    Grammar,
    Message,
    SamplingParams,
)
from canteen.engines.openvino import OpenVinoEngine
from canteen.runtime.catalog import Catalog

IDS = count()
TEXT = "The canteen fed nine hundred people a day, and whoever came late found the soup cold."


@pytest.fixture(scope="module")
def engine(model_home: Path) -> OpenVinoEngine:
    catalog = Catalog(model_home)
    return OpenVinoEngine(catalog.path(catalog.get("smollm2:135m")), max_num_seqs=1)


async def run(
    engine: OpenVinoEngine, content: str, max_tokens: int = 48, **changes: Any
) -> tuple[Completion, int]:
    """The completion, and the steps it took."""
    sampling = SamplingParams(
        temperature=0.0, max_tokens=max_tokens, stop=changes.pop("stop", ()), ignore_eos=True
    )
    asked = GenerationRequest(
        f"r{next(IDS)}", "any", (Message("user", content),), sampling=sampling, **changes
    )
    engine.add(asked)
    chunks: list[Chunk] = []
    num_steps = 0
    while engine.has_work():
        chunks += [delta.chunk for delta in engine.step() if delta.chunk]
        num_steps += 1

    async def replayed() -> Any:
        for chunk in chunks:
            yield chunk

    return await fold(replayed()), num_steps


async def test_an_answer_that_repeats_its_prompt_takes_fewer_steps_than_tokens(
    engine: OpenVinoEngine,
) -> None:
    completion, num_steps = await run(engine, f"Repeat word for word:\n{TEXT}\n{TEXT}")

    assert completion.usage.completion_tokens == 48
    assert num_steps < 48


async def test_every_token_has_its_log_probability(engine: OpenVinoEngine) -> None:
    completion, _ = await run(engine, f"Repeat word for word:\n{TEXT}", 16, logprobs=True)

    (choice,) = completion.choices
    assert b"".join(one.bytes for one in choice.logprobs).decode() == choice.text
    assert all(one.logprob <= 0 for one in choice.logprobs)


async def test_a_stop_string_within_a_guess_ends_the_answer(engine: OpenVinoEngine) -> None:
    completion, _ = await run(engine, f"Repeat word for word:\n{TEXT}", stop=("a",))

    assert completion.choices[0].finish_reason == "stop"
    assert "a" not in completion.text


async def test_a_grammar_is_obeyed(engine: OpenVinoEngine) -> None:
    schema = {
        "type": "object",
        "required": ["names"],
        "properties": {"names": {"type": "array", "maxItems": 3, "items": {"enum": ["a", "b"]}}},
    }
    completion, _ = await run(
        engine, "List a, b, a.", grammar=Grammar("json_schema", json.dumps(schema))
    )

    assert set(json.loads(completion.text)["names"]) <= {"a", "b"}
