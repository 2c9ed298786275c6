"""What every engine must do, whatever runs inside it."""

import json
import math
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from canteen.core.engine import Delta, StepEngine, Work
from canteen.core.errors import CanteenError, ContextTooLong, InvalidRequest
from canteen.core.generation import (
    Chunk,
    GenerationRequest,
    Grammar,
    Message,
    SamplingParams,
    Usage,
)

GREEDY = SamplingParams(temperature=0.0, max_tokens=12)
ASK = GenerationRequest(
    "contract", "any", messages=(Message("user", "Tell me of the sea and the ships on it"),)
)
IDS = count()


def ask(**changes: Any) -> GenerationRequest:
    """A short greedy request of its own id."""
    return replace(ASK, **{"id": f"contract-{next(IDS)}", "sampling": GREEDY, **changes})


def chunks_of(engine: StepEngine, *requests: GenerationRequest) -> dict[str, list[Chunk]]:
    """Run requests together, to their end."""
    for request in requests:
        engine.add(request)
    chunks: dict[str, list[Chunk]] = {request.id: [] for request in requests}
    while engine.has_work():
        for delta in engine.step():
            assert delta.chunk is not None, delta.error
            chunks[delta.request_id].append(delta.chunk)
    return chunks


def run(engine: StepEngine, request: GenerationRequest) -> list[Chunk]:
    return chunks_of(engine, request)[request.id]


def text_of(chunks: list[Chunk], index: int = 0) -> str:
    return "".join(chunk.text for chunk in chunks if chunk.index == index)


def usage_of(chunks: list[Chunk]) -> Usage:
    usage = chunks[-1].usage
    assert usage is not None
    return usage


@pytest.mark.parametrize("n", [1, 3])
def test_every_choice_ends_once_and_the_usage_comes_very_last(engine: StepEngine, n: int) -> None:
    chunks = run(engine, ask(n=n))

    ended = [chunk.index for chunk in chunks if chunk.finish_reason]
    assert sorted(ended) == list(range(n))
    for index in range(n):
        assert [chunk for chunk in chunks if chunk.index == index][-1].finish_reason
    assert [chunk.usage is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]


def test_tokens_are_counted_in_chunks_as_in_the_usage(engine: StepEngine) -> None:
    chunks = run(engine, ask(n=2))

    usage = usage_of(chunks)
    assert usage.completion_tokens == sum(chunk.num_tokens for chunk in chunks) > 0
    assert usage.prompt_tokens > 0
    assert 0 <= usage.cached_tokens < usage.prompt_tokens
    assert usage.prefill_s >= 0
    assert usage.decode_s >= 0


def test_max_tokens_cuts_the_completion(engine: StepEngine) -> None:
    chunks = run(engine, ask(sampling=replace(GREEDY, max_tokens=3)))

    assert usage_of(chunks).completion_tokens == 3
    assert chunks[-1].finish_reason == "length"


def test_the_same_request_gives_the_same_text(engine: StepEngine) -> None:
    sampling = SamplingParams(temperature=1.0, seed=7, max_tokens=12)
    request = ask(sampling=sampling)

    first = text_of(run(engine, request))

    assert text_of(run(engine, request)) == first != ""


def test_a_stop_string_ends_the_text_and_no_part_of_it_is_shown(engine: StepEngine) -> None:
    whole = text_of(run(engine, ask()))
    for length in (1, 2, 7):
        stop = whole[9 : 9 + length]

        chunks = run(engine, ask(sampling=replace(GREEDY, stop=("never said", stop))))

        assert text_of(chunks) == whole[: whole.index(stop)]
        assert (chunks[-1].finish_reason, chunks[-1].stop_sequence) == ("stop", stop)


def test_a_prompt_can_be_counted_without_an_answer(engine: StepEngine) -> None:
    read = usage_of(run(engine, ask())).prompt_tokens

    chunks = run(engine, ask(counts_only=True))

    assert engine.work() == []
    assert len(chunks) == 1
    assert (usage_of(chunks).prompt_tokens, usage_of(chunks).completion_tokens) == (read, 0)


def test_what_only_begins_like_a_stop_string_is_shown(engine: StepEngine) -> None:
    whole = text_of(run(engine, ask()))

    chunks = run(engine, ask(sampling=replace(GREEDY, stop=(whole[-4:] + "never",))))

    assert text_of(chunks) == whole


def test_a_prompt_that_does_not_fit_is_refused_with_both_numbers(engine: StepEngine) -> None:
    with pytest.raises(ContextTooLong) as caught:
        engine.add(ask(messages=(), prompt="word " * 100, context_length=64))

    assert caught.value.context_length == 64
    assert caught.value.prompt_tokens >= 100
    assert not engine.has_work()


def test_the_context_of_the_model_is_the_limit(engine: StepEngine) -> None:
    limit = engine.capabilities.context_length
    with pytest.raises(ContextTooLong) as caught:
        engine.add(ask(messages=(), prompt="word " * (limit + 50), context_length=10 * limit))

    assert caught.value.context_length == limit
    assert caught.value.prompt_tokens > limit


def test_truncation_keeps_the_newest_part_and_is_counted(engine: StepEngine) -> None:
    sampling = replace(GREEDY, max_tokens=4)
    request = ask(messages=(), prompt="word " * 100, sampling=sampling)
    usage = usage_of(run(engine, request))

    cut = usage_of(run(engine, replace(request, context_length=64, truncate=True)))

    assert cut.prompt_tokens < 64
    assert cut.truncated_tokens == usage.prompt_tokens - cut.prompt_tokens


def test_a_completion_ends_where_the_context_ends(engine: StepEngine) -> None:
    sampling = SamplingParams(temperature=0.0, ignore_eos=True)

    chunks = run(engine, ask(messages=(), prompt="one two", sampling=sampling, context_length=24))

    usage = usage_of(chunks)
    assert usage.prompt_tokens + usage.completion_tokens <= 24
    assert usage.completion_tokens > 8


def test_token_ids_are_a_prompt(engine: StepEngine) -> None:
    chunks = run(engine, ask(messages=(), prompt_tokens=(65, 66, 67, 68)))

    assert usage_of(chunks).prompt_tokens == 4


def test_logprobs_are_those_of_the_tokens_shown(engine: StepEngine) -> None:
    chunks = run(engine, ask(logprobs=True))

    logprobs = [logprob for chunk in chunks for logprob in chunk.logprobs]
    assert b"".join(logprob.bytes for logprob in logprobs).decode() == text_of(chunks)
    assert all(logprob.logprob <= 0 for logprob in logprobs)


def test_top_logprobs_beyond_the_engines_are_refused_by_name(engine: StepEngine) -> None:
    with pytest.raises(InvalidRequest) as caught:
        engine.add(ask(logprobs=True, top_logprobs=engine.capabilities.top_logprobs + 1))

    assert caught.value.param == "top_logprobs"


SCHEMA = {
    "type": "object",
    "properties": {"ship": {"enum": ["brig", "bark"]}, "masts": {"type": "integer", "maximum": 9}},
    "required": ["ship", "masts"],
    "additionalProperties": False,
}


def test_a_json_schema_is_obeyed(engine: StepEngine) -> None:
    assert engine.capabilities.grammar
    sampling = replace(GREEDY, max_tokens=60)

    chunks = run(engine, ask(grammar=Grammar("json_schema", json.dumps(SCHEMA)), sampling=sampling))

    answer = json.loads(text_of(chunks))
    assert answer["ship"] in ("brig", "bark")
    assert isinstance(answer["masts"], int)
    assert chunks[-1].finish_reason == "stop"


def test_a_regular_expression_is_obeyed(engine: StepEngine) -> None:
    chunks = run(engine, ask(grammar=Grammar("regex", "(brig|bark)")))

    assert text_of(chunks) in ("brig", "bark")
    assert chunks[-1].finish_reason == "stop"


def test_requests_run_at_the_same_time(engine: StepEngine) -> None:
    requests = [ask(n=1 + number % 2) for number in range(6)]

    answers = chunks_of(engine, *requests)

    for request in requests:
        assert sum(chunk.finish_reason is not None for chunk in answers[request.id]) == request.n
        assert usage_of(answers[request.id]).completion_tokens > 0


def works_of(engine: StepEngine, request: GenerationRequest) -> tuple[list[Work], Usage]:
    """The work that is told of a request while it runs alone, and its usage."""
    engine.add(request)
    works: list[Work] = []
    chunks: list[Chunk] = []
    while engine.has_work():
        chunks += [delta.chunk for delta in engine.step() if delta.chunk]
        works += engine.work()
    return works, usage_of(chunks)


def test_the_work_told_is_the_prompt_that_was_not_cached_and_then_each_token(
    engine: StepEngine,
) -> None:
    sampling = replace(GREEDY, ignore_eos=True)
    request = ask(messages=(), prompt="some words of work " * 80, sampling=sampling)

    for asked in (request, replace(request, id="again")):
        works, usage = works_of(engine, asked)

        # The first token comes with the prompt.
        prefill_tokens = sum(work.prefill_tokens for work in works)
        assert prefill_tokens == usage.prompt_tokens - usage.cached_tokens
        assert sum(work.decode_tokens for work in works) == usage.completion_tokens - 1
        contexts = [work.context_tokens for work in works]
        assert contexts == sorted(contexts)
        assert contexts[-1] == usage.prompt_tokens + usage.completion_tokens - 2
        assert {work.request_id for work in works} == {asked.id}


def test_the_work_told_of_several_choices_is_their_requests(engine: StepEngine) -> None:
    request = ask(n=3, sampling=replace(GREEDY, ignore_eos=True))

    works, usage = works_of(engine, request)

    assert {work.request_id for work in works} == {request.id}
    assert sum(work.decode_tokens for work in works) == usage.completion_tokens - request.n


def test_no_work_is_told_of_a_step_in_which_nobody_runs(engine: StepEngine) -> None:
    request = ask()
    engine.add(request)
    engine.step()

    engine.cancel(request.id)
    while engine.has_work():
        engine.step()

    assert not engine.has_work()
    engine.step()
    assert not engine.work()


def test_a_cancelled_request_is_silent_and_the_others_go_on(engine: StepEngine) -> None:
    long = SamplingParams(temperature=0.0, max_tokens=100, ignore_eos=True)
    gone, going = ask(sampling=long), ask()
    engine.add(gone)
    engine.add(going)
    engine.step()

    engine.cancel(gone.id)

    deltas: list[Delta] = []
    while engine.has_work():
        deltas += engine.step()
    assert {delta.request_id for delta in deltas} == {going.id}
    assert engine.stats().num_running == 0


def test_a_request_is_cancelled_before_its_first_step(engine: StepEngine) -> None:
    request = ask()
    engine.add(request)

    engine.cancel(request.id)

    while engine.has_work():
        assert not engine.step()


def test_cancelling_what_is_not_there_does_nothing(engine: StepEngine) -> None:
    engine.cancel("never heard of")

    assert not engine.has_work()


def test_its_gauges_follow_the_requests(engine: StepEngine) -> None:
    request = ask()
    engine.add(request)
    assert engine.stats().num_running == 1

    run_down = [engine.step() for _ in iter(engine.has_work, False)]

    assert run_down
    assert engine.stats().num_running == 0
    assert 0 <= engine.stats().kv_cache_usage <= 1


@pytest.mark.parametrize(
    ("param", "value"),
    [
        ("temperature", -0.1),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("top_p", 1.5),
        ("top_p", math.nan),
        ("min_p", -1.0),
        ("top_k", -2),
        ("presence_penalty", 2.5),
        ("frequency_penalty", -math.inf),
        ("repetition_penalty", 0.0),
        ("repetition_penalty", math.nan),
        ("max_tokens", 0),
        ("max_tokens", -5),
        ("stop", ("x",) * 1000),
        ("stop", ("x" * 100_000,)),
    ],
)
def test_a_parameter_without_sense_is_refused_by_name(
    engine: StepEngine, param: str, value: object
) -> None:
    sampling = replace(GREEDY, **{param: value})  # type: ignore[arg-type]

    with pytest.raises(InvalidRequest) as caught:
        engine.add(ask(sampling=sampling))

    assert caught.value.param == param
    assert not engine.has_work()


@pytest.mark.parametrize("n", [0, -1, 100_000])
def test_too_many_choices_are_refused(engine: StepEngine, n: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        engine.add(ask(n=n))

    assert caught.value.param == "n"


@pytest.mark.parametrize(
    "sampling",
    [
        SamplingParams(temperature=0.7, top_k=10**12, seed=-1, max_tokens=4),
        SamplingParams(temperature=100.0, top_p=0.0, seed=2**70, max_tokens=4),
        SamplingParams(top_k=0, min_p=1.0, max_tokens=10**300, stop=("", "e", "a", "i", "o")),
        SamplingParams(
            presence_penalty=2.0, frequency_penalty=-2.0, repetition_penalty=9.0, max_tokens=4
        ),
    ],
)
def test_extreme_but_sensible_parameters_are_taken(
    engine: StepEngine, sampling: SamplingParams
) -> None:
    try:
        chunks = run(engine, ask(sampling=sampling))
    except CanteenError as error:
        pytest.fail(error.message)

    assert chunks[-1].finish_reason
