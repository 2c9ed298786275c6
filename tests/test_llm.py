"""An LLM is a function."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

import canteen
from canteen.core.errors import InvalidRequest, ModelNotFound


@pytest.fixture
def llm(echo_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[canteen.LLM]:
    monkeypatch.setenv("CANTEEN_HOME", str(echo_home))
    with canteen.LLM("echo") as llm:
        yield llm


def test_it_is_called_with_a_prompt(llm: canteen.LLM) -> None:
    assert llm("who is Oppenheimer") == "who is Oppenheimer"


def test_it_is_called_with_messages(llm: canteen.LLM) -> None:
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]

    assert llm([*messages, {"role": "user", "content": "c d"}]) == "c d"


def test_it_streams(llm: canteen.LLM) -> None:
    assert list(llm.stream("a b c")) == ["a", " b", " c"]


def test_a_stream_can_be_left(llm: canteen.LLM) -> None:
    pieces = llm.stream("a", max_tokens=5000)

    assert next(pieces) == "a"
    pieces.close()  # type: ignore[attr-defined]
    assert llm("still there") == "still there"


def test_a_schema_gives_an_object(llm: canteen.LLM) -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}}

    assert llm("a person", schema=schema) == {"age": 1}


@pytest.mark.parametrize("options", [{"colour": "red"}, {"schema": {"uniqueItems": True}}])
def test_what_it_does_not_know_is_refused(llm: canteen.LLM, options: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        llm("a", **options)


def test_a_message_without_a_role_is_refused(llm: canteen.LLM) -> None:
    with pytest.raises(InvalidRequest, match="'role'"):
        llm([{"content": "a"}])


async def test_it_works_where_a_loop_runs(llm: canteen.LLM) -> None:
    assert asyncio.get_running_loop().is_running()
    assert llm("as in Jupyter") == "as in Jupyter"


def test_an_unknown_model_is_said(echo_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANTEEN_HOME", str(echo_home))

    with pytest.raises(ModelNotFound):
        canteen.LLM("nope")


def test_an_embedding_model_gives_vectors(echo_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANTEEN_HOME", str(echo_home))

    with canteen.LLM("echo-embed") as llm:
        one, two, three = llm.embed(["a", "b", "a"])

    assert one == three != two


def test_the_real_model_answers(model_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANTEEN_HOME", str(model_home))

    with canteen.LLM("smollm2:135m") as llm:
        answer = llm("who is Oppenheimer", max_tokens=24)
        assert answer == llm("who is Oppenheimer", max_tokens=24)
        assert "physic" in answer
