"""What the openvino engine adds to the engine contract, on the real default model."""

import json
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from canteen.core.errors import ContextTooLong, InvalidRequest
from canteen.core.generation import (
    Chunk,
    GenerationRequest,
    Grammar,
    Message,
    SamplingParams,
    Tool,
    ToolCall,
    Usage,
)
from canteen.engines.detokenizing import REPLACEMENT
from canteen.engines.openvino import OpenVinoEngine
from canteen.runtime.catalog import Catalog

GREEDY = SamplingParams(temperature=0.0, max_tokens=16)
IDS = count()
# On a busy machine something may take long once; what is done twice takes long each time.
TRIES = 3
SOURCES = (".cpp", ".hpp", "/home", "jenkins", "Exception")


@pytest.fixture(scope="module")
def engine(model_home: Path) -> OpenVinoEngine:
    catalog = Catalog(model_home)
    return OpenVinoEngine(catalog.path(catalog.get("smollm2:135m")), max_num_seqs=8)


def ask(content: str = "Hello", **changes: Any) -> GenerationRequest:
    request = GenerationRequest(
        f"r{next(IDS)}", "any", messages=(Message("user", content),), sampling=GREEDY
    )
    return replace(request, **changes)


def run(engine: OpenVinoEngine, request: GenerationRequest) -> list[Chunk]:
    engine.add(request)
    chunks: list[Chunk] = []
    while engine.has_work():
        chunks += [delta.chunk for delta in engine.step() if delta.chunk]
    return chunks


def text(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


def usage(chunks: list[Chunk]) -> Usage:
    found = chunks[-1].usage
    assert found is not None
    return found


def test_characters_of_many_tokens_come_whole(engine: OpenVinoEngine) -> None:
    chunks = run(engine, ask("Write ten emoji", logprobs=True))

    assert any(ord(letter) > 0xFFFF for letter in text(chunks))
    assert not any(REPLACEMENT in chunk.text for chunk in chunks[:-1])


def test_the_same_prompt_again_comes_from_the_prefix_cache(engine: OpenVinoEngine) -> None:
    request = ask("Once upon a time there was a ship. " * 60)
    first = usage(run(engine, request))

    again = [usage(run(engine, request)) for _ in range(TRIES)]

    assert first.cached_tokens < 64
    for one in again:
        assert one.cached_tokens >= one.prompt_tokens // 32 * 32 - 1
    assert min(one.prefill_s for one in again) < first.prefill_s


def test_the_other_choices_of_a_request_find_its_prompt_in_the_cache(
    engine: OpenVinoEngine,
) -> None:
    content = "Of the three ships the third was last. " * 40
    alone = usage(run(engine, ask(content)))

    sampling = replace(GREEDY, temperature=1.0, seed=5)
    tries = [
        run(engine, ask(f"And so, {number}. {content}", n=3, sampling=sampling))
        for number in range(TRIES)
    ]

    took_s = min(usage(chunks).prefill_s + usage(chunks).decode_s for chunks in tries)
    assert took_s < 3 * (alone.prefill_s + alone.decode_s)
    for chunks in tries:
        texts = {text([chunk for chunk in chunks if chunk.index == index]) for index in range(3)}
        assert len(texts) == 3


@pytest.mark.parametrize(
    "grammar",
    [
        Grammar("regex", "(yes|no"),
        Grammar("regex", "(?=yes)yes"),
        Grammar("regex", "((a{100}){100}){100}"),
        Grammar("json_schema", '{"type": "frob"}'),
        Grammar("json_schema", '{"type":'),
        Grammar("json_schema", '{"$ref": "#/$defs/none"}'),
        Grammar("json_schema", '{"type": "string", "pattern": "((a{50}){50}){50}"}'),
    ],
)
def test_a_grammar_that_does_not_compile_is_refused_and_breaks_nothing(
    engine: OpenVinoEngine, grammar: Grammar
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        engine.add(ask(grammar=grammar))

    assert caught.value.param == "response_format"
    assert not any(word in caught.value.message for word in SOURCES)
    assert text(run(engine, ask(grammar=Grammar("regex", "(yes|no)")))) in ("yes", "no")


def test_large_bounds_are_left_to_validation(engine: OpenVinoEngine) -> None:
    schema = {"type": "string", "maxLength": 1_000_000, "minLength": 2}

    chunks = run(engine, ask(grammar=Grammar("json_schema", json.dumps(schema))))

    assert text(chunks).startswith('"')


def test_any_json_object_may_be_asked_for(engine: OpenVinoEngine) -> None:
    request = ask(
        'Answer with {"ok": true}',
        grammar=Grammar("json_object"),
        sampling=replace(GREEDY, max_tokens=400),
    )

    chunks = run(engine, request)

    if chunks[-1].finish_reason == "stop":
        assert isinstance(json.loads(text(chunks)), dict)
    assert text(chunks).startswith("{")


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ .Prompt }}", "Go"),
        ("{{ if .System }}x{{ end }}", "Go"),
        ("{% for", "Jinja"),
        ("{{ raise_exception('no') }}", "Jinja"),
        ("{% for i in range(1000000000) %}x{% endfor %}", "range"),
        ("x" * 100_000, "characters"),
        ("{% for a in messages[0]['content'].split(' ') %}{{ a }}{% endfor %}", "split"),
        ("{% for a in messages %}{% for b in messages %}x{% endfor %}{% endfor %}", "in another"),
        ("{% for a in messages[0].content %}x{% endfor %}", "over messages"),
        ("{% set x = 'a' %}{{ x }}", "set"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused(
    engine: OpenVinoEngine, template: str, words: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        engine.add(ask(template=template))

    assert caught.value.param == "template"
    assert words in caught.value.message
    assert not any(word in caught.value.message for word in SOURCES)


def test_a_jinja_template_replaces_the_models_own(engine: OpenVinoEngine) -> None:
    template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"

    raw = usage(run(engine, ask("one two three", template=template)))

    assert (
        raw.prompt_tokens
        == usage(run(engine, ask(messages=(), prompt="one two three"))).prompt_tokens
    )


def test_calls_and_results_of_tools_may_be_in_the_history(engine: OpenVinoEngine) -> None:
    call = ToolCall("c1", "weather", '{"city": "Rome"}')
    messages = (
        Message("user", "What is the weather in Rome?"),
        Message("assistant", "", tool_calls=(call,)),
        Message("tool", "sunny", tool_call_id="c1", name="weather"),
    )

    chunks = run(engine, ask(messages=messages, tools=(Tool("weather"),)))

    assert text(chunks)


@pytest.mark.parametrize("token", [-1, 49_152, 2**40])
def test_a_token_id_that_is_not_in_the_vocabulary_is_refused(
    engine: OpenVinoEngine, token: int
) -> None:
    with pytest.raises(InvalidRequest, match=str(token)) as caught:
        engine.add(ask(messages=(), prompt_tokens=(5, token)))

    assert caught.value.param == "prompt"


def test_half_a_surrogate_pair_is_refused(engine: OpenVinoEngine) -> None:
    with pytest.raises(InvalidRequest, match="Unicode"):
        engine.add(ask(messages=(), prompt="\ud83d"))


def test_a_text_of_megabytes_is_refused_without_reading_it_all(engine: OpenVinoEngine) -> None:
    with pytest.raises(ContextTooLong) as caught:
        engine.add(ask("a b " * 2_000_000))

    assert caught.value.prompt_tokens > caught.value.context_length == 8192


def test_an_empty_prompt_begins_a_text(engine: OpenVinoEngine) -> None:
    chunks = run(engine, ask(messages=(), prompt=""))

    assert usage(chunks).prompt_tokens == 1
    assert text(chunks)


def test_truncation_drops_whole_old_messages_and_keeps_the_system_and_the_newest(
    engine: OpenVinoEngine,
) -> None:
    system, newest = Message("system", "Be short."), Message("user", "Hi")
    old = tuple(Message("user", "word " * 100) for _ in range(5))
    short = usage(run(engine, ask(messages=(system, newest))))

    request = ask(messages=(system, *old, newest), context_length=100, truncate=True)
    cut = usage(run(engine, request))

    assert cut.prompt_tokens == short.prompt_tokens
    assert cut.truncated_tokens > 500


def test_a_prefill_is_cancelled_between_its_steps(engine: OpenVinoEngine) -> None:
    before = engine.stats().kv_cache_usage
    request = ask("The sea is wide. " * 300)
    engine.add(request)
    assert engine.step() == []

    engine.cancel(request.id)

    assert [engine.step() for _ in iter(engine.has_work, False)] == [[]]
    assert engine.stats().kv_cache_usage <= before + 0.01


def test_ids_may_be_used_again_and_not_twice_at_once(engine: OpenVinoEngine) -> None:
    request = ask()
    engine.add(request)

    with pytest.raises(InvalidRequest):
        engine.add(request)

    engine.cancel(request.id)
    assert run(engine, request)
