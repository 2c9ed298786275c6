"""What is particular to llama.cpp: its cache, its grammars, its scores, its listener."""

import json
import math
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from gguf import GGUFWriter

from canteen.core.engine import Delta
from canteen.core.errors import CanteenError, InvalidRequest
from canteen.core.generation import (
    GenerationRequest,
    Grammar,
    Message,
    SamplingParams,
    ScorePrompt,
    ScoreRequest,
)
from canteen.engines.llamacpp import LlamaCppEngine
from tests.engines.llamacpp_models import llamacpp_engine
from tests.lifecycle.tiny_model import CHATML, TinyModel

MODEL = TinyModel("qwen2", template=CHATML, context_length=4096)
LONG = SamplingParams(temperature=0.0, max_tokens=1000, ignore_eos=True)
IDS = count()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> LlamaCppEngine:
    return llamacpp_engine(tmp_path_factory.mktemp("qwen2"), MODEL, kv_cache_tokens=4096)


def ask(**changes: Any) -> GenerationRequest:
    sampling = SamplingParams(temperature=0.0, max_tokens=8)
    asked = GenerationRequest(f"r{next(IDS)}", "any", prompt="one two", sampling=sampling)
    return replace(asked, **changes)


def stepped(engine: LlamaCppEngine) -> Iterator[Delta]:
    while engine.has_work():
        yield from engine.step()


def text_of(engine: LlamaCppEngine, request: GenerationRequest) -> str:
    engine.add(request)
    return "".join(delta.chunk.text for delta in stepped(engine) if delta.chunk)


def error_of(engine: LlamaCppEngine, request: GenerationRequest) -> CanteenError:
    engine.add(request)
    (error,) = [delta.error for delta in stepped(engine) if delta.error]
    return error


def logprob(row: Any, token: int) -> float:
    return float(row[token]) - math.log(sum(map(math.exp, row)))


def test_its_listener_answers_nobody_without_the_key(engine: LlamaCppEngine) -> None:
    address = engine._server._address.geturl()

    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{address}/completion", b"{}")

    assert caught.value.code == 401
    caught.value.close()


@pytest.mark.parametrize(
    ("max_num_seqs", "max_batched_tokens", "expected"),
    [(255, 256, 255), (256, 256, 255), (1024, 256, 255), (32, 32, 32), (128, 64, 128)],
)
def test_it_loads_with_as_many_sequences_as_the_library_can(
    max_num_seqs: int, max_batched_tokens: int, expected: int, tmp_path: Path
) -> None:
    sized = llamacpp_engine(
        tmp_path, MODEL, max_num_seqs=max_num_seqs, max_batched_tokens=max_batched_tokens
    )

    assert sized.capabilities.max_num_seqs == expected
    sized.add(ask(n=expected, sampling=SamplingParams(max_tokens=2, ignore_eos=True)))
    (usage,) = [one.chunk.usage for one in stepped(sized) if one.chunk and one.chunk.usage]
    assert usage.completion_tokens == 2 * expected


def test_a_request_cancelled_while_its_prompt_is_read_gives_its_place_back(
    engine: LlamaCppEngine,
) -> None:
    long = ask(prompt="word " * 700, sampling=LONG)
    engine.add(long)
    while not engine.work():
        engine.step()
    engine.cancel(long.id)

    # It needs the room that the other one had.
    text = text_of(engine, ask(prompt="word " * 700, sampling=replace(LONG, max_tokens=2)))

    assert isinstance(text, str)
    assert engine.stats().num_running == 0


def test_requests_wait_for_room_in_the_cache_and_all_are_answered(engine: LlamaCppEngine) -> None:
    for number in range(6):
        engine.add(ask(prompt=f"{number}", sampling=replace(LONG, max_tokens=1500)))

    usages = [delta.chunk.usage for delta in stepped(engine) if delta.chunk and delta.chunk.usage]

    assert [usage.completion_tokens for usage in usages] == [1500] * 6


@pytest.mark.parametrize(
    "grammar",
    [
        Grammar("regex", "(brig|bark"),
        Grammar("regex", r"(?=a)b"),
        Grammar("json_schema", '{"type": "nonsense"}'),
    ],
)
def test_a_grammar_that_does_not_compile_is_refused_and_never_dropped(
    engine: LlamaCppEngine, grammar: Grammar
) -> None:
    error = error_of(engine, ask(grammar=grammar))

    assert isinstance(error, InvalidRequest)
    assert error.param == "response_format"
    assert text_of(engine, ask(grammar=Grammar("regex", "brig"))) == "brig"


@pytest.mark.parametrize("pattern", ["^a/b$", r"a\/b", r"a[/]b"])
def test_a_pattern_means_what_it_does_elsewhere(engine: LlamaCppEngine, pattern: str) -> None:
    assert text_of(engine, ask(grammar=Grammar("regex", pattern))) == "a/b"


def test_json_is_written_without_needless_blanks(engine: LlamaCppEngine) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"const": 1}, "b": {"const": [2, "é"]}},
        "required": ["a", "b"],
        "additionalProperties": False,
    }
    grammar = Grammar("json_schema", json.dumps(schema))

    text = text_of(engine, ask(grammar=grammar, sampling=SamplingParams(max_tokens=100)))

    assert text == '{"a": 1, "b": [2, "é"]}'


def test_scores_are_the_logarithms_that_the_weights_give(engine: LlamaCppEngine) -> None:
    prompt = ScorePrompt((Message("user", "x"),), ("hi", "é"))
    request = ScoreRequest(f"s{next(IDS)}", "any", (prompt,))

    engine.add(request)
    (scores,) = [delta.scores for delta in stepped(engine) if delta.scores]

    text = "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n"
    read = engine._prompts.encoded(text)
    for said, score in zip(prompt.continuations, scores.logprobs[0], strict=True):
        ids = engine._prompts.encoded(said)
        assert len(ids) == 2
        logits = MODEL.logits([*read, *ids])[len(read) - 1 : -1]
        # Its activations are of 8 bits, those of the model's arithmetic of 32.
        assert score == pytest.approx(sum(map(logprob, logits, ids)), abs=0.3)


def test_the_likeliest_alternatives_are_told(engine: LlamaCppEngine) -> None:
    engine.add(ask(logprobs=True, top_logprobs=3))

    chunks = [delta.chunk for delta in stepped(engine) if delta.chunk]

    logprobs = [one for chunk in chunks for one in chunk.logprobs]
    assert logprobs
    assert all(len(one.top) == 3 and one.top[0].logprob >= one.logprob for one in logprobs)


def test_an_adapter_that_lies_in_the_folder_changes_what_is_written(tmp_path: Path) -> None:
    import numpy as np

    plain = llamacpp_engine(tmp_path, MODEL)
    adapter = tmp_path / "lora.gguf"
    writer = GGUFWriter(adapter, "qwen2")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 8.0)
    random = np.random.default_rng(0)
    query = MODEL.num_heads * MODEL.head_size
    for name, size in (("lora_a", (4, MODEL.hidden_size)), ("lora_b", (query, 4))):
        values = random.standard_normal(size).astype(np.float32)
        writer.add_tensor(f"blk.0.attn_q.weight.{name}", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    (tmp_path / "adapted").mkdir()

    adapted = llamacpp_engine(tmp_path / "adapted", MODEL, (adapter,))

    texts = [text_of(one, ask(sampling=replace(LONG, max_tokens=20))) for one in (plain, adapted)]
    assert texts[0] != texts[1]
