"""`canteen index` and `canteen search`, and the same from Python."""

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import canteen
from canteen.cli.main import main
from canteen.core.errors import IndexNotFound
from tests.serving import CANTEEN, Server, plain_environ

Call = Callable[..., Result]
FERRIES = "Ferries run every ten minutes until midnight."


@pytest.fixture
def environ(echo_home: Path) -> dict[str, str]:
    return {"CANTEEN_HOME": str(echo_home), "CANTEEN_MODEL": "echo"}


@pytest.fixture
def call(environ: dict[str, str]) -> Call:
    """Runs the program in a home with the echo models."""

    def run(*words: str, text: str | None = None) -> Result:
        return CliRunner().invoke(main, words, input=text, env=environ)

    return run


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of documents, in which the program runs."""
    folder = tmp_path / "files"
    (folder / "notes" / ".hidden").mkdir(parents=True)
    (folder / "notes" / "ferries.txt").write_text(FERRIES)
    (folder / "notes" / "zoo.md").write_text("# Zoo\n\nA zebra ran over the river.")
    (folder / "notes" / "more.jsonl").write_text('{"text": "Buses", "id": "bus"}\n\nnonsense\n')
    (folder / "notes" / "logo.png").write_bytes(b"\x89PNG\0")
    (folder / "notes" / ".hidden" / "a.txt").write_text("hidden")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def llm(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[canteen.LLM]:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with canteen.LLM("echo") as llm:
        yield llm


def test_a_folder_goes_in_once_and_what_fails_is_told(call: Call, files: Path) -> None:
    first = call("index", "add", "n", "notes", "--embedder", "echo-embed")
    again = call("index", "add", "n", "notes", "--json")

    assert first.stdout == "n: 3 indexed, 0 unchanged, 1 failed\n"
    assert "notes/more.jsonl:3: notes/more.jsonl, line 3: this is not JSON" in first.stderr
    assert first.exit_code == again.exit_code == 1
    assert json.loads(again.stdout) == {"index": "n", "indexed": 0, "unchanged": 3, "failed": 1}
    shown = json.loads(call("index", "show", "n", "--json").stdout)
    assert shown["documents"] == ["bus", "notes/ferries.txt", "notes/zoo.md"]
    assert "num documents: 3" in call("index", "show", "n").stdout


def test_a_file_that_is_named_is_read_whatever_it_is(call: Call, files: Path) -> None:
    told = call("index", "add", "n", "notes/logo.png", "--embedder", "echo-embed")

    assert told.exit_code == 1
    assert "canteen: notes/logo.png: " in told.stderr


def test_lines_of_standard_input_go_in(call: Call) -> None:
    lines = '{"text": "A zebra.", "id": "z", "year": 2020}\n{"text": "A horse.", "year": 2024}'

    told = call("index", "add", "n", "--jsonl", "-", "--embedder", "echo-embed", text=lines)

    assert told.stdout == "n: 2 indexed, 0 unchanged, 0 failed\n"
    found = call("search", "n", "a zebra", "--filter", '{"year": {"lt": 2022}}', "--json")
    assert [one["document"] for one in json.loads(found.stdout)["hits"]] == ["z"]


def test_indexes_are_listed_and_removed(call: Call, files: Path) -> None:
    assert "there are no indexes" in call("index", "ls").stdout
    call("index", "add", "n", "notes/zoo.md", "notes/ferries.txt", "--embedder", "echo-embed")

    assert call("index", "ls").stdout.splitlines() == [
        "NAME  DOCUMENTS  PASSAGES  EMBEDDER",
        "n     2          2         echo-embed:latest",
    ]
    assert call("index", "rm", "n", "notes/zoo.md", "gone").stdout == (
        "took 1 of 2 documents out of n\n"
    )
    assert call("index", "rm", "n").stdout == "removed n\n"
    assert call("index", "ls", "--json").stdout == "[]\n"


def test_a_damaged_index_is_listed_with_its_problem(
    call: Call, files: Path, echo_home: Path
) -> None:
    call("index", "add", "n", "notes/zoo.md", "--embedder", "echo-embed")
    bad = echo_home / "indexes" / "bad"
    bad.mkdir()
    bad.joinpath("index.json").write_text("{")

    first, second = call("index", "ls").stdout.splitlines()[1:]
    listed = json.loads(call("index", "ls", "--json").stdout)

    assert first.startswith("bad   -          -         index 'bad' is damaged; remove it")
    assert second.startswith("n ")
    assert set(listed[0]) == {"name", "problem"}
    assert listed[1]["num_documents"] == 1


@pytest.mark.parametrize("given", ['["a"]', "[]"])
def test_a_filter_that_is_no_object_is_refused(call: Call, files: Path, given: str) -> None:
    call("index", "add", "n", "notes/zoo.md", "--embedder", "echo-embed")

    told = call("search", "n", "zebra", "--filter", given)

    assert told.exit_code == 1
    assert "filter must be an object, not a list" in told.stderr


def test_a_search_prints_where_and_what(call: Call, files: Path) -> None:
    call("index", "add", "n", "notes/zoo.md", "notes/ferries.txt", "--embedder", "echo-embed")

    found = call("search", "n", "zebra", "--limit", "1")
    answered = call("search", "n", "when do ferries run", "--limit", "1", "--answer")

    first, second = found.stdout.splitlines()
    assert first == "1. notes/zoo.md, 0-34, Zoo (0.033)"
    assert second == "   # Zoo A zebra ran over the river."
    assert answered.stdout.splitlines()[:2] == [
        f"{FERRIES[:-1]} [1].",
        f"  [1] notes/ferries.txt 0-45: {FERRIES}",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("index", "add", "n"), "name files or folders"),
        (("index", "add", "n", "notes", "--characters", "7"), "characters must be from 50"),
        (("index", "show", "n"), "index 'n' not found"),
        (("index", "rm", "n"), "index 'n' not found"),
        (("search", "n", "x", "--mode", "text"), "index 'n' not found"),
        (("search", "n", " "), "the query is empty"),
        (("search", "n", "x", "--limit", "0"), "limit must be from 1"),
    ],
)
def test_what_is_wrong_is_one_plain_line(
    call: Call, files: Path, words: tuple[str, ...], said: str
) -> None:
    # No index was made, and the default embedder is not in this home.
    told = call(*words)

    assert told.exit_code == 1
    assert said in told.stderr


def test_a_killed_program_leaves_an_index_that_can_be_gone_on_with(
    echo_home: Path, tmp_path: Path, call: Call
) -> None:
    lines = tmp_path / "many.jsonl"
    lines.write_text("".join(f'{{"text": "Text {n}.", "id": "{n}"}}\n' for n in range(5_000)))
    words = ("index", "add", "n", str(lines), "--embedder", "echo-embed")
    adding = subprocess.Popen([*CANTEEN, *words], env=plain_environ(echo_home))
    while not any(one["num_passages"] for one in json.loads(call("index", "ls", "--json").stdout)):
        # It may have come to its end since.
        assert adding.poll() in (None, 0)
    adding.send_signal(signal.SIGKILL)
    adding.wait()

    found = call("search", "n", "Text", "--mode", "text", "--json")
    again = call(*words, "--json")

    assert len(json.loads(found.stdout)["hits"]) == 10
    counts = json.loads(again.stdout)
    assert counts["unchanged"] > 0
    assert counts["indexed"] + counts["unchanged"] == 5_000
    assert json.loads(call("index", "ls", "--json").stdout)[0]["num_passages"] == 5_000


def test_python_adds_searches_and_takes_out(llm: canteen.LLM, files: Path) -> None:
    index = llm.index("n", embedder="echo-embed")

    added = index.add(
        [Path("notes/zoo.md"), FERRIES, {"text": "Bread", "id": "b", "metadata": {"n": 1}}, {}]
    )

    assert [one.status for one in added] == ["indexed", "indexed", "indexed", "failed"]
    assert llm.receipt is not None
    assert llm.receipt.operation == "index"
    found = llm.search("n", "zebra", limit=1)
    assert found.hits[0].document == "notes/zoo.md"
    answered = llm.search("n", "when do ferries run", answer=True, mode="text")
    assert answered.answer is not None
    assert answered.answer.text == f"{FERRIES[:-1]} [1]."
    assert index.remove("b", "gone") == 1
    assert "b" not in index.documents()
    assert index.describe().num_documents == 2
    with pytest.raises(IndexNotFound):
        llm.search("m", "zebra")


def test_the_http_client_does_too(echo_server: Server, files: Path) -> None:
    with canteen.Client(echo_server.url) as client:
        documents: list[Any] = [Path("notes/zoo.md"), FERRIES, {"text": " ", "id": "blank"}]
        added = client.index("client", documents, embedder="echo-embed")
        found = client.search("client", "zebra", limit=1)
        ranked = client.rerank("echo-embed", "zebra", ["bread", "zebra"])

        assert [one["status"] for one in added] == ["indexed", "indexed", "failed"]
        assert found["hits"][0]["document"] == "zoo.md"
        assert [one["index"] for one in ranked] == [1, 0]
        with pytest.raises(IndexNotFound, match="did you mean 'client'"):
            client.search("clint", "zebra")


def test_real_models_find_by_meaning_and_answer(
    model_home_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANTEEN_HOME", str(model_home_copy))
    texts = {
        "cat": "The kitten slept on the sofa all afternoon.",
        "tax": "The finance minister raised the duty on fuel to 62 cents a litre.",
        "sea": "Waves broke over the harbour wall during the storm.",
    }

    with canteen.LLM() as llm:
        added = llm.index("n").add([{"id": name, "text": text} for name, text in texts.items()])
        napping = llm.search("n", "a pet was napping", limit=1)
        answered = llm.search("n", "How high is the duty on fuel?", answer=True)

    assert [one.status for one in added] == ["indexed"] * 3
    assert napping.hits[0].document == "cat"
    assert answered.answer is not None
    assert answered.answer.by in ("model", "quote")
    assert answered.answer.citations[0].document == "tax"
    for cited in answered.answer.citations:
        assert texts[cited.document][cited.start : cited.end] == cited.quote
