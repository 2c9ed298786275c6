"""From texts to a model: it learns, goes on after an end, and tells what it came to."""

import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from canteen.core.errors import InvalidRequest
from canteen.lifecycle.gguf_source import GgufSource
from canteen.lifecycle.perplexity import quality_text
from canteen.lifecycle.training import corpus, scratch
from canteen.lifecycle.training.scratch import Packed
from canteen.lifecycle.training.specs import Train

STEPS = 12
RECIPES = Path(__file__).parents[3] / "recipes"


class Interrupted(Exception):
    """Somebody ends a run."""


class Listener:
    """Hears what a run tells, and ends it after a step where asked to."""

    def __init__(self, ends_at: int = 0) -> None:
        self.events: list[Mapping[str, Any]] = []
        self._ends_at = ends_at

    def __call__(self, event: Mapping[str, Any]) -> None:
        self.events.append(event)
        if event.get("event") == "step" and event["step"] == self._ends_at:
            raise Interrupted

    def named(self, name: str) -> list[Mapping[str, Any]]:
        return [one for one in self.events if one.get("event") == name]

    def losses(self) -> dict[int, float]:
        return {one["step"]: one["loss"] for one in self.named("step")}


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three works."""
    folder = tmp_path_factory.mktemp("texts")
    whole = quality_text()
    for number in range(3):
        third = whole[number * len(whole) // 3 : (number + 1) * len(whole) // 3]
        (folder / f"part-{number}.txt").write_text(third, "utf-8")
    return folder


def spec(texts: Path, **asked: Any) -> Train:
    told = {
        "name": "tiny:latest",
        "corpus": (str(texts),),
        "held_out": ("part-2",),
        "vocab_size": 320,
        "hidden_size": 32,
        "num_layers": 2,
        "num_heads": 2,
        "num_kv_heads": 1,
        "ff_size": 64,
        "context_length": 64,
        "batch_size": 4,
        "max_steps": STEPS,
        "evaluate_every": 4,
        "learning_rate": 1e-2,
        "device": "cpu",
        "dtype": "float32",
    }
    return Train(**{**told, **asked})


@pytest.fixture(scope="module")
def trained(
    texts: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Listener, Mapping[str, Any]]:
    """A run that nobody ended: its folder, what it told, and what it came to."""
    folder, listener = tmp_path_factory.mktemp("whole"), Listener()
    return folder, listener, scratch.run(folder, spec(texts), {"home": str(folder)}, listener)


def test_a_model_learns_from_texts(trained: tuple[Path, Listener, Mapping[str, Any]]) -> None:
    folder, listener, result = trained

    checks = [one["loss"] for one in listener.named("validation")]
    source = GgufSource(folder / "result" / "model.gguf")

    assert checks == sorted(checks, reverse=True)
    assert checks[-1] < math.log(320) - 0.5
    assert len(listener.named("sample")) == len(checks) == 3
    assert result["validation_loss"] == checks[-1]
    assert result["perplexity"] == pytest.approx(math.exp(checks[-1]))
    assert 1 < result["bigram_perplexity"] < 320
    assert result["parameters"] == source.num_parameters
    assert (result["steps"], result["vocab_size"], result["stopped"]) == (STEPS, 320, "")


def test_a_run_that_was_ended_goes_on_as_if_it_had_not_been(
    texts: Path, tmp_path: Path, trained: tuple[Path, Listener, Mapping[str, Any]]
) -> None:
    whole, first, rest = trained[1], Listener(ends_at=7), Listener()
    inputs = {"home": str(tmp_path)}
    corpus.keep(corpus.checked(spec(texts), tmp_path), tmp_path / scratch.WORKS)

    # Of what it learns from nothing is where it was when the job was asked for.
    with pytest.raises(Interrupted):
        scratch.run(tmp_path, spec(tmp_path / "gone"), inputs, first)
    result = scratch.run(tmp_path, spec(tmp_path / "gone"), inputs, rest)

    assert [one["step"] for one in rest.named("resumed")] == [4]
    assert first.losses() | rest.losses() == pytest.approx(whole.losses(), abs=1e-5)
    assert result["perplexity"] == pytest.approx(trained[2]["perplexity"], rel=1e-5)
    assert result["tokens"] == trained[2]["tokens"]


def test_every_token_but_the_first_is_learned_once() -> None:
    ids = np.arange(23)

    packed = Packed(ids, 8)

    sequences = [one["input_ids"].tolist() for one in packed]
    assert [one[1:] for one in sequences] == [
        [*range(1, 8)],
        [*range(8, 15)],
        [*range(15, 22)],
        [22],
    ]
    assert [one[0] for one in sequences] == [0, 7, 14, 21]
    assert len(packed) == len(sequences)
    assert [one["input_ids"].tolist() for one in Packed(ids[:3], 8)] == [[0, 1, 2]]


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        ({"tokens": 4 * 64 * 50}, 50),
        ({"epochs": 2}, 80),
        ({"epochs": 2, "max_steps": 9}, 9),
        ({"tokens": 4 * 64 * 50, "accumulate": 5}, 10),
        ({"tokens": 1}, 1),
    ],
)
def test_steps_follow_from_tokens_or_passes(texts: Path, asked: Any, number: int) -> None:
    told = scratch.schedule(spec(texts, **{"max_steps": None, **asked}), num_tokens=4 * 64 * 40)

    assert told.steps == number


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.name)
def test_recipes_can_be_asked_for(path: Path) -> None:
    told = tomllib.loads(path.read_text("utf-8"))

    kind = told.pop("kind")
    asked = Train(**{**told, "corpus": tuple(told["corpus"])})

    assert kind == "train"
    assert asked.name


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"hidden_size": 33}, "hidden_size"),
        ({"num_heads": 4, "num_kv_heads": 3}, "num_kv_heads"),
        ({"vocab_size": 4096}, "vocab_size"),
        ({"held_out": ("part-9",)}, "held_out"),
    ],
)
def test_what_fits_together_in_no_way_is_refused_before_it_begins(
    asked: Any, param: str, texts: Path, tmp_path: Path
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        scratch.run(tmp_path, spec(texts, **asked), {"home": str(tmp_path)}, Listener())

    assert refused.value.param == param
    assert not list(tmp_path.iterdir())
