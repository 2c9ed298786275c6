"""LangChain's `ChatOpenAI` and `OpenAIEmbeddings` against the real default model."""

from collections.abc import Iterator
from typing import Annotated

import openai
import pytest
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from openai import DefaultHttpxClient
from pydantic import BaseModel, Field, SecretStr

from tests.serving import Server

MODEL = "smollm2:135m"
EMBEDDER = "all-minilm"
KEY = SecretStr("unused")
# A small model may go on and on; a string with an end keeps the answer within its tokens.
Place = Annotated[str, Field(max_length=12)]


@pytest.fixture
def http() -> Iterator[DefaultHttpxClient]:
    """Connections that end with the test; LangChain keeps those it makes until the program ends."""
    with DefaultHttpxClient() as client:
        yield client


def chat(server: Server, http: DefaultHttpxClient, model: str = MODEL) -> ChatOpenAI:
    return ChatOpenAI(
        model=model,
        base_url=f"{server.url}/v1",
        api_key=KEY,
        temperature=0,
        max_completion_tokens=32,
        max_retries=0,
        http_client=http,
    )


def test_a_chat_is_answered_and_counted(model_server: Server, http: DefaultHttpxClient) -> None:
    message = chat(model_server, http).invoke("who is Oppenheimer")

    assert message.text
    assert message.usage_metadata is not None
    assert message.usage_metadata["output_tokens"] <= 32


def test_a_stream_adds_up_to_the_answer(model_server: Server, http: DefaultHttpxClient) -> None:
    llm = chat(model_server, http)
    whole = llm.invoke("who is Oppenheimer")

    pieces = list(llm.stream("who is Oppenheimer", stream_usage=True))

    assert "".join(piece.text for piece in pieces) == whole.text
    assert len(pieces) > 2
    assert any(piece.usage_metadata for piece in pieces)


class City(BaseModel):
    """The city that is asked about."""

    city: Place


def test_structured_output_is_an_object(model_server: Server, http: DefaultHttpxClient) -> None:
    llm = chat(model_server, http).with_structured_output(City, method="json_schema")

    assert isinstance(llm.invoke("Weather in Paris?"), City)


@tool
def get_weather(city: Place) -> str:
    """Current weather in a city."""
    return f"18 C in {city}"


def test_a_bound_tool_is_called(model_server: Server, http: DefaultHttpxClient) -> None:
    llm = chat(model_server, http).bind_tools([get_weather], tool_choice="get_weather")

    message = llm.invoke("Weather in Paris?")

    (call,) = message.tool_calls
    assert call["name"] == "get_weather"
    assert call["args"].keys() == {"city"}


def test_embeddings_tell_near_from_far(model_server: Server, http: DefaultHttpxClient) -> None:
    embedder = OpenAIEmbeddings(
        model=EMBEDDER,
        base_url=f"{model_server.url}/v1",
        api_key=KEY,
        http_client=http,
        # Its own tokenizer is that of a hosted model; ours reads the text.
        check_embedding_ctx_length=False,
    )

    cat, kitten, tax = embedder.embed_documents(["a cat", "a kitten", "income tax"])

    assert _dot(cat, kitten) > _dot(cat, tax)


def test_an_unknown_model_is_an_error(model_server: Server, http: DefaultHttpxClient) -> None:
    with pytest.raises(openai.NotFoundError, match="nobody"):
        chat(model_server, http, "nobody").invoke("hello")


def _dot(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
