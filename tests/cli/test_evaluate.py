"""`canteen evaluate`: data sets put to tasks, the runs it keeps, what it tells and how it fails."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from canteen.bootstrap import build
from canteen.cli.evaluating import Wish, read_options, taught
from canteen.cli.evaluating import evaluated as evaluated_by
from canteen.cli.main import main
from canteen.core.errors import InvalidRequest
from canteen.lifecycle.evaluate import runs
from canteen.lifecycle.evaluate.examples import Classified, Dataset
from canteen.lifecycle.evaluate.runs import Run
from canteen.runtime.classifiers import ClassifierStore
from canteen.settings import Settings

Call = Callable[..., Result]
LINES: dict[str, list[Any]] = {
    "classify": [{"text": f"text {place}", "label": "ab"[place % 2]} for place in range(6)],
    "extract": [
        {"text": "Write to a@b.org.", "entities": [{"start": 9, "end": 16, "type": "email"}]},
        {"text": "Nothing.", "entities": []},
    ],
    "summarize": [{"text": "The king had a daughter.", "summary": "A king had a daughter."}],
    "rewrite": [{"source": "He go home.", "target": "He goes home."}],
    "search": [
        {"query": "red apples", "relevant": ["a"]},
        {"id": "a", "document": "Apples are red."},
        {"id": "z", "document": "The sky is blue."},
    ],
    "embed": [
        {"first": "a b", "second": "a b", "rating": 1},
        {"first": "a b", "second": "c d", "rating": 0},
    ],
}


@pytest.fixture
def call(echo_home: Path) -> Call:
    """Runs the program in a home with the echo models."""
    environ = {"CANTEEN_HOME": str(echo_home), "CANTEEN_MODEL": "echo"}

    def run(*words: str) -> Result:
        return CliRunner().invoke(main, ["evaluate", *words], env=environ)

    return run


def data(folder: Path, task: str) -> str:
    """A file of a few examples."""
    path = folder / f"{task}.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in LINES[task]))
    return str(path)


def evaluated(call: Call, folder: Path, task: str, *words: str) -> dict[str, Any]:
    answer = call(task, "--data", data(folder, task), "--json", *words)
    assert answer.exit_code == 0, answer.stderr
    told: dict[str, Any] = json.loads(answer.stdout)
    return told


@pytest.mark.parametrize("task", ["classify", "summarize", "rewrite"])
def test_a_task_is_evaluated_and_the_run_kept(
    call: Call, echo_home: Path, tmp_path: Path, task: str
) -> None:
    told = evaluated(call, tmp_path, task)

    kept = runs.load(told["id"], echo_home)
    assert kept.num_items == len(LINES[task]) == told["num_items"]
    assert kept.subject.prompt_version.startswith(task)
    assert kept.receipt["tokens"]["prompt"] > 0
    assert not kept.failed


def test_types_that_have_a_form_are_found_wherever_they_stand(call: Call, tmp_path: Path) -> None:
    told = evaluated(call, tmp_path, "extract", "--option", "method=model")

    assert told["metrics"]["f1_exact"]["value"] == 1
    assert told["metrics"]["grounded"]["value"] == 1


@pytest.mark.parametrize(("task", "metric"), [("search", "recall_at_10"), ("embed", "spearman")])
def test_what_embeds_is_evaluated_with_an_embedding_model(
    call: Call, tmp_path: Path, task: str, metric: str
) -> None:
    told = evaluated(call, tmp_path, task, "--model", "echo-embed")

    assert told["subject"]["model"] == "echo-embed"
    assert told["subject"]["digest"]
    assert told["metrics"][metric]["value"] == 1
    assert told["num_items"] == (1 if task == "search" else 2)


def test_a_sample_is_the_same_each_time_and_runs_on_it_compare(call: Call, tmp_path: Path) -> None:
    first = evaluated(call, tmp_path, "classify", "--limit", "3")
    second = evaluated(
        call,
        tmp_path,
        "classify",
        "--limit",
        "3",
        "--option",
        "debias=false",
        "--compare",
        first["id"],
    )

    assert second["subject"]["settings"]["debias"] is False
    assert {one["metric"] for one in second["comparisons"]} >= {"accuracy", "macro_f1"}
    assert call(second["id"], "--compare", first["id"]).exit_code == 0


def test_a_kept_run_is_told_again_and_reported(call: Call, tmp_path: Path) -> None:
    run_id = evaluated(call, tmp_path, "classify")["id"]
    page, text = tmp_path / "run.html", tmp_path / "run.md"

    told = call(run_id[:15], "--report", str(page))

    assert call(run_id, "--report", str(text)).exit_code == 0
    assert f"kept as {run_id}" in told.stdout
    assert "majority" in told.stdout
    assert "mL at the source" in told.stdout
    assert "<svg" in page.read_text()
    assert text.read_text().startswith("# classify on classify: echo")


def test_a_classifier_of_the_caller_s_own_is_evaluated(call: Call, tmp_path: Path) -> None:
    evaluated(call, tmp_path, "classify")
    answer = call("classify", "--data", data(tmp_path, "classify"), "--classifier", "none")

    assert answer.exit_code == 1
    assert "classifier 'none' not found" in answer.stderr


TRAIN = tuple(
    Classified(f"t{at}", text, label)
    for at, (text, label) in enumerate(
        [
            ("The cat purrs on the sofa.", "pets"),
            ("Our dog barks at the postman.", "pets"),
            ("My kitten drinks milk.", "pets"),
            ("Rain is coming from the west.", "weather"),
            ("It will snow in the mountains.", "weather"),
            ("A storm and strong wind tonight.", "weather"),
        ]
    )
)
NEWS = (
    Classified("1", "A puppy chews a bone.", "pets"),
    Classified("2", "Sunshine and a light breeze tomorrow.", "weather"),
)
DATASET = Dataset("notes", "classify", NEWS, TRAIN, ("pets", "weather"))


async def fitted(home: Path, model: str, method: str) -> tuple[Run, list[None]]:
    """A run on notes by a classifier that was fitted to them, and what was told of on the way."""
    services = build(Settings.from_env({"CANTEEN_HOME": str(home), "CANTEEN_MODEL": model}))
    told: list[None] = []
    wish = Wish("classify", model, fit=method)
    return await evaluated_by(services, wish, DATASET, lambda: told.append(None)), told


async def test_a_calibrated_classifier_is_evaluated_by_its_name(echo_home: Path) -> None:
    run, told = await fitted(echo_home, "echo", "score")

    assert run.subject.settings["classifier"] == "evaluate-notes-score"
    assert run.subject.settings["method"] == "score"
    assert ClassifierStore(echo_home).names() == ("evaluate-notes-score",)
    assert len(told) == 2


async def test_with_a_head_the_model_is_the_one_that_embeds(model_home_copy: Path) -> None:
    run, _ = await fitted(model_home_copy, "smollm2:135m", "head")

    assert run.subject.model.startswith("all-minilm")
    assert run.metrics["accuracy"].value == 1
    assert run.receipt["energy_uj"]["prefill"] > 0


def test_words_alone_are_searched_where_that_is_asked_for(call: Call, tmp_path: Path) -> None:
    words = ("--model", "echo-embed", "--option", "mode=text")

    told = evaluated(call, tmp_path, "search", *words)

    assert told["subject"]["settings"] == {"mode": "text"}
    assert told["metrics"]["mrr"]["value"] == 1


def test_data_sets_and_runs_are_listed(call: Call, tmp_path: Path) -> None:
    run_id = evaluated(call, tmp_path, "embed", "--model", "echo-embed")["id"]

    told = json.loads(call("--list", "--json").stdout)
    text = call("--list").stdout

    rows = {one["name"]: one["rows"] for one in told["datasets"]}
    assert rows["movie-sentiment"] == 3200
    assert min(rows.values()) > 0
    assert told["runs"] == [run_id]
    assert "LICENCE" in text
    assert run_id in text


def test_items_that_fail_are_told_and_counted(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    lines = [*LINES["classify"], {"text": " ", "label": "a"}]
    path.write_text("\n".join(json.dumps(line) for line in lines))

    told = call("classify", "--data", str(path))

    assert told.exit_code == 0
    assert "1 failed: the text is empty" in told.stdout


def test_a_run_in_which_nothing_was_answered_is_no_success(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_text("\n".join(json.dumps({"text": " ", "label": one}) for one in "ab"))

    told = call("classify", "--data", str(path))
    (kept,) = json.loads(call("--list", "--json").stdout)["runs"]

    assert told.exit_code == 1
    assert "2 failed: the text is empty" in told.stdout
    (line,) = told.stderr.splitlines()
    assert line.startswith("canteen: none of the 2 examples got an answer")
    assert call(kept).exit_code == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "name a task"),
        (("classify",), "with --data"),
        (("clasify", "--data", "x"), "did you mean classify"),
        (("20200101",), "no task or run '20200101'"),
        (("classify", "--data", "movie-sentimen"), "near it: movie-sentiment"),
        (("classify", "--data", "semanlink"), "'semanlink' is for search, not for classify"),
        (("classify", "--data", "FILE", "--model", "nope"), "model 'nope:latest' not found"),
        (("classify", "--data", "FILE", "--option", "debais=no"), "no option 'debais'; there is"),
        (("classify", "--data", "FILE", "--option", "debias"), "'debias' is not KEY=VALUE"),
        (("classify", "--data", "FILE", "--option", "threshold=x"), "option 'threshold'"),
        (("classify", "--data", "FILE", "--option", "threshold=3"), "threshold must be from 0"),
        (("classify", "--data", "FILE", "--fit", "head"), "has no train part"),
        (("embed", "--data", "lee", "--fit", "head"), "--fit is for classify"),
        (("classify", "--data", "FILE", "--report", "x.pdf"), "an .md or .html file"),
        (("classify", "--data", "FILE", "--report", "/no/x.md"), "folder of the report"),
        (("classify", "--data", "FILE", "--compare", "2020"), "there is no run '2020'"),
    ],
)
def test_a_failure_is_one_plain_line(
    call: Call, tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    file = data(tmp_path, "classify")

    answer = call(*(file if word == "FILE" else word for word in words))

    assert answer.exit_code == 1
    (line,) = answer.stderr.splitlines()
    assert line.startswith("canteen: ")
    assert says in line


def test_wrong_lines_of_the_data_is_named(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "wrong.jsonl"
    path.write_text('{"text": "a", "label": "b"}\n{"text": "a"}\n\n[\n')

    answer = call("classify", "--data", str(path))

    assert answer.exit_code == 1
    (line,) = answer.stderr.splitlines()
    assert line.startswith("canteen: wrong.jsonl: line 2 is wrong: Object missing")
    assert "; line 4 is wrong: " in line


def test_options_are_read_in_their_types() -> None:
    pairs = ("debias=false", "threshold=0.5", 'descriptions={"a": "x"}')

    assert read_options("classify", pairs) == {
        "debias": False,
        "threshold": 0.5,
        "descriptions": {"a": "x"},
    }
    assert read_options("search", ("mode=text",)) == {"mode": "text"}
    with pytest.raises(InvalidRequest, match="descriptions"):
        read_options("classify", ("descriptions={",))


def test_what_is_taught_has_every_label_and_is_the_same_each_time() -> None:
    train = tuple(
        Classified(str(at), f"text {at}", "rare" if at == 7 else "often") for at in range(9)
    )
    dataset = Dataset("x", "classify", (), train, ("often", "rare"))

    found = taught(dataset, 4)

    assert len(found) == 4
    assert {one.label for one in found} == {"often", "rare"}
    assert found == taught(dataset, 4)
