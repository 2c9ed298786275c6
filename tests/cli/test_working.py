"""Jobs from the shell: told beforehand, refused in a line, listed."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner, Result

from canteen.cli.main import main
from canteen.lifecycle.jobs.book import JobBook
from canteen.metering.store import connect

Call = Callable[..., Result]
TEXT = "The water in the canteen is cold, and the bread on the table is warm. "


@pytest.fixture
def call(echo_home: Path) -> Call:
    """Runs the program in a home with the echo models."""
    environ = {"CANTEEN_HOME": str(echo_home), "CANTEEN_MODEL": "echo"}
    return lambda *words: CliRunner().invoke(main, words, env=environ)


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A folder with two works."""
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "one.txt").write_text(TEXT * 200)
    (folder / "two.txt").write_text(TEXT[::-1] * 20)
    return folder


def test_a_dry_run_foresees_and_begins_nothing(call: Call, texts: Path) -> None:
    told = call("train", "--name", "a", "--corpus", str(texts), "--vocab-size", "300", "--dry-run")

    assert told.exit_code == 0, told.stderr
    assert f"corpus: {texts}" in told.stdout
    assert "memory: weights" in told.stdout
    assert "time, s:" in told.stdout
    assert told.stderr == ""
    assert json.loads(call("jobs", "list", "--json").stdout) == []


def test_a_job_that_somebody_cancels_is_no_success(
    call: Call, texts: Path, echo_home: Path
) -> None:
    book = JobBook(connect(f"sqlite:///{echo_home / 'canteen.db'}"))

    def cancel() -> None:
        while not (found := [job for job in book.list() if job.state == "running"]):
            time.sleep(0.05)
        book.cancel(found[0].id)

    canceller = Thread(target=cancel, daemon=True)
    canceller.start()
    told = call(
        "train", "--name", "a", "--corpus", str(texts), "--vocab-size", "300", "--epochs", "1000"
    )
    canceller.join(10)

    assert told.exit_code == 1
    assert "cancelled: somebody cancelled it" in told.stderr
    (job,) = book.list()
    assert f"{job.id}: Ctrl-C interrupts it, canteen jobs resume {job.id} goes on" in told.stderr
    assert f"{job.id} is cancelled: somebody cancelled it" in told.stdout
    assert f"canteen jobs resume {job.id}" in told.stdout


def test_what_is_taken_by_default_is_in_the_help(call: Call) -> None:
    told = " ".join(call("train", "--help").stdout.split())

    assert "built-in texts by name. [default: shakespeare]" in told


def test_a_recipe_is_read_and_options_go_over_it(call: Call, texts: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "small.toml"
    recipe.write_text(
        f'kind = "train"\nname = "a"\ncorpus = ["{texts}"]\nvocab_size = 300\nbatch_size = 2\n'
    )

    told = call("train", str(recipe), "--batch-size", "3", "--dry-run", "--json")

    assert told.exit_code == 0, told.stderr
    spec = json.loads(told.stdout)["spec"]
    assert (spec["name"], spec["vocab_size"], spec["batch_size"]) == ("a:latest", 300, 3)


def test_what_cannot_fit_is_refused_with_the_arithmetic(call: Call, texts: Path) -> None:
    wide = ("--hidden-size", "8192", "--num-layers", "400", "--num-heads", "64")

    told = call(
        "train", "--name", "a", "--corpus", str(texts), "--vocab-size", "300", *wide,
        "--ff-size", "32768",
    )  # fmt: skip

    assert told.exit_code == 1
    assert "it does not fit: weights" in told.stderr
    assert "optimizer" in told.stderr
    assert json.loads(call("jobs", "list", "--json").stdout) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("train",), "--name"),
        (("train", "--name", "a", "--corpus", "nothing"), "no text 'nothing'"),
        (("train", "--name", "a:b:c"), "a model's name is like"),
        (("finetune", "--name", "a", "--data", "x.jsonl"), "say which model to start from"),
        (("finetune", "echo", "--name", "a"), "say what to learn from"),
        (("finetune", "echo", "--name", "a", "--data", "three-sentiments"), "GGUF"),
        (("finetune", "nobody", "--name", "a", "--data", "x.jsonl"), "not found"),
        (("jobs", "show", "job_0"), "no job 'job_0'"),
        (("jobs", "resume", "job_0"), "no job 'job_0'"),
    ],
)
def test_what_is_wrong_is_one_line(call: Call, words: tuple[str, ...], said: str) -> None:
    told = call(*words)

    assert told.exit_code == 1
    assert said in told.stderr
    assert len(told.stderr.strip().splitlines()) == 1


def test_a_recipe_that_is_no_toml_is_told(call: Call, tmp_path: Path) -> None:
    recipe = tmp_path / "broken.toml"
    recipe.write_text("name = ")

    told = call("train", str(recipe))

    assert told.exit_code == 1
    assert "broken.toml is not valid TOML" in told.stderr
