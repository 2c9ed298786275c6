"""`canteen prepare` and `canteen quantize`, on a model of two layers."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from canteen.cli.main import main
from canteen.core.errors import ModelUnsuitable
from canteen.core.model import ModelCard
from canteen.lifecycle.quantize.compression import token_windows
from canteen.runtime import locks
from canteen.runtime.catalog import Catalog
from tests.lifecycle.tiny_model import CHATML, TinyModel

Call = Callable[..., Result]
QUANTIZER = """#!/bin/sh
test "$3" = Q4_K_M && cp "$1" "$2"
"""
PETS = """{"text": "A puppy chews a bone.", "label": "dog"}
{"text": "It purrs.", "label": "cat"}
"""
ENDLESS = """#!/bin/sh
while echo tensor; do :; done
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quantize")
    source = TinyModel("llama", template=CHATML).write(folder / "tiny.gguf")
    ran = invoke(folder / "home", "pull", f"file:{source}", "--name", "tiny:1")
    assert ran.exit_code == 0, ran.stderr
    return folder / "home"


@pytest.fixture
def call(home: Path) -> Call:
    return lambda *words, **environ: invoke(home, *words, **environ)


def invoke(home: Path, *words: str, **environ: str) -> Result:
    return CliRunner().invoke(main, words, env={"CANTEEN_HOME": str(home), **environ})


def folders(home: Path) -> set[str]:
    return {path.name for path in (home / "prepared").iterdir()}


def test_a_model_in_another_format_is_a_model_of_its_own_that_shares_the_source(
    call: Call, home: Path
) -> None:
    ran = call("prepare", "tiny:1", "--format", "int4-awq", "--json")

    card = ModelCard(**json.loads(ran.stdout))
    base = Catalog(home).get("tiny:1")
    assert (card.name, card.parent, card.digest) == ("tiny:1-int4-awq", "tiny:1", base.digest)
    assert card.folder == f"{base.folder}-int4-awq"
    assert card.quantization == "INT4-AWQ"
    assert "built-in texts" in card.quality["weights_after"]
    assert base.quality["weights_after"] == "int8, symmetric per channel"
    assert call("rm", "tiny:1-int4-awq").exit_code == 0
    assert folders(home) == {Path(base.folder).name}
    assert Catalog(home).has_blob(base.digest)


def test_formats_are_compared_and_what_was_made_for_it_is_removed(
    call: Call, home: Path, tmp_path: Path
) -> None:
    before = folders(home)
    (tmp_path / "pets.jsonl").write_text(PETS)
    # Nothing can be written to it, and that is met at the end only.
    (tmp_path / "full.html").symlink_to("/dev/full")

    ran = call(
        *("quantize", "tiny:1", "--compare", "int8,int4", "--rounds", "1", "--max-loss", "1000%"),
        *("--task", str(tmp_path / "pets.jsonl"), "--report", str(tmp_path / "full.html")),
        *("--keep", "tiny:small", "--json"),
    )

    assert ran.exit_code == 1
    assert "No space left" in ran.stderr
    told = json.loads(ran.stdout)
    assert (told["task"], told["num_examples"], told["failed"]) == ("pets", 2, [])
    int8, int4 = told["rows"]
    assert int4["disk_bytes"] < int8["disk_bytes"]
    assert int8["load_bytes"] > 10_000_000
    assert min(int8["prefill_tokens_per_s"], int4["decode_tokens_per_s"]) > 0
    assert int4["joules_per_1000_tokens"]["value"] > 0
    assert told["recommended"] == "int4"
    assert 0 <= int4["accuracy"]["value"] <= 1
    names = {card.name for card in Catalog(home).list()}
    assert names == {"tiny:1", "tiny:small"}
    kept = Catalog(home).get("tiny:small")
    assert folders(home) == before | {Path(kept.folder).name}
    assert call("rm", "tiny:small").exit_code == 0


def test_a_gguf_type_without_the_quantizer_says_what_to_install(call: Call, home: Path) -> None:
    ran = call("prepare", "tiny:1", "--format", "q4_k_m", PATH="")

    assert ran.exit_code == 1
    assert "install it" in ran.stderr
    assert str(home) not in ran.stderr


def quantizer(folder: Path, text: str) -> str:
    """A PATH on which `llama-quantize` is such a script."""
    program = folder / "llama-quantize"
    program.write_text(text)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return f"{folder}:/usr/bin:/bin"


def test_a_gguf_type_is_made_by_the_quantizer_and_pulled(
    call: Call, home: Path, tmp_path: Path
) -> None:
    path = quantizer(tmp_path, QUANTIZER)

    ran = call("prepare", "tiny:1", "--format", "q4_k_m", PATH=path)

    assert ran.exit_code == 0, ran.stderr
    card = Catalog(home).get("tiny:1-q4_k_m")
    assert card.digest != Catalog(home).get("tiny:1").digest
    assert card.parent == "tiny:1"
    assert call("rm", "tiny:1-q4_k_m").exit_code == 0


def test_killed_while_the_quantizer_works_it_ends_too_and_its_scraps_can_go(
    home: Path, tmp_path: Path
) -> None:
    environ = {**os.environ, "CANTEEN_HOME": str(home), "PATH": quantizer(tmp_path, ENDLESS)}
    command = (sys.executable, "-m", "canteen", "prepare", "tiny:1", "--format", "q4_k_m")
    catalog = Catalog(home)
    work = f"{catalog.get('tiny:1').digest}-q4_k_m"

    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        assert "quantizing\n" in iter(running.stderr.readline, "")
        running.kill()
    # It is free when nobody who inherited it is left.
    with locks.locked(catalog.lock_path(work)):
        assert catalog.partial(work).exists()
    catalog.tidy()

    assert not catalog.partial(work).exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("prepare", "tiny:1", "--format", "int5"), "no format 'int5'"),
        (("prepare", "missing", "--format", "int4"), "missing"),
        (("prepare", "tiny:1", "--format", "q4_0", "--group-size", "64"), "leave them out"),
        (("quantize", "tiny:1", "--compare", ","), "name formats"),
        (("quantize", "tiny:1", "--plot", "plot.gif"), ".svg"),
        (("quantize", "tiny:1", "--compare", "int8,int9"), "no format 'int9'"),
        (("quantize", "tiny:1", "--compare", "q4_k_m"), "canteen prepare makes"),
        (("quantize", "tiny:1", "--keep", "bad name!"), "a model's name is like"),
        (("quantize", "tiny:1", "--report", "/nowhere/formats.html"), "can be written to"),
    ],
)
def test_what_cannot_be_done_is_told_before_any_work(
    call: Call, words: tuple[str, ...], message: str
) -> None:
    ran = call(*words)

    assert ran.exit_code == 1
    assert message in ran.stderr


def test_calibration_texts_that_are_too_short_are_refused(home: Path) -> None:
    catalog = Catalog(home)

    with pytest.raises(ModelUnsuitable, match="give at least 128"):
        token_windows(catalog.path(catalog.get("tiny:1")), "Too short.")


def test_a_loss_of_more_than_all_is_only_a_percentage(call: Call) -> None:
    ran = call("quantize", "tiny:1", "--max-loss", "1.5")

    assert ran.exit_code == 2
    assert "write 1.5% if you mean that" in ran.stderr
