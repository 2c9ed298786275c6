"""The official `ollama` client against the real default model."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import ollama
import pytest
from ollama import Client
from pydantic import BaseModel, Field

from canteen.runtime.catalog import Catalog
from tests.conftest import Serve
from tests.serving import Server

MODEL = "smollm2:135m"
EMBEDDER = "all-minilm"
DIMENSIONS = 384
BRIEF = {"num_predict": 8, "temperature": 0}
HELLO = [{"role": "user", "content": "Say hello."}]


@pytest.fixture
def client(model_server: Server) -> Iterator[Client]:
    """A client as its users make it, of a server that is only asked."""
    with Client(host=model_server.url) as made:
        yield made


@pytest.fixture
def echo(serve: Serve, echo_home: Path) -> Iterator[Client]:
    """A client of a server whose store may be changed."""
    with Client(host=serve(echo_home).url) as made:
        yield made


def test_a_prompt_is_continued_and_counted(client: Client) -> None:
    answer = client.generate(MODEL, "who is Oppenheimer", options=BRIEF)

    assert answer.response
    assert answer.done
    assert answer.done_reason == "length"
    assert answer.eval_count == 8
    assert answer.prompt_eval_count
    assert answer.eval_duration
    assert answer.total_duration
    assert answer.total_duration >= answer.eval_duration
    assert answer.created_at
    assert datetime.fromisoformat(answer.created_at).tzinfo == UTC


def test_a_stream_of_a_prompt_adds_up_to_the_answer(client: Client) -> None:
    whole = client.generate(MODEL, "who is Oppenheimer", options=BRIEF)

    parts = list(client.generate(MODEL, "who is Oppenheimer", options=BRIEF, stream=True))

    assert "".join(part.response or "" for part in parts) == whole.response
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert parts[-1].eval_count == whole.eval_count


def test_a_chat_is_answered(client: Client) -> None:
    answer = client.chat(MODEL, HELLO, options=BRIEF)

    assert answer.message.role == "assistant"
    assert answer.message.content
    assert answer.eval_count


def test_a_stream_of_a_chat_adds_up_to_the_answer(client: Client) -> None:
    whole = client.chat(MODEL, HELLO, options=BRIEF)

    parts = list(client.chat(MODEL, HELLO, options=BRIEF, stream=True))

    assert all(part.message.role == "assistant" for part in parts)
    assert "".join(part.message.content or "" for part in parts) == whole.message.content


def test_logprobs_are_those_of_the_tokens(client: Client) -> None:
    answer = client.chat(MODEL, HELLO, options=BRIEF, logprobs=True)

    assert answer.logprobs
    assert all(token.logprob <= 0 for token in answer.logprobs)
    said = "".join(token.token for token in answer.logprobs)
    assert said.startswith(answer.message.content or "nothing")


class Person(BaseModel):
    """What the model is to tell about somebody."""

    name: str = Field(max_length=12)
    age: int = Field(ge=0, le=150)


@pytest.mark.parametrize("is_streamed", [True, False])
def test_format_makes_the_answer_satisfy_the_schema(client: Client, is_streamed: bool) -> None:
    options = {"num_predict": 32, "temperature": 0}
    schema = Person.model_json_schema()
    about = "Tell me about Ada, who is 36 years old."

    if is_streamed:
        parts = client.generate(MODEL, about, format=schema, options=options, stream=True)
        said = "".join(part.response or "" for part in parts)
    else:
        said = client.generate(MODEL, about, format=schema, options=options).response or ""

    assert Person.model_validate_json(said)


def test_vectors_come_in_order_and_are_of_length_one(client: Client) -> None:
    made = client.embed(EMBEDDER, ["a cat", "a kitten", "tax law"])

    cat, kitten, tax = made.embeddings
    assert len(cat) == DIMENSIONS
    assert math.isclose(math.hypot(*cat), 1, abs_tol=1e-3)
    assert math.dist(cat, kitten) < math.dist(cat, tax)
    assert made.prompt_eval_count


def test_the_old_way_gives_the_same_vector(client: Client) -> None:
    (new,) = client.embed(EMBEDDER, "a cat").embeddings

    old = client.embeddings(EMBEDDER, "a cat").embedding

    assert old == pytest.approx(new, abs=1e-3)


def test_a_long_text_is_cut_unless_forbidden(client: Client) -> None:
    text = "word " * 2000

    assert len(client.embed(EMBEDDER, text).embeddings) == 1
    with pytest.raises(ollama.ResponseError) as refused:
        client.embed(EMBEDDER, text, truncate=False)
    assert refused.value.status_code == 400


def test_models_are_listed_and_shown(client: Client) -> None:
    listed = {model.model: model for model in client.list().models}
    shown = client.show(MODEL)

    details = listed[MODEL].details
    assert details is not None
    assert details.family == "llama"
    assert details.parameter_size == "134.52M"
    assert listed[MODEL].size
    assert len(listed[MODEL].digest or "") == 64
    assert f"{EMBEDDER}:latest" in listed
    assert shown.capabilities == ["completion"]
    assert shown.modelinfo is not None
    assert shown.modelinfo["llama.context_length"] == 8192
    assert shown.modelinfo["general.parameter_count"] == 134515008
    assert client.show(EMBEDDER).capabilities == ["embedding"]


def test_a_loaded_model_is_seen_with_its_end(client: Client) -> None:
    client.generate(MODEL, keep_alive="20m")

    loaded = {model.name: model for model in client.ps().models}

    assert loaded[MODEL].size
    assert loaded[MODEL].size_vram == 0
    assert loaded[MODEL].context_length == 8192
    expires_at = loaded[MODEL].expires_at
    assert expires_at is not None
    assert 600 < (expires_at - datetime.now(UTC)).total_seconds() <= 1200


def test_an_unknown_model_is_a_404(client: Client) -> None:
    with pytest.raises(ollama.ResponseError, match="model 'none' not found") as refused:
        client.chat("none", HELLO)

    assert refused.value.status_code == 404


def test_a_stream_that_cannot_begin_has_the_status_of_its_error(client: Client) -> None:
    with pytest.raises(ollama.ResponseError, match="temperature") as refused:
        list(client.chat(MODEL, HELLO, options={"temperature": -1}, stream=True))

    assert refused.value.status_code == 400


def test_what_the_model_cannot_do_is_a_400(client: Client) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}

    with pytest.raises(ollama.ResponseError, match="does not support tools"):
        client.chat(MODEL, HELLO, tools=[tool])
    with pytest.raises(ollama.ResponseError, match="does not support thinking"):
        client.chat(MODEL, HELLO, think=True)
    with pytest.raises(ollama.ResponseError, match="no vision"):
        client.generate(MODEL, "what is this?", images=["aGVsbG8="])


def test_a_prompt_that_does_not_fit_is_refused_with_both_numbers(client: Client) -> None:
    options = {"num_ctx": 64, "num_predict": 4}
    long = "word " * 200

    with pytest.raises(ollama.ResponseError, match="the context holds 64") as refused:
        client.generate(MODEL, long, options=options)
    assert refused.value.status_code == 400


def get_weather(city: str) -> str:
    """Current weather in a city.

    Args:
        city: the city's name

    Returns:
        a sentence
    """
    return f"18 C in {city}"


@pytest.mark.parametrize("is_streamed", [True, False])
def test_a_tool_is_called_and_its_result_is_read(echo: Client, is_streamed: bool) -> None:
    messages: list[dict[str, object]] = [{"role": "user", "content": "Weather in Paris?"}]

    if is_streamed:
        parts = echo.chat("echo", messages, tools=[get_weather], stream=True)
        (call,) = [call for part in parts for call in part.message.tool_calls or ()]
    else:
        (call,) = echo.chat("echo", messages, tools=[get_weather]).message.tool_calls or ()

    assert call.function.name == "get_weather"
    assert set(call.function.arguments) == {"city"}
    said = get_weather(**call.function.arguments)
    messages += [
        {"role": "assistant", "content": "", "tool_calls": [call.model_dump()]},
        {"role": "tool", "content": said, "tool_name": "get_weather"},
    ]
    assert echo.chat("echo", messages, tools=[get_weather]).message.content == said


def test_a_model_is_pulled_from_the_menu(echo: Client) -> None:
    echo.delete("echo-embed")

    steps = [step.status for step in echo.pull("echo-embed", stream=True)]

    assert steps[-1] == "success"
    assert len(echo.embed("echo-embed", "hello").embeddings) == 1
    assert echo.pull("echo-embed").status == "success"


@pytest.mark.parametrize(("source", "status"), [("file:/etc/passwd", 403), ("nothing", 404)])
def test_a_pull_over_http_takes_no_files_and_no_strangers(
    echo: Client, source: str, status: int
) -> None:
    with pytest.raises(ollama.ResponseError) as refused:
        echo.pull(source)

    assert refused.value.status_code == status


def test_a_push_is_refused_with_the_reason(echo: Client) -> None:
    with pytest.raises(ollama.ResponseError, match="no registry") as refused:
        echo.push("echo")

    assert refused.value.status_code == 501


def test_a_model_is_made_copied_and_deleted(echo: Client) -> None:
    made = echo.create(
        "terse", from_="echo", system="Be terse.", parameters={"num_predict": 2, "stop": ["x"]}
    )
    echo.copy("terse", "brief")
    answer = echo.generate("brief", "one two three")
    echo.delete("terse")

    assert made.status == "success"
    assert answer.eval_count == 2
    assert "num_predict" in (echo.show("brief").parameters or "")
    assert next(model.model for model in echo.list().models) == "brief:latest"
    with pytest.raises(ollama.ResponseError, match="model 'terse' not found"):
        echo.show("terse")


def test_a_model_is_made_of_a_gguf(serve: Serve, model_home_copy: Path) -> None:
    """The file is known here, and prepared, so that this is quick."""
    with Client(host=serve(model_home_copy).url) as client:
        answer = made_of_gguf(client, Catalog(model_home_copy))

        assert answer.eval_count == 8
        assert client.show("mine").modelinfo == client.show(MODEL).modelinfo
        assert "Be terse." in (client.show("mine").modelfile or "")


@pytest.mark.slow
def test_an_uploaded_gguf_is_prepared(serve: Serve, echo_home: Path, model_home: Path) -> None:
    with Client(host=serve(echo_home).url) as client:
        assert made_of_gguf(client, Catalog(model_home)).eval_count == 8


def made_of_gguf(client: Client, source: Catalog) -> ollama.GenerateResponse:
    """Upload the default model's file, make a model of it, and ask it."""
    digest = source.get(MODEL).digest
    assert client.create_blob(source.blob_path(digest)) == digest
    steps = client.create("mine", files={"m.gguf": digest}, system="Be terse.", stream=True)
    assert [step.status for step in steps][-1] == "success"
    return client.generate("mine", "who is Oppenheimer", options=BRIEF)


def test_a_file_that_was_not_uploaded_is_refused(echo: Client) -> None:
    with pytest.raises(ollama.ResponseError, match="upload it first") as refused:
        echo.create("mine", files={"m.gguf": f"sha256:{'0' * 64}"})

    assert refused.value.status_code == 400
