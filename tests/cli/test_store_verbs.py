"""The verbs of the store: what they print, and how they fail."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from canteen.cli.main import VERBS, main
from canteen.runtime.catalog import Catalog
from tests.cards import card
from tests.serving import Server

Call = Callable[..., Result]


@pytest.fixture
def call(echo_home: Path) -> Call:
    """Runs the program in a home with the echo models."""

    def run(*words: str, **environ: str) -> Result:
        return CliRunner().invoke(main, words, env={"CANTEEN_HOME": str(echo_home), **environ})

    return run


def names(call: Call) -> list[str]:
    return [one["name"] for one in json.loads(call("list", "--json").stdout)]


def test_every_verb_has_a_help_and_says_json(call: Call) -> None:
    for verb in VERBS:
        answer = call(verb, "--help")
        assert answer.exit_code == 0
        assert "--json" in answer.stdout


def test_list_shows_what_is_in_the_store(call: Call) -> None:
    assert "echo:latest" in call("list").stdout
    assert names(call) == ["echo:latest", "echo-embed:latest"]


def test_list_of_an_empty_store_says_how_to_fill_it(call: Call, tmp_path: Path) -> None:
    answer = call("list", CANTEEN_HOME=str(tmp_path / "empty"))

    assert "canteen pull" in answer.stdout


def test_list_cuts_nothing_however_long_a_name_is(call: Call) -> None:
    name = "a-name-of-many-words/" + "x" * 100
    call("cp", "echo", name)

    (line,) = (line for line in call("list").stdout.splitlines() if line.startswith("a-name"))

    assert line.startswith(f"{name}:latest")
    assert "…" not in line


def test_pull_says_what_is_in_the_store_now(call: Call) -> None:
    assert "echo:latest is in the store" in call("pull", "echo").stdout
    assert json.loads(call("pull", "echo", "--name", "two", "--json").stdout)["name"] == (
        "two:latest"
    )


def test_embed_prints_a_vector_for_each_text(call: Call) -> None:
    answer = json.loads(call("embed", "--model", "echo-embed", "a", "b", "--json").stdout)

    assert len(answer["embeddings"]) == 2
    assert len(call("embed", "--model", "echo-embed", "a").stdout.split()) == 64


def test_ps_and_stop_ask_the_running_server(call: Call, serve: Callable[..., Server]) -> None:
    home = Path(json.loads(call("settings", "--json").stdout)["CANTEEN_HOME"]["value"])
    port = str(serve(home, CANTEEN_MODEL="echo").port)

    loaded = call("ps", CANTEEN_PORT=port).stdout.splitlines()
    assert [line.split()[:2] for line in loaded[1:]] == [["echo:latest", "ready"]]

    assert call("stop", "echo", CANTEEN_PORT=port).exit_code == 0
    nothing = call("ps", CANTEEN_PORT=port).stdout
    assert "no model is in memory" in nothing
    assert "unloaded: on command" in nothing
    assert "'nope' not found" in call("stop", "nope", CANTEEN_PORT=port).stderr


FAULT = """
import click
from canteen.cli.main import Verbs, main

class Broken(Verbs):
    def get_command(self, ctx, cmd_name):
        return click.Command(cmd_name, callback=lambda: {"a": 1}["b"])

Broken(params=main.params, callback=main.callback)()
"""


def test_a_fault_of_ours_shows_no_traceback_without_debug() -> None:
    plain, debug = (
        subprocess.run([sys.executable, "-c", FAULT, *words], capture_output=True, text=True)
        for words in (["run"], ["--debug", "run"])
    )

    assert plain.returncode == debug.returncode == 1
    assert plain.stderr.startswith("canteen: a fault of Canteen's own (KeyError)")
    assert "Traceback" not in plain.stderr
    assert "Traceback" in debug.stderr


def test_cp_and_rm_name_and_unname_a_model(call: Call) -> None:
    assert call("cp", "echo", "llama2").exit_code == 0
    assert "llama2:latest" in names(call)

    assert call("rm", "llama2").exit_code == 0
    assert "llama2:latest" not in names(call)


def test_cp_says_what_is_kept_of_a_name_that_is_given_away(call: Call, echo_home: Path) -> None:
    catalog = Catalog(echo_home)
    mine = card(name="mine:latest", folder="", source="job:job_1")
    catalog.put(mine)

    answer = call("cp", "echo", "mine")

    (line,) = answer.stderr.splitlines()
    told, _, kept_as = line.rpartition(" ")
    assert told == "what this replaces was made here, and is kept as"
    assert catalog.get(kept_as).digest == mine.digest
    assert catalog.get("mine").engine == "echo"


def test_cp_to_the_same_name_says_that_it_is_that_already(call: Call, echo_home: Path) -> None:
    before = Catalog(echo_home).get("echo")

    answer = call("cp", "echo", "echo:latest")

    assert (answer.exit_code, "is that already" in answer.stdout) == (0, True)
    assert Catalog(echo_home).get("echo") == before


def test_rm_takes_nothing_away_when_one_name_is_wrong(call: Call) -> None:
    answer = call("rm", "echo", "nope")

    assert answer.exit_code == 1
    assert "echo:latest" in names(call)


def test_show_prints_the_card(call: Call) -> None:
    assert "8192 tokens" in call("show", "echo").stdout
    assert json.loads(call("show", "echo", "--json").stdout)["engine"] == "echo"


def test_show_tells_what_a_model_was_made_of_where_that_is_known(
    call: Call, echo_home: Path
) -> None:
    lineage = {"job": "job_1", "parent": "echo:latest", "data_digest": "sha256:data"}
    mine = card(name="mine:1", folder="", source="job:job_1", parent="echo:latest")
    Catalog(echo_home).put(replace(mine, metadata={"lineage": lineage}))

    told = call("show", "mine:1").stdout.splitlines()
    plain = call("show", "echo").stdout

    assert "source          job:job_1" in told
    assert "parent          echo:latest" in told
    assert "learned from    sha256:data" in told
    assert "parent" not in plain


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "nope"), "model 'nope:latest' not found"),
        (("pull", "nope"), "not found; the menu has smollm2:135m, all-minilm, echo, echo-embed;"),
        (("show", "../etc"), "a model's name is like"),
        (("ps",), "no server answers at http://127.0.0.1:1;"),
        (("stop", "echo"), "canteen serve"),
        (("run", "nope", "hello"), "model 'nope:latest' not found"),
        (("serve", "--host", "0.0.0.0"), "--allow-remote"),
    ],
)
def test_a_failure_is_one_plain_line_and_exit_status_1(
    call: Call, words: tuple[str, ...], said: str
) -> None:
    answer = call(*words, CANTEEN_PORT="1")

    assert answer.exit_code == 1
    assert answer.stdout == ""
    (line,) = answer.stderr.splitlines()
    assert line.startswith("canteen: ")
    assert said in line


def test_wrong_usage_is_exit_status_2(call: Call) -> None:
    assert call("fly").exit_code == 2
    assert call("run", "--temperature", "9").exit_code == 2


def test_a_bad_setting_names_its_variable(call: Call) -> None:
    answer = call("list", CANTEEN_PORT="x")

    assert answer.exit_code == 1
    assert "CANTEEN_PORT is 'x'" in answer.stderr


def test_settings_shows_every_value_in_force(call: Call) -> None:
    values = json.loads(call("settings", "--json", CANTEEN_MAX_QUEUE="7").stdout)

    queue = values["CANTEEN_MAX_QUEUE"]
    assert (queue["value"], queue["source"], queue["default"]) == (7, "environment", 256)
    assert "CANTEEN_KEEP_ALIVE_S=300.0" in call("settings").stdout


def test_settings_shows_no_secret(call: Call) -> None:
    url = "postgresql://canteen:s3cret@db/canteen"

    answers = [call("settings", *how, CANTEEN_DATABASE=url).output for how in ([], ["--json"])]

    assert all("postgresql://canteen:***@db/canteen" in answer for answer in answers)
    assert not any("s3cret" in answer for answer in answers)


def test_engines_says_what_is_installed(call: Call) -> None:
    engines = {one["name"]: one for one in json.loads(call("engines", "--json").stdout)}

    assert engines["echo"]["is_installed"]
    assert not engines["vllm"]["is_installed"]
    assert "canteen engine install vllm" in engines["vllm"]["why"]


def test_doctor_and_engines_agree_on_what_is_installed(call: Call, tmp_path: Path) -> None:
    python = tmp_path / "engines" / "vllm" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()

    listed = json.loads(call("engines", "--json", CANTEEN_HOME=str(tmp_path)).stdout)
    installed = [one["name"] for one in listed if one["is_installed"]]

    assert "vllm" in installed
    assert (
        f"engines installed: {', '.join(installed)}"
        in call("doctor", CANTEEN_HOME=str(tmp_path)).stdout
    )


def test_doctor_misses_the_default_model(call: Call) -> None:
    answer = call("doctor")

    assert answer.exit_code == 1
    assert "canteen pull smollm2:135m" in answer.stdout
    assert call("doctor", CANTEEN_MODEL="echo").exit_code == 0


def test_doctor_says_of_every_energy_counter_whether_and_why(call: Call) -> None:
    lines = call("doctor", CANTEEN_MODEL="echo").output.splitlines()

    told = [line.removeprefix("ok  energy ") for line in lines if "energy" in line]
    assert [line.partition(":")[0] for line in told[:3]] == ["by rapl", "by perf", "by nvml"]
    assert told[3] in ("is counted", "is modelled from processor time")
