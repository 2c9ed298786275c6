"""LangChain's `ChatOpenAI` and `OpenAIEmbeddings` against the real default model."""

import openai
import pytest
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, SecretStr

from tests.serving import Server

MODEL = "smollm2:135m"
EMBEDDER = "all-minilm"
KEY = SecretStr("unused")


def chat(server: Server, model: str = MODEL) -> ChatOpenAI:
    return ChatOpenAI(
        model=model,
        base_url=f"{server.url}/v1",
        api_key=KEY,
        temperature=0,
        max_completion_tokens=32,
        max_retries=0,
    )


async def test_a_chat_is_answered_and_counted(model_server: Server) -> None:
    message = await chat(model_server).ainvoke("who is Oppenheimer")

    assert message.text
    assert message.usage_metadata is not None
    assert message.usage_metadata["output_tokens"] <= 32


async def test_a_stream_adds_up_to_the_answer(model_server: Server) -> None:
    llm = chat(model_server)
    whole = await llm.ainvoke("who is Oppenheimer")

    pieces = [piece async for piece in llm.astream("who is Oppenheimer", stream_usage=True)]

    assert "".join(piece.text for piece in pieces) == whole.text
    assert len(pieces) > 2
    assert any(piece.usage_metadata for piece in pieces)


class City(BaseModel):
    """The city that is asked about."""

    city: str


async def test_structured_output_is_an_object(model_server: Server) -> None:
    llm = chat(model_server).with_structured_output(City, method="json_schema")

    assert isinstance(await llm.ainvoke("Weather in Paris?"), City)


@tool
def get_weather(city: str) -> str:
    """Current weather in a city."""
    return f"18 C in {city}"


async def test_a_bound_tool_is_called(model_server: Server) -> None:
    llm = chat(model_server).bind_tools([get_weather], tool_choice="get_weather")

    message = await llm.ainvoke("Weather in Paris?")

    (call,) = message.tool_calls
    assert call["name"] == "get_weather"
    assert call["args"].keys() == {"city"}


async def test_embeddings_tell_near_from_far(model_server: Server) -> None:
    embedder = OpenAIEmbeddings(
        model=EMBEDDER,
        base_url=f"{model_server.url}/v1",
        api_key=KEY,
        # Its own tokenizer is that of a hosted model; ours reads the text.
        check_embedding_ctx_length=False,
    )

    cat, kitten, tax = await embedder.aembed_documents(["a cat", "a kitten", "income tax"])

    assert _dot(cat, kitten) > _dot(cat, tax)


async def test_an_unknown_model_is_an_error(model_server: Server) -> None:
    with pytest.raises(openai.NotFoundError, match="nobody"):
        await chat(model_server, "nobody").ainvoke("hello")


def _dot(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
