"""An upstream's answers, as they should be and as they should not."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from canteen.core.engine import complete
from canteen.core.errors import (
    ContextTooLong,
    InvalidRequest,
    NotSupported,
    Overloaded,
    UpstreamFailed,
)
from canteen.core.generation import (
    EmbeddingRequest,
    GenerationRequest,
    Grammar,
    Message,
    SamplingParams,
    ScoreRequest,
    Tool,
    ToolChoice,
)
from canteen.core.upstream import Upstream
from canteen.engines.openai import Client, OpenAIEmbedder, OpenAIEngine
from tests.upstream import StandIn, event, refuses, says, stand_in, streams, tells

ASK = GenerationRequest("r", "any", messages=(Message("user", "Tell me of the sea"),))
DONE = b"data: [DONE]\n\n"
TOOL = Tool("weather", "of a place", {"type": "object", "properties": {"city": {}}})


@asynccontextmanager
async def asked(*script: Any) -> AsyncIterator[tuple[OpenAIEngine, StandIn]]:
    """An engine and its upstream, which answers so."""
    async with stand_in() as there:
        there.script = list(script)
        where = Upstream(there.base_url, "big-model")
        client = Client(where, lambda: "sk-secret")
        engine = OpenAIEngine(where, client, 4096, 4)
        yield engine, there
        await engine.close()


async def test_the_key_goes_with_each_request() -> None:
    async with asked() as (engine, there):
        await complete(engine, ASK)

    assert there.asked[0].headers["authorization"] == "Bearer sk-secret"


async def test_what_is_neutral_is_left_out_and_the_rest_is_said() -> None:
    sampling = SamplingParams(max_tokens=5, temperature=0.0, top_k=3, seed=7, stop=("x",))
    async with asked() as (engine, there):
        await complete(engine, replace(ASK, sampling=sampling))

    told = there.asked[0].body
    assert told.items() >= {"max_tokens": 5, "temperature": 0.0, "top_k": 3, "seed": 7}.items()
    assert told["stop"] == ["x"]
    assert told["stream_options"] == {"include_usage": True}
    assert not {"top_p", "min_p", "n", "tools", "repetition_penalty"} & set(told)


async def test_a_raw_prompt_is_continued() -> None:
    text = {"choices": [{"index": 0, "text": "and so on", "finish_reason": "length"}]}
    async with asked(streams(b"data: " + json.dumps(text).encode() + b"\n\n", DONE)) as (
        engine,
        there,
    ):
        said = await complete(engine, replace(ASK, messages=(), prompt="Once"))

    assert said.text == "and so on"
    assert said.choices[0].finish_reason == "length"
    assert there.asked[0].path == "/v1/completions"
    assert there.asked[0].body["prompt"] == "Once"


async def test_a_schema_and_tools_are_passed_on() -> None:
    request = replace(
        ASK,
        grammar=Grammar("json_schema", '{"type": "object"}'),
        tools=(TOOL,),
        tool_choice=ToolChoice("named", "weather"),
    )
    async with asked() as (engine, there):
        await complete(engine, request)

    told = there.asked[0].body
    assert told["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert told["tools"][0]["function"]["name"] == "weather"
    assert told["tool_choice"] == {"type": "function", "function": {"name": "weather"}}


async def test_a_call_in_pieces_is_one_call() -> None:
    pieces = [
        {"index": 0, "id": "c1", "function": {"name": "weather", "arguments": '{"ci'}},
        {"index": 0, "function": {"arguments": 'ty": "Paris"}'}},
    ]
    events = [event({"tool_calls": [piece]}) for piece in pieces]
    async with asked(streams(*events, event({}, "tool_calls"), DONE)) as (engine, _):
        said = await complete(engine, replace(ASK, tools=(TOOL,)))

    (call,) = said.choices[0].tool_calls
    assert (call.id, call.name, call.arguments) == ("c1", "weather", '{"city": "Paris"}')
    assert said.choices[0].finish_reason == "tool_calls"


async def test_logprobs_come_with_their_alternatives() -> None:
    token = {"token": "a", "logprob": -0.5, "bytes": [97]}
    told = {"content": [{**token, "top_logprobs": [token, {"token": "b", "logprob": -1.0}]}]}
    answer = streams(event({"content": "a"}, logprobs=told), event({}, "stop"), DONE)
    async with asked(answer) as (engine, there):
        said = await complete(engine, replace(ASK, logprobs=True, top_logprobs=2))

    (logprob,) = said.choices[0].logprobs
    assert (logprob.token, logprob.logprob, logprob.bytes) == ("a", -0.5, b"a")
    assert [one.token for one in logprob.top] == ["a", "b"]
    assert there.asked[0].body["top_logprobs"] == 2


async def test_tokens_in_chunks_add_up_to_those_the_upstream_counts() -> None:
    async with asked(says("one two", " three", usage={"completion_tokens": 5})) as (engine, _):
        chunks = [chunk async for chunk in engine.generate(ASK)]

    assert sum(chunk.num_tokens for chunk in chunks) == 5
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 5


GARBAGE: dict[str, tuple[bytes, ...]] = {
    "no JSON": (b"data: {nonsense\n\n",),
    "no object": (b"data: 17\n\n",),
    "other types": (b'data: {"choices": 3}\n\n',),
    "a choice nobody asked for": (
        b'data: {"choices": [{"index": 9, "delta": {"content": "x"}}]}\n\n',
    ),
    "no words of the dialect": (b"<html>bad gateway</html>\n",),
    "nothing": (),
    "an end without an answer": (DONE,),
    "an error": (b'data: {"error": {"message": "out of memory"}}\n\n',),
    "deep nesting": (b"data: " + b"[" * 100_000 + b"\n\n",),
    "a number that is none": (b'data: {"choices": [], "usage": {"prompt_tokens": "many"}}\n\n',),
    "no end of a line": (b"data: " + b"x" * (5 << 20),),
}


@pytest.mark.parametrize("lines", GARBAGE.values(), ids=GARBAGE)
async def test_garbage_is_an_error_of_the_upstreams(lines: tuple[bytes, ...]) -> None:
    async with asked(streams(*lines)) as (engine, _):
        with pytest.raises(UpstreamFailed):
            await complete(engine, ASK)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "upstream_refused"),
        (404, "upstream_refused"),
        (500, "upstream_failed"),
        (502, "upstream_failed"),
        (302, "upstream_failed"),
    ],
)
async def test_its_failures_are_told_without_its_words(status: int, code: str) -> None:
    async with asked(refuses(status, {"message": "at /srv/secret"})) as (engine, _):
        with pytest.raises(UpstreamFailed) as caught:
            await complete(engine, ASK)

    assert caught.value.code == code
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after_ms": "1500", "retry_after": "2"}, 1.5),
        ({"retry_after": "soon"}, 1.0),
        ({"retry_after": "-5"}, 1.0),
        ({"retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry_after": "99999999"}, 3600.0),
    ],
)
async def test_what_it_asks_to_wait_is_understood(headers: dict[str, str], wait_s: float) -> None:
    async with asked(refuses(429, None, **headers)) as (engine, _):
        with pytest.raises(Overloaded) as caught:
            await complete(engine, ASK)

    assert caught.value.retry_after_s == wait_s


@pytest.mark.parametrize(
    "message",
    [
        "the prompt has 900 tokens and the context holds 512 (the answer needs one)",
        "This model's maximum context length is 512 tokens. However, your messages resulted in "
        "900 tokens.",
    ],
)
async def test_a_prompt_that_is_too_long_there_is_told_in_numbers(message: str) -> None:
    async with asked(refuses(400, {"message": message})) as (engine, _):
        with pytest.raises(ContextTooLong) as caught:
            await complete(engine, ASK)

    assert (caught.value.prompt_tokens, caught.value.context_length) == (900, 512)


@pytest.mark.parametrize(
    "change",
    [
        lambda request: replace(request, template="{{ messages }}"),
        lambda request: replace(request, grammar=Grammar("regex", "a|b")),
        lambda request: replace(request, counts_only=True),
    ],
)
async def test_what_cannot_be_asked_elsewhere_is_refused_before_anything_is_sent(
    change: Callable[[GenerationRequest], GenerationRequest],
) -> None:
    async with asked() as (engine, there):
        with pytest.raises(InvalidRequest):
            await complete(engine, change(ASK))

    assert not there.asked


async def test_an_upstream_gives_no_scores() -> None:
    async with asked() as (engine, _):
        with pytest.raises(NotSupported):
            await engine.score(ScoreRequest("r", "any", ()))


async def test_nobody_at_the_address_is_told() -> None:
    async with asked() as (engine, there):
        pass
    gone = Upstream(there.base_url, "m")
    engine = OpenAIEngine(gone, Client(gone, lambda: ""), 4096, 4)

    with pytest.raises(UpstreamFailed) as caught:
        await complete(engine, ASK)

    assert caught.value.code == "upstream_unreachable"
    assert "try again" in caught.value.message
    await engine.close()


async def test_embeddings_come_in_order_and_of_length_one() -> None:
    rows = [{"index": 1, "embedding": [0, 2]}, {"index": 0, "embedding": [3, 4]}]
    async with stand_in(tells({"data": rows, "usage": {"prompt_tokens": 3}})) as there:
        where = Upstream(there.base_url, "m")
        embedder = OpenAIEmbedder(where, Client(where, lambda: ""))
        made = await embedder.embed(EmbeddingRequest("r", "any", ("a", (1, 2))))
        await embedder.close()

    assert made.vectors[0] == pytest.approx((0.6, 0.8))
    assert made.vectors[1] == (0.0, 1.0)
    assert made.usage.prompt_tokens == 3
    assert there.asked[0].body["input"] == ["a", [1, 2]]
    assert "authorization" not in there.asked[0].headers


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"data": []},
        {"data": [{"index": 0, "embedding": []}]},
        {"data": [{"index": 0, "embedding": ["x"]}]},
        {"data": [{"embedding": [1.0]}]},
        {"error": {"message": "no"}},
    ],
)
async def test_vectors_that_are_none_are_an_error(told: dict[str, Any]) -> None:
    async with stand_in(tells(told)) as there:
        where = Upstream(there.base_url, "m")
        embedder = OpenAIEmbedder(where, Client(where, lambda: ""))
        with pytest.raises(UpstreamFailed):
            await embedder.embed(EmbeddingRequest("r", "any", ("a",)))
        await embedder.close()


async def test_many_answers_stream_at_once() -> None:
    async with asked() as (engine, there):
        said = await asyncio.gather(*(complete(engine, ASK) for _ in range(30)))

    assert {one.text for one in said} == {"one two"}
    assert len(there.asked) == 30
