"""A training learns from what was checked, and books once what it takes."""

import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from canteen.core.errors import EngineError, InvalidRequest
from canteen.core.footprint import Footprint
from canteen.core.model import Progress
from canteen.core.training_run import TrainingRun
from canteen.core.units import exact
from canteen.lifecycle.jobs.events import EventLog
from canteen.lifecycle.jobs.job import Job
from canteen.lifecycle.jobs.runner import Desk
from canteen.lifecycle.jobs.training import Finetuning, FromScratch, Parent, Ports, Tab
from canteen.lifecycle.training import corpus
from canteen.lifecycle.training.specs import Finetune, Train

MOODS = [
    {"text": f"number {number} is {label}", "label": label}
    for number in range(20)
    for label in ("good", "bad")
]
WEIGHTS = b"the parent's weights"


@dataclass
class Account:
    """What one run of a training took: half a watt-hour."""

    tokens: int = 0

    def watch(self, pid: int) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def footprint(self) -> Footprint:
        return Footprint(exact(0.5, "Wh"), exact(0, "L"), exact(0, "L"), exact(0, "g"))


@dataclass
class Rooms:
    """What a store does for its jobs; the program says the lines it is given."""

    home: Path
    told: list[dict[str, Any]] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    lineages: list[Mapping[str, Any]] = field(default_factory=list)
    foreseen: TrainingRun = field(default_factory=lambda: TrainingRun(0, 0))
    specs: list[Any] = field(default_factory=list)
    holds: int = 1024

    @property
    def blob(self) -> Path:
        return self.home / "blob"

    def ports(self) -> Ports:
        self.blob.write_bytes(WEIGHTS)
        return Ports(
            home=self.home,
            source=lambda model: Parent(self.blob, "sha256:parent", self.holds),
            estimate=self.estimate,
            program=self.program,
            tab=self.tab,
            adopt=self.adopt,
            digest=lambda name: "sha256:child",
            chat=lambda labels, descriptions: self.asked,
        )

    def estimate(self, spec: Any, run: TrainingRun) -> Mapping[str, Any]:
        self.foreseen = run
        self.specs.append(spec)
        return {}

    def asked(self, text: str, label: str, number: int) -> Mapping[str, Any]:
        question = f"Which of all the categories has this text? {text}"
        return {"messages": [{"role": "user", "content": question}], "completion": label}

    @contextlib.contextmanager
    def tab(self, job: Job, receipt_id: str, digest: str) -> Iterator[Tab]:
        self.accounts.append(Account())
        self.digests.append(digest)
        yield self.accounts[-1]

    @contextlib.asynccontextmanager
    async def program(
        self, module: Sequence[str], folder: Path, tab: Tab
    ) -> AsyncIterator["Rooms"]:
        (folder / "result").mkdir(exist_ok=True)
        (folder / "result" / "model.gguf").write_bytes(b"")
        yield self

    async def lines(self) -> AsyncIterator[bytes]:
        for line in self.told:
            yield json.dumps(line).encode()

    def failure(self) -> EngineError:
        return EngineError("it died")

    async def adopt(
        self, weights: Path, name: str, lineage: Mapping[str, Any]
    ) -> AsyncGenerator[Progress]:
        self.lineages.append(lineage)
        yield Progress("success")


def step(number: int, tokens: int) -> dict[str, Any]:
    return {"event": "step", "step": number, "tokens": tokens}


def folder(home: Path) -> Path:
    path = home / "job"
    path.mkdir()
    return path


def given(kind: Finetuning, there: Path, **asked: Any) -> Finetune:
    """A fine-tune on a few examples."""
    return kind.given(Finetune(model="m", name="n:latest", **asked), MOODS, there)


async def run(kind: Finetuning, there: Path) -> tuple[Mapping[str, Any], list[dict[str, Any]]]:
    """The result of a job, and what it told."""
    log = EventLog(there / "events.jsonl")
    job = Job("job_1", "finetune", "n:latest", {}, "running", 0.0)
    result = await kind.run(job, Desk(there, log.add, "rcpt_1"))
    return result, log.read()


def test_a_fine_tune_holds_its_parent_whatever_becomes_of_it(tmp_path: Path) -> None:
    rooms, there = Rooms(tmp_path), folder(tmp_path)
    kind = Finetuning(rooms.ports())

    kind.check(given(kind, there), there)
    rooms.blob.unlink()

    told = json.loads((there / "spec.json").read_text())
    assert (there / told["gguf"]).read_bytes() == WEIGHTS


def test_the_estimate_is_of_the_chats_that_are_learned(tmp_path: Path) -> None:
    rooms, there = Rooms(tmp_path), folder(tmp_path)
    kind = Finetuning(rooms.ports())

    kind.check(given(kind, there, epochs=1), there)
    whole = rooms.foreseen.tokens
    kind.check(given(kind, tmp_path, max_steps=2, batch_size=3), tmp_path)

    lines = [json.loads(line) for line in (there / "examples.jsonl").read_text().splitlines()]
    assert {line["place"] for line in lines} == set(range(1, 41))
    learned = [line for line in lines if line["part"] == "train"]
    characters = sum(len(one["messages"][0]["content"]) for one in learned)
    assert whole > characters / 3.5
    assert rooms.foreseen.tokens == pytest.approx(whole * 6 / len(learned), abs=1)
    assert (rooms.foreseen.batches, rooms.foreseen.validations) == (2, 2)
    assert 0 < rooms.foreseen.validation_tokens < whole / 2
    assert rooms.foreseen.validation_batches == -(-(40 - len(learned)) // 3)


@pytest.mark.parametrize(
    ("asked", "holds", "taken"), [(None, 1024, 512), (None, 64, 64), (64, 0, 64)]
)
def test_examples_have_as_many_tokens_as_the_model_holds(
    tmp_path: Path, asked: int | None, holds: int, taken: int
) -> None:
    rooms, there = Rooms(tmp_path, holds=holds), folder(tmp_path)
    kind = Finetuning(rooms.ports())

    kind.check(given(kind, there, context_length=asked), there)

    assert rooms.specs[0].context_length == taken
    assert json.loads((there / "spec.json").read_text())["spec"]["context_length"] == taken


def test_more_tokens_than_the_model_holds_are_refused(tmp_path: Path) -> None:
    rooms, there = Rooms(tmp_path, holds=8192), folder(tmp_path)
    kind = Finetuning(rooms.ports())

    with pytest.raises(InvalidRequest, match="context_length is 16,384, and m holds 8,192 tokens"):
        kind.check(given(kind, there, context_length=16384), there)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"data": "moods.jsonl"}, "say which model to start from"),
        ({"model": "m"}, "say what to learn from"),
        ({"model": "m", "data": "moods.jsonl"}, "no such file: moods.jsonl"),
        ({"model": "m", "data": "sets/moods"}, "no such file: sets/moods"),
        ({"model": "m", "data": "moods"}, "no data set 'moods' for classify"),
    ],
)
def test_what_was_left_out_or_is_not_there_is_named(
    tmp_path: Path, told: dict[str, Any], said: str
) -> None:
    kind = Finetuning(Rooms(tmp_path).ports())

    with pytest.raises(InvalidRequest, match=said):
        kind.check(Finetune(name="n:latest", **told), folder(tmp_path))


def test_a_fine_tune_does_not_take_the_name_of_its_parent(tmp_path: Path) -> None:
    kind = Finetuning(Rooms(tmp_path).ports())
    spec = replace(given(kind, tmp_path), model="n")

    with pytest.raises(InvalidRequest, match="'n:latest' is the model that it starts from"):
        kind.check(spec, tmp_path)


def test_a_training_keeps_the_texts_that_were_checked(tmp_path: Path) -> None:
    there, texts = folder(tmp_path), tmp_path / "texts"
    texts.mkdir()
    for name in ("one", "two"):
        (texts / f"{name}.txt").write_text(f"{name}\u2028 " + "It rained. " * 600)
    spec = Train(name="t:latest", corpus=(str(texts),), held_out=("two",), vocab_size=300)
    checked, rooms = corpus.checked(spec, tmp_path), Rooms(tmp_path)

    FromScratch(rooms.ports()).check(spec, there)
    (texts / "one.txt").write_text("Another text.")

    kept = corpus.kept(there / "works.jsonl")
    assert kept == checked
    lineage = json.loads((there / "spec.json").read_text())["lineage"]
    assert lineage["data_digest"] == kept.digest
    # Two passes over 6,605 characters; 4,096 tokens a step, and a validation after it.
    assert rooms.foreseen == TrainingRun(3774, 1, 1, 1887, 1, 48)


async def test_tokens_and_energy_are_booked_once_over_all_runs(tmp_path: Path) -> None:
    rooms, there = Rooms(tmp_path), folder(tmp_path)
    kind = Finetuning(rooms.ports())
    kind.check(given(kind, there), there)
    rooms.told = [step(1, 500), step(2, 1000), {"error": "no number", "code": "engine_error"}]
    with contextlib.suppress(EngineError):
        await run(kind, there)
    receipt = {"energy_wh": {"central": 0.25}, "cost_usd": None}
    EventLog(there / "events.jsonl").add({"event": "failed", "receipt": receipt})

    resumed = {"event": "resumed", "step": 2, "tokens": 1000}
    rooms.told = [resumed, step(3, 1500), step(4, 2000), {"result": {"steps": 4}}]
    _, told = await run(kind, there)

    assert [one.tokens for one in rooms.accounts] == [1000, 1000]
    assert rooms.digests == ["sha256:parent"] * 2
    assert [one["energy_wh"] for one in told if one.get("event") == "step"] == [0.5] * 2 + [
        0.75
    ] * 2
    assert rooms.lineages[0]["parent_digest"] == "sha256:parent"


async def test_what_has_its_name_is_not_made_again(tmp_path: Path) -> None:
    rooms, there = Rooms(tmp_path), folder(tmp_path)
    kind = Finetuning(rooms.ports())
    kind.check(given(kind, there), there)
    rooms.told = [{"result": {"steps": 4}}]

    first, _ = await run(kind, there)
    again, _ = await run(kind, there)

    assert first == again == {"steps": 4, "model": "n:latest", "digest": "sha256:child"}
    assert len(rooms.lineages) == 1
    assert not list(there.rglob("*.gguf"))
