"""LangChain's `ChatOllama`, `OllamaLLM` and `OllamaEmbeddings` against the real default model."""

from collections.abc import Iterator

import ollama
import pytest
from langchain_ollama import ChatOllama, OllamaEmbeddings, OllamaLLM
from pydantic import BaseModel, Field

from tests.serving import Server

MODEL = "smollm2:135m"
EMBEDDER = "all-minilm"
DIMENSIONS = 384


def opened(client: ollama.Client | None) -> ollama.Client:
    """The connections of a LangChain class, to be closed; it has no way of its own to do that."""
    assert client is not None
    return client


@pytest.fixture
def chat(model_server: Server) -> Iterator[ChatOllama]:
    """A chat model that looks for its model when it is made, and is closed with the test."""
    made = ChatOllama(
        model=MODEL,
        base_url=model_server.url,
        temperature=0,
        num_predict=32,
        validate_model_on_init=True,
    )
    with opened(made._client):
        yield made


@pytest.fixture
def llm(model_server: Server) -> Iterator[OllamaLLM]:
    """The successor of the article's class."""
    made = OllamaLLM(model=MODEL, base_url=model_server.url, temperature=0, num_predict=16)
    with opened(made._client):
        yield made


@pytest.fixture
def embeddings(model_server: Server) -> Iterator[OllamaEmbeddings]:
    """Vectors of texts."""
    made = OllamaEmbeddings(model=EMBEDDER, base_url=model_server.url)
    with opened(made._client):
        yield made


def test_a_chat_is_answered_and_counted(chat: ChatOllama) -> None:
    message = chat.invoke("who is Oppenheimer")

    assert message.text
    assert message.usage_metadata is not None
    assert 0 < message.usage_metadata["output_tokens"] <= 32
    assert message.usage_metadata["input_tokens"] > 0


def test_a_stream_of_a_chat_adds_up_to_the_answer(chat: ChatOllama) -> None:
    whole = chat.invoke("who is Oppenheimer")

    pieces = list(chat.stream("who is Oppenheimer"))

    assert "".join(piece.text for piece in pieces) == whole.text
    assert len(pieces) > 2


def test_the_successor_of_the_articles_snippet_runs(llm: OllamaLLM) -> None:
    answer = llm.invoke("who is Oppenheimer")

    assert answer
    assert "".join(llm.stream("who is Oppenheimer")) == answer


class City(BaseModel):
    """The city that is asked about."""

    city: str = Field(max_length=12)


def test_structured_output_is_an_object(chat: ChatOllama) -> None:
    assert isinstance(chat.with_structured_output(City).invoke("Weather in Paris?"), City)


def test_a_schema_that_is_a_dict_gives_a_dict(chat: ChatOllama) -> None:
    structured = chat.with_structured_output(
        {"title": "City", "type": "object", "properties": {"city": {"const": "Paris"}}},
        method="json_schema",
    )

    assert isinstance(structured.invoke("Weather in Paris?"), dict)


def test_texts_are_embedded_in_order(embeddings: OllamaEmbeddings) -> None:
    cat, tax = embeddings.embed_documents(["a cat", "tax law"])

    assert len(cat) == DIMENSIONS
    assert embeddings.embed_query("a cat") == pytest.approx(cat, abs=5e-3)
    assert cat != tax


def test_an_error_keeps_its_status(model_server: Server) -> None:
    missing = OllamaLLM(model="none", base_url=model_server.url)

    with opened(missing._client), pytest.raises(ollama.ResponseError) as refused:
        missing.invoke("hello")

    assert refused.value.status_code == 404
