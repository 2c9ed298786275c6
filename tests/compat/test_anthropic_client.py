"""The official `anthropic` client against the real default model."""

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import pytest
from anthropic import AsyncAnthropic
from anthropic.types import MessageParam, TextBlock, ToolParam, ToolUseBlock
from pydantic import BaseModel, Field

from tests.serving import Server

MODEL = "smollm2:135m"
HELLO: list[MessageParam] = [{"role": "user", "content": "Say hello."}]
# No longer an argument of the client's.
GREEDY = {"temperature": 0}
WEATHER: ToolParam = {
    "name": "get_weather",
    "description": "Current weather in a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 12}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


@pytest.fixture
async def client(model_server: Server) -> AsyncIterator[AsyncAnthropic]:
    """A client as its users make it, but that tries once, so that errors are seen."""
    async with AsyncAnthropic(base_url=model_server.url, api_key="unused", max_retries=0) as made:
        yield made


async def test_a_message_is_answered_and_counted(client: AsyncAnthropic) -> None:
    counted = await client.messages.count_tokens(model=MODEL, messages=HELLO, system="Be brief.")

    answer = await client.messages.create(
        model=MODEL, messages=HELLO, system="Be brief.", max_tokens=8, extra_body=GREEDY
    )

    usage = answer.usage
    assert answer.id.startswith("msg_")
    assert isinstance(answer.content[0], TextBlock)
    assert answer.stop_reason in ("end_turn", "max_tokens")
    assert 1 <= usage.output_tokens <= 8
    assert usage.input_tokens + (usage.cache_read_input_tokens or 0) == counted.input_tokens
    assert (answer.model_extra or {})["footprint"]["tokens"]["prompt"] == counted.input_tokens


async def test_a_stream_says_what_the_whole_answer_says(client: AsyncAnthropic) -> None:
    # A prompt that is read anew and one from the cache differ in the last bits.
    await client.messages.create(model=MODEL, messages=HELLO, max_tokens=1)
    # Of so many tokens, not all come together while the machine is busy with something else.
    asked: Any = {"messages": HELLO, "max_tokens": 48, "extra_body": GREEDY}
    whole = await client.messages.create(model=MODEL, **asked)

    async with client.messages.stream(model=MODEL, **asked) as stream:
        pieces = [text async for text in stream.text_stream]
        final = await stream.get_final_message()

    assert len(pieces) > 1
    assert isinstance(whole.content[0], TextBlock)
    assert "".join(pieces) == whole.content[0].text
    assert final.stop_reason == whole.stop_reason
    assert final.usage.output_tokens == whole.usage.output_tokens


async def test_a_stop_sequence_is_named(client: AsyncAnthropic) -> None:
    answer = await client.messages.create(
        model=MODEL, messages=HELLO, max_tokens=64, extra_body=GREEDY, stop_sequences=["e", "zzz"]
    )

    assert (answer.stop_reason, answer.stop_sequence) == ("stop_sequence", "e")
    assert all("e" not in block.text for block in answer.content if isinstance(block, TextBlock))


async def test_a_tool_is_called_and_its_result_is_read(client: AsyncAnthropic) -> None:
    asked: list[MessageParam] = [{"role": "user", "content": "Weather in Paris?"}]
    async with client.messages.stream(
        model=MODEL,
        messages=asked,
        max_tokens=64,
        extra_body=GREEDY,
        tools=[WEATHER],
        tool_choice={"type": "any"},
    ) as stream:
        called = await stream.get_final_message()
    call = called.content[0]
    assert isinstance(call, ToolUseBlock)
    result: MessageParam = {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "21 °C"}],
    }

    answer = await client.messages.create(
        model=MODEL,
        messages=[*asked, {"role": "assistant", "content": called.content}, result],
        max_tokens=4,
    )

    assert called.stop_reason == "tool_use"
    assert call.input.keys() == {"city"}
    assert answer.usage.output_tokens > 0


class Person(BaseModel):
    """What the model is to tell about somebody."""

    name: str = Field(max_length=12)
    age: int = Field(ge=0, le=150)


async def test_parse_gives_an_object(client: AsyncAnthropic) -> None:
    answer = await client.messages.parse(
        model=MODEL,
        messages=[{"role": "user", "content": "Tell me about Ada, who is 36 years old."}],
        max_tokens=48,
        extra_body=GREEDY,
        output_format=Person,
    )

    assert isinstance(answer.parsed_output, Person)


async def test_errors_are_of_the_clients_own_kinds(client: AsyncAnthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as unknown:
        await client.messages.create(model="nobody", messages=HELLO, max_tokens=1)
    with pytest.raises(anthropic.BadRequestError) as free:
        await client.messages.create(
            model=MODEL, messages=HELLO, max_tokens=1, tools=[WEATHER], tool_choice={"type": "auto"}
        )
    with pytest.raises(anthropic.BadRequestError) as long:
        await client.messages.count_tokens(
            model=MODEL, messages=[{"role": "user", "content": "word " * 20_000}]
        )

    assert unknown.value.type == "not_found_error"
    assert "tool_choice of type 'any'" in free.value.message
    assert "context" in long.value.message
