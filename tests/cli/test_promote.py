"""`canteen promote` and `canteen rollback`: what they tell, move and refuse."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from canteen.bootstrap import build
from canteen.cli import promoting
from canteen.cli.main import main
from canteen.lifecycle.evaluate import runs
from canteen.runtime.catalog import Catalog
from canteen.settings import Settings

Call = Callable[..., Result]
RIGHT = [{"text": f"this is {label}", "label": label} for label in ("red", "green", "blue")]
EMAIL = {
    "text": "Write to me@here.org today",
    "entities": [{"start": 9, "end": 20, "type": "email"}],
}
PERSON = {"text": "Ann went home.", "entities": [{"start": 0, "end": 3, "type": "person"}]}
PAIR = {"first": "a cat", "second": "a dog", "rating": 3}


@pytest.fixture
def home(echo_home: Path) -> Path:
    """A home in which `prod:1` is a model, and `next:1` another that is slower."""
    catalog = Catalog(echo_home)
    for digit, name in ((1, "prod:1"), (2, "next:1"), (3, "later:1")):
        quality = {"perplexity_after": 20.0 + digit, "decode_tokens_per_s": 50.0 / digit}
        told = {"digest": f"sha256:{digit:064}", "name": name, "quality": quality}
        catalog.put(replace(catalog.get("echo"), **told))  # type: ignore[arg-type]
    return echo_home


@pytest.fixture
def call(home: Path) -> Call:
    """Runs the program in that home."""
    environ = {"CANTEEN_HOME": str(home), "CANTEEN_MODEL": "echo"}

    def run(*words: str) -> Result:
        return CliRunner().invoke(main, words, env=environ)

    return run


@pytest.fixture
def data(tmp_path: Path) -> str:
    """Texts that say their labels, so that echo finds each the likeliest."""
    path = tmp_path / "colours.jsonl"
    path.write_text("\n".join(map(json.dumps, RIGHT)))
    return str(path)


def written(folder: Path, **lines: list[dict[str, Any]]) -> dict[str, str]:
    """Files of data, by their names."""
    made = {name: folder / f"{name}.jsonl" for name in lines}
    for name, path in made.items():
        path.write_text("\n".join(map(json.dumps, lines[name])))
    return {name: str(path) for name, path in made.items()}


def promote(call: Call, gate: str, *words: str, candidate: str = "next:1") -> Result:
    return call("promote", candidate, "--to", "prod:1", "--gate", gate, *words)


def digit(home: Path) -> int:
    """Which model the name holds."""
    return int(Catalog(home).get("prod:1").digest[-1])


def test_a_candidate_that_passes_is_promoted_and_can_be_rolled_back(
    call: Call, home: Path, data: str
) -> None:
    done = promote(call, f"accuracy>=0.9 on {data}; perplexity<=1.1x")

    assert done.exit_code == 0, done.stderr
    assert digit(home) == 2
    assert "prod:1 is next:1 now, sha256:000000000000" in done.stdout
    assert "canteen rollback prod:1 goes back" in done.stdout
    (run,) = runs.ids(home)
    assert runs.load(run, home).subject.settings["method"] == "score"
    assert f"canteen evaluate {run}" in done.stdout

    again = call("rollback", "prod:1")

    assert again.exit_code == 0, again.stderr
    assert digit(home) == 1
    assert "prod:1 is again what it was before" in again.stdout
    last = call("rollback", "prod:1")
    assert last.exit_code == 1
    assert "no promotion of 'prod:1' is left to roll back" in last.stderr


def test_a_gate_that_fails_moves_nothing(call: Call, home: Path, data: str) -> None:
    manifests = {path: path.read_bytes() for path in home.glob("models/manifests/*/*.json")}

    done = promote(call, f"accuracy>=0.9 on {data}; perplexity<=1.02x")

    assert done.exit_code == 1
    assert "no: 21.42 is asked for" in done.stdout
    assert "the gate does not hold, and prod:1 is what it was" in done.stdout
    after = {path: path.read_bytes() for path in home.glob("models/manifests/*/*.json")}
    assert after == manifests


def test_the_weights_told_are_those_that_answer(call: Call, home: Path) -> None:
    card = Catalog(home).get("next:1")
    made = {**card.quality, "weights_after": "int8, symmetric per channel"}
    Catalog(home).put(replace(card, quantization="Q4_1", quality=made))

    done = promote(call, "perplexity<=30")

    assert "prod:1 is next:1 now, sha256:000000000000, INT8" in done.stdout
    (told,) = json.loads(call("promote", "--list", "--json").stdout)
    assert told["quantization"] == "INT8"


def test_what_was_done_is_told_as_data(call: Call, home: Path, data: str) -> None:
    promote(call, "perplexity<=1x")
    told = json.loads(promote(call, f"accuracy>=1x on {data}", "--json").stdout)
    rolled = json.loads(call("rollback", "prod:1", "--json").stdout)

    listed: list[dict[str, Any]] = json.loads(call("promote", "--list", "--json").stdout)

    assert [one["state"] for one in listed] == ["refused", "promoted", "rolled back"]
    assert listed[1:] == [told, rolled]
    assert told["verdicts"][0]["candidate"]["value"] == 1
    assert told["verdicts"][0]["current"]["value"] == 1
    assert "@" in told["by"]
    assert len(told["runs"]) == 2
    text = call("promote", "--list").stdout
    assert text.splitlines()[1].split()[1:4] == ["prod:1", "rolled", "back"]


def test_a_dry_run_says_what_would_be_and_moves_nothing(call: Call, home: Path) -> None:
    done = promote(call, "decode_tokens_per_s>=20", "--dry-run")

    assert done.exit_code == 0, done.stderr
    assert "the gate holds; nothing was moved" in done.stdout
    assert digit(home) == 1
    assert json.loads(call("promote", "--list", "--json").stdout) == []


def test_a_sample_and_options_of_the_task_are_taken(call: Call, home: Path, data: str) -> None:
    words = ("--limit", "2", "--option", "debias=false", "--sure")

    done = promote(call, f"accuracy>=0.5 on {data}", *words)

    assert done.exit_code == 0, done.stderr
    run = runs.load(runs.ids(home)[0], home)
    assert run.num_items == 2
    assert run.subject.settings["debias"] is False


@pytest.mark.parametrize(
    ("gate", "words", "says"),
    [
        ("accuracy=>1 on x", (), "wrong at character 9"),
        ("acuracy>=1 on {data}", (), "has no metric 'acuracy'; it has accuracy, macro_f1, ece"),
        ("accuracy>=1 on movie-sentimen", (), "near it: movie-sentiment"),
        ("accuracy>=1 on no.jsonl", (), "no data set 'no.jsonl'"),
        ("perplexity<9 on no.txt", (), "no text file 'no.txt'"),
        ("accuracy>=1 on {data}", ("--option", "sentences=2"), "has the option of 'sentences=2'"),
        ("accuracy>=1 on {data}", ("--option", "debias=2x"), "option 'debias'"),
        (
            "accuracy>=1 on {data}",
            ("--option", "method=embedding"),
            "it would not be the candidate",
        ),
        ("accuracy>=1 on {data}", ("--option", "classifier=mine"), "it would not be the candidate"),
        ("f1_exact[email]>=1 on {spans}", (), "is about email, which patterns find"),
        ("f1_exact>=1 on {spans}", ("--option", "method=embedding"), "not be the candidate"),
        ("f1_exact>=1 on {spans}", ("--option", 'types=["email"]'), "not be the candidate"),
        ("f1_exact>=1 on {emails}", (), "is about email, which patterns find"),
        ("spearman>=0 on {pairs}", (), "'pairs' is for embed, which 'next:1' does not do itself"),
        ("perplexity<9 on {data}", (), "and 'next:1' is of echo"),
        ("perplexity<=1e999", (), "is too large for a number"),
        ("bytes<1", (), "nothing is known of 'bytes'"),
        ("perplexity<9", ("--to", "echo-embed"), "give it a name of its own"),
        ("perplexity<9", ("--to", "a b"), "a model's name is like"),
    ],
)
def test_what_is_wrong_is_one_plain_line_before_anything_is_asked(
    call: Call, home: Path, data: str, gate: str, words: tuple[str, ...], says: str
) -> None:
    others = written(home.parent, spans=[PERSON, EMAIL], emails=[EMAIL], pairs=[PAIR])

    answer = promote(call, gate.format(data=data, **others), *words)

    assert answer.exit_code == 1
    (line,) = answer.stderr.splitlines()
    assert line.startswith("canteen: ")
    assert says in line
    assert digit(home) == 1
    assert runs.ids(home) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("promote",), "say the candidate, and the name it is to get with --to, and what must"),
        (("promote", "next:1", "--to", "prod:1"), "say what must hold with --gate;"),
        (("promote", "next:1", "--to", "prod:1", "--gate", " "), "say what must hold with --gate;"),
        (("promote", "next:1", "--gate", "bytes<1"), "say the name it is to get with --to;"),
        (("promote", "no:1", "--to", "prod:1", "--gate", "bytes<1"), "model 'no:1' not found"),
        (("rollback", "no:1"), "no promotion of 'no:1' is left"),
        (("rollback", "prod:1"), "no promotion of 'prod:1' is left"),
    ],
)
def test_what_is_missing_is_said(call: Call, words: tuple[str, ...], says: str) -> None:
    answer = call(*words)

    assert answer.exit_code == 1
    assert says in answer.stderr


def test_a_name_of_nothing_gets_its_first_model_only_by_plain_bounds(
    call: Call, home: Path
) -> None:
    relative = call("promote", "next:1", "--to", "new:1", "--gate", "perplexity<=1.02x")
    plain = call("promote", "next:1", "--to", "new:1", "--gate", "perplexity<=30")

    assert relative.exit_code == 1
    assert "it holds nothing yet" in relative.stderr
    assert plain.exit_code == 0, plain.stderr
    assert Catalog(home).get("new:1").digest[-1] == "2"


def test_spans_are_asked_of_the_candidate_itself(call: Call, home: Path) -> None:
    (data,) = written(home.parent, people=[PERSON, PERSON]).values()

    promote(call, f"f1_exact>=0 on {data}")

    (run,) = runs.ids(home)
    settings = runs.load(run, home).subject.settings
    assert (settings["method"], "embedder" in settings) == ("model", False)


def test_a_model_that_answers_nothing_is_not_judged(call: Call, home: Path, data: str) -> None:
    set_context(home, "next:1", 4)

    answer = promote(call, f"ece<=1 on {data}")

    assert answer.exit_code == 1
    assert "'next:1' answered nothing of 'colours'" in answer.stderr
    assert "the prompt has" in answer.stderr
    assert digit(home) == 1


def test_a_gate_does_not_hold_where_items_got_no_answer(
    call: Call, home: Path, tmp_path: Path
) -> None:
    set_context(home, "next:1", 200)
    long = {"text": "blue " * 300, "label": "blue"}
    (data,) = written(tmp_path, some=[*RIGHT, long]).values()

    done = promote(call, f"ece<=1 on {data}")

    assert done.exit_code == 1, done.stderr
    assert "1 of 4 items got no answer" in done.stdout
    (told,) = json.loads(call("promote", "--list", "--json").stdout)
    assert told["state"] == "refused"
    assert (told["verdicts"][0]["num_items"], told["verdicts"][0]["num_failed"]) == (4, 1)


def set_context(home: Path, name: str, tokens: int) -> None:
    card = Catalog(home).get(name)
    Catalog(home).put(replace(card, parameters={**card.parameters, "context_length": tokens}))


def test_a_name_that_was_removed_is_rolled_back(call: Call, home: Path) -> None:
    promote(call, "perplexity<=30")
    call("rm", "prod:1")

    done = call("rollback", "prod:1")

    assert done.exit_code == 0, done.stderr
    assert digit(home) == 1
    assert "until now" not in done.stdout


def test_only_models_of_the_same_vocabulary_are_compared_by_perplexity(home: Path) -> None:
    catalog = Catalog(home)
    for name, words in {"a": "ab", "b": "ab", "c": "cd", "plain": None, "other": None}.items():
        folder = home / "prepared" / name
        folder.mkdir(parents=True)
        if words:
            (folder / "vocabulary.json").write_text(json.dumps(list(words)))
        told = {"name": name, "folder": f"prepared/{name}"}
        architecture = "qwen2" if name == "other" else "llama"
        card = replace(catalog.get("echo"), architecture=architecture, **told)  # type: ignore[arg-type]
        catalog.put(card)
    settings = Settings.from_env({"CANTEEN_HOME": str(home), "CANTEEN_MODEL": "echo"})
    rooms = promoting.Rooms(build(settings), lambda _: None)

    pairs = [("a", "b"), ("a", "c"), ("a", "plain"), ("a", "other")]
    found = [rooms.is_comparable(catalog.get(one), catalog.get(two)) for one, two in pairs]

    assert found == [True, False, True, False]


@pytest.mark.slow
def test_the_real_model_is_measured_on_a_text_of_ones_own(
    model_home_copy: Path, tmp_path: Path
) -> None:
    text = tmp_path / "own.txt"
    text.write_text("The sea was calm, and the boats went out before the sun was up. " * 60)
    short = tmp_path / "short.txt"
    short.write_text("Too short.")
    environ = {"CANTEEN_HOME": str(model_home_copy)}
    words = ("promote", "smollm2:135m", "--json", "--gate")
    gates = (f"perplexity<50 on {text}", f"perplexity<50 on {short}")

    done, failed = (
        CliRunner().invoke(main, [*words, gate, "--to", f"prod:{place}"], env=environ)
        for place, gate in enumerate(gates)
    )

    assert done.exit_code == 0, done.stderr
    assert 1 < json.loads(done.stdout)["verdicts"][0]["candidate"]["value"] < 50
    assert "'short.txt' is too short to measure perplexity on" in failed.stderr
