"""`canteen promote` by perplexity on a text of one's own, of a model of two layers."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from canteen.cli.main import main
from canteen.lifecycle import perplexity
from canteen.runtime.catalog import Catalog
from tests import serving
from tests.lifecycle.tiny_model import CHATML, TinyModel

SENTENCE = "The sea was calm, and the boats went out before the sun was up. "


@pytest.fixture(scope="module")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("promote")
    source = TinyModel("llama", template=CHATML).write(folder / "tiny.gguf")
    ran = invoke(folder / "home", "pull", f"file:{source}", "--name", "tiny:1")
    assert ran.exit_code == 0, ran.stderr
    return folder / "home"


@pytest.fixture
def home(pulled: Path, tmp_path: Path) -> Path:
    """A copy, in which nothing was promoted yet."""
    return serving.linked_copy(pulled, tmp_path / "home")


def invoke(home: Path, *words: str) -> Result:
    return CliRunner().invoke(main, words, env={"CANTEEN_HOME": str(home)})


def promote(home: Path, *texts: Path) -> Result:
    gate = "; ".join(f"perplexity<1e6 on {text}" for text in texts)
    return invoke(home, "promote", "tiny:1", "--to", "prod:1", "--gate", gate)


def test_only_the_beginning_of_a_text_counts_and_that_is_said(home: Path, tmp_path: Path) -> None:
    begun, longer = tmp_path / "begun.txt", tmp_path / "longer.txt"
    # Its tokens are letters.
    begun.write_text((SENTENCE * 200)[: perplexity.MOST_TOKENS + 200])
    longer.write_text(begun.read_text() + "\N{SNOWMAN}" * 300_000)

    done = promote(home, begun, longer)

    assert done.exit_code == 0, done.stderr
    assert "a text's perplexity is of its first 6,144 tokens at most" in done.stdout
    (told,) = json.loads(invoke(home, "promote", "--list", "--json").stdout)
    one, other = (each["candidate"]["value"] for each in told["verdicts"])
    assert one == pytest.approx(other, rel=1e-6)


def test_an_empty_text_is_too_short_and_no_other_is_taken_for_it(
    home: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.txt"
    own.touch()

    done = promote(home, own)

    assert done.exit_code == 1
    assert "'own.txt' is too short to measure perplexity on" in done.stderr


def test_a_model_that_cannot_be_loaded_for_it_is_told(home: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text(SENTENCE * 20)
    folder = Catalog(home).path(Catalog(home).get("tiny:1"))
    (folder / "openvino_model.xml").unlink()

    done = promote(home, own)

    assert done.exit_code == 1
    assert "the perplexity could not be measured" in done.stderr
