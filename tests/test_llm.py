"""An LLM is a function."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import canteen
from canteen.core.errors import ContextTooLong, InvalidRequest, ModelNotFound
from tests.serving import plain_environ


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
    assert "".join(llm.stream("a b c")) == "a b c"


def test_a_stream_can_be_left(llm: canteen.LLM) -> None:
    pieces = llm.stream("a", max_tokens=5000)

    assert next(pieces).startswith("a")
    pieces.close()
    assert llm("still there") == "still there"


def test_a_schema_gives_an_object(llm: canteen.LLM) -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}}

    assert llm("a person", schema=schema) == {"age": 1}


@pytest.mark.parametrize("options", [{"colour": "red"}, {"schema": {"uniqueItems": True}}])
def test_what_it_does_not_know_is_refused(llm: canteen.LLM, options: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        llm("a", **options)


def test_what_ends_a_stream_early_is_raised(llm: canteen.LLM) -> None:
    with pytest.raises(ContextTooLong):
        list(llm.stream("word " * 9000))


def test_after_its_end_it_says_that_it_is_closed(llm: canteen.LLM) -> None:
    llm.close()
    llm.close()

    with pytest.raises(InvalidRequest, match="closed"):
        llm("a")


def test_a_program_that_never_closes_it_ends_in_good_order(echo_home: Path) -> None:
    program = "import canteen; llm = canteen.LLM('echo'); print(repr(llm), llm('hi'))"
    command = [sys.executable, "-W", "error", "-c", program]

    ended = subprocess.run(
        command, env=plain_environ(echo_home), capture_output=True, text=True, timeout=60
    )

    assert (ended.stdout, ended.stderr) == ("canteen.LLM('echo') hi\n", "")


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


def test_its_last_receipt_is_told_and_all_add_up(llm: canteen.LLM) -> None:
    llm("a b c")
    first = llm.receipt
    list(llm.stream("d e"))
    second = llm.receipt

    assert first is not None
    assert second is not None
    assert first.id != second.id
    assert (second.usage.completion_tokens, second.model) == (2, "echo:latest")
    told = [one.footprint.energy.central for one in (first, second)]
    assert llm.footprint().energy.central == pytest.approx(sum(told))


def test_where_no_model_worked_there_is_no_receipt(llm: canteen.LLM) -> None:
    with pytest.raises(InvalidRequest):
        llm("a", schema={"uniqueItems": True})

    assert llm.receipt is None
