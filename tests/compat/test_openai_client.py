"""The official `openai` client against the real default model."""

import json
import math
from collections.abc import AsyncIterator

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import (
    ChatCompletionChunk,
    ChatCompletionMessageFunctionToolCall,
    ChatCompletionMessageParam,
    ChatCompletionToolParam,
)
from openai.types.responses import ToolParam
from pydantic import BaseModel, Field

from tests.serving import Server

MODEL = "smollm2:135m"
EMBEDDER = "all-minilm"
DIMENSIONS = 384
PARAMETERS: dict[str, object] = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 12}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather in a city",
        "parameters": PARAMETERS,
    },
}
HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Say hello."}]
PARIS: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Weather in Paris?"}]


@pytest.fixture
async def client(model_server: Server) -> AsyncIterator[AsyncOpenAI]:
    """A client as its users make it, but that tries once, so that errors are seen."""
    async with AsyncOpenAI(
        base_url=f"{model_server.url}/v1", api_key="unused", max_retries=0
    ) as made:
        yield made


async def test_a_chat_is_answered_and_counted(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model=MODEL, messages=HELLO, max_completion_tokens=8, temperature=0
    )

    assert answer.id.startswith("chatcmpl-")
    assert answer.model == MODEL
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason in ("stop", "length")
    assert answer.usage is not None
    assert 1 <= answer.usage.completion_tokens <= 8
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer._request_id


async def test_a_stream_says_what_the_whole_answer_says(client: AsyncOpenAI) -> None:
    whole = await client.chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=8, temperature=0
    )

    stream = await client.chat.completions.create(
        model=MODEL,
        messages=HELLO,
        max_tokens=8,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]

    assert chunks[0].choices[0].delta.role == "assistant"
    assert _text(chunks) == whole.choices[0].message.content
    assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert whole.usage is not None
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


async def test_choices_side_by_side_are_told_apart_by_their_index(client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=4, n=2, seed=7, stream=True
    )

    chunks = [chunk async for chunk in stream]

    ended = [chunk.choices[0].index for chunk in chunks if chunk.choices[0].finish_reason]
    assert sorted(ended) == [0, 1]
    assert all(chunk.usage is None for chunk in chunks)


async def test_logprobs_are_those_of_the_tokens(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=4, temperature=0, logprobs=True
    )

    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content
    assert all(token.logprob <= 0 for token in logprobs.content)
    said = b"".join(bytes(token.bytes or ()) for token in logprobs.content).decode()
    assert said.startswith(answer.choices[0].message.content or "")


class Person(BaseModel):
    """What the model is to tell about somebody."""

    name: str = Field(max_length=12)
    age: int = Field(ge=0, le=150)


async def test_json_schema_output_validates(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Weather in Paris?"}],
        max_tokens=32,
        temperature=0,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "place", "strict": True, "schema": PARAMETERS},
        },
    )

    assert json.loads(answer.choices[0].message.content or "").keys() == {"city"}


async def test_parse_gives_an_object(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.parse(
        model=MODEL,
        messages=[{"role": "user", "content": "Tell me about Ada, who is 36 years old."}],
        temperature=0,
        max_tokens=32,
        response_format=Person,
    )

    assert isinstance(answer.choices[0].message.parsed, Person)


async def test_a_required_tool_is_called(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model=MODEL,
        messages=PARIS,
        tools=[WEATHER],
        tool_choice="required",
        max_tokens=32,
        temperature=0,
    )

    assert answer.choices[0].finish_reason == "tool_calls"
    (call,) = answer.choices[0].message.tool_calls or []
    assert isinstance(call, ChatCompletionMessageFunctionToolCall)
    assert call.id
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments).keys() == {"city"}


async def test_a_named_tool_is_called_in_a_stream(client: AsyncOpenAI) -> None:
    async with client.chat.completions.stream(
        model=MODEL,
        messages=PARIS,
        tools=[WEATHER],
        tool_choice={"type": "function", "function": {"name": "get_weather"}},
        max_tokens=32,
        temperature=0,
    ) as stream:
        answer = await stream.get_final_completion()

    (call,) = answer.choices[0].message.tool_calls or []
    assert answer.choices[0].finish_reason == "tool_calls"
    assert json.loads(call.function.arguments).keys() == {"city"}


async def test_a_choice_left_to_a_model_without_tools_is_an_error(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="required") as caught:
        await client.chat.completions.create(model=MODEL, messages=PARIS, tools=[WEATHER])

    assert caught.value.param == "tool_choice"


async def test_prompts_are_continued_in_their_order(client: AsyncOpenAI) -> None:
    answer = await client.completions.create(
        model=MODEL, prompt=["Once upon", "The capital of France is"], max_tokens=4, n=2, seed=1
    )

    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert answer.usage is not None
    assert answer.usage.completion_tokens <= 16


async def test_a_prompt_of_tokens_is_continued_as_a_stream(client: AsyncOpenAI) -> None:
    stream = await client.completions.create(
        model=MODEL, prompt=[504, 3575, 282], max_tokens=4, temperature=0, stream=True
    )

    chunks = [chunk async for chunk in stream]

    assert "".join(chunk.choices[0].text for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "length"


async def test_embeddings_are_equal_in_both_encodings(client: AsyncOpenAI) -> None:
    texts = ["alpha", "beta"]

    by_default = await client.embeddings.create(model=EMBEDDER, input=texts)
    floats = await client.embeddings.create(model=EMBEDDER, input=texts, encoding_format="float")

    assert [item.index for item in floats.data] == [0, 1]
    for packed, plain in zip(by_default.data, floats.data, strict=True):
        assert len(plain.embedding) == DIMENSIONS
        assert packed.embedding == pytest.approx(plain.embedding, abs=1e-6)
    assert floats.usage.prompt_tokens == floats.usage.total_tokens > 0


async def test_fewer_dimensions_are_a_unit_vector_too(client: AsyncOpenAI) -> None:
    made = await client.embeddings.create(model=EMBEDDER, input="alpha", dimensions=64)

    (vector,) = [item.embedding for item in made.data]
    assert len(vector) == 64
    assert math.hypot(*vector) == pytest.approx(1, abs=1e-3)


async def test_tokens_can_be_embedded(client: AsyncOpenAI) -> None:
    made = await client.embeddings.create(model=EMBEDDER, input=[[101, 6541, 102], [101, 102]])

    assert len(made.data) == 2


async def test_models_are_listed_and_shown(client: AsyncOpenAI) -> None:
    listed = [model.id async for model in client.models.list()]

    assert MODEL in listed
    assert (await client.models.retrieve(MODEL)).id == MODEL


async def test_a_response_is_made(client: AsyncOpenAI) -> None:
    answer = await client.responses.create(
        model=MODEL,
        instructions="Be terse.",
        input="Say hello.",
        max_output_tokens=8,
        temperature=0,
    )

    assert answer.output_text
    assert answer.status in ("completed", "incomplete")
    assert answer.usage is not None
    assert answer.usage.output_tokens <= 8


async def test_a_response_is_streamed(client: AsyncOpenAI) -> None:
    async with client.responses.stream(
        model=MODEL, input="Say hello.", max_output_tokens=8, temperature=0
    ) as stream:
        events = [event async for event in stream]

    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert events[0].type == "response.created"
    assert events[-1].type in ("response.completed", "response.incomplete")
    assert events[-1].response.output_text == text
    assert [event.sequence_number for event in events] == list(range(len(events)))


async def test_a_response_can_call_a_tool_and_be_told_its_output(client: AsyncOpenAI) -> None:
    tools: list[ToolParam] = [
        {"type": "function", "name": "get_weather", "parameters": PARAMETERS, "strict": True}
    ]

    asked = await client.responses.create(
        model=MODEL,
        input="Weather in Paris?",
        tools=tools,
        tool_choice="required",
        max_output_tokens=32,
        temperature=0,
    )
    (call,) = asked.output
    assert call.type == "function_call"
    told = await client.responses.create(
        model=MODEL,
        input=[
            {"role": "user", "content": "Weather in Paris?"},
            {
                "type": "function_call",
                "call_id": call.call_id,
                "name": call.name,
                "arguments": call.arguments,
            },
            {"type": "function_call_output", "call_id": call.call_id, "output": "18 C"},
        ],
        max_output_tokens=8,
    )

    assert told.output_text


async def test_an_unknown_model_is_not_found(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await client.chat.completions.create(model="nobody", messages=HELLO)

    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert caught.value.type == "not_found_error"


async def test_a_bad_value_names_its_key(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="temperature") as caught:
        await client.chat.completions.create(model=MODEL, messages=HELLO, temperature=-1)

    assert caught.value.param == "temperature"
    assert caught.value.type == "invalid_request_error"


async def test_a_prompt_longer_than_the_context_is_an_error(client: AsyncOpenAI) -> None:
    long = "hello " * 10_000

    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": long}], stream=True
        )

    assert caught.value.code == "context_length_exceeded"


def _text(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
