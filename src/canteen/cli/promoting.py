"""Promotion, given what it needs of the rooms that it does not know."""

import asyncio
import getpass
import json
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from canteen.bootstrap import Services
from canteen.cli import answers, evaluating, store
from canteen.core.errors import EngineError, InvalidRequest, ModelNotFound
from canteen.core.model import ModelCard, Progress
from canteen.lifecycle.evaluate import datasets, evaluation, kinds, runs
from canteen.lifecycle.evaluate.examples import Dataset, Prediction
from canteen.lifecycle.promote import moving, promotion
from canteen.lifecycle.promote.gate import PERPLEXITY, Condition, Figure, Question, exact
from canteen.lifecycle.promote.ports import Measured
from canteen.lifecycle.promote.promotion import Wish
from canteen.lifecycle.promote.records import Promotion

# A candidate must answer itself, and not an embedding model beside it.
USUAL = ("method=score",)
VOCABULARY = "vocabulary.json"

Tell = Callable[[Progress], object]


class Rooms:
    """What services do for promotion. `pairs` are options of the tasks, as KEY=VALUE."""

    def __init__(
        self, services: Services, tell: Tell, pairs: Sequence[str] = (), limit: int | None = None
    ) -> None:
        self.home = services.settings.home
        self._services = services
        self._tell = tell
        self._pairs = pairs
        self._limit = limit
        self._datasets: dict[str, Dataset] = {}
        self._options: dict[str, Mapping[str, Any]] = {}

    def get(self, name: str) -> ModelCard:
        """The card of a name."""
        return self._services.catalog.get(name)

    def find(self, name: str) -> ModelCard | None:
        """The card of a name that may hold nothing."""
        try:
            return self.get(name)
        except ModelNotFound:
            return None

    def move(self, name: str, card: ModelCard, *, before: ModelCard | None, keep_as: str) -> None:
        """Let a name hold another model."""
        self._services.catalog.move(name, card, before=before, keep_as=keep_as)

    def remove(self, name: str) -> None:
        """Forget a name."""
        self._services.catalog.remove(name)

    def check(self, conditions: Sequence[Condition]) -> None:
        """Fetch the data, and look whether it and the options are what the conditions need."""
        for one in conditions:
            if one.is_perplexity_of_text:
                _check_text(one)
            elif not one.is_recorded:
                self._check_metric(one)
        self._options = {
            name: _options(dataset, self._pairs) for name, dataset in self._datasets.items()
        }
        tasks = [dataset.task for dataset in self._datasets.values()]
        for pair in self._pairs:
            if not any(_fits(task, pair) for task in tasks):
                raise InvalidRequest(
                    f"no task of the gate has the option of '{pair}'", param="option"
                )

    async def measure(self, card: ModelCard, question: Question) -> Measured:
        """Evaluate a model; the run is kept."""
        if question.is_perplexity:
            value = await _perplexity(self._services.catalog.path(card), question.data)
            return Measured({PERPLEXITY: exact(value)})
        dataset = self._datasets[question.data]
        wish = evaluating.Wish(dataset.task, card.name, self._limit, self._options[question.data])
        if wish.is_embedding:
            await store.ensure(self._services, wish.embedder, is_quiet=True)
        run = await evaluating.answered(self._services, wish, dataset, self._counted(card, dataset))
        runs.save(run, self.home)
        figures = {name: Figure(one.value, one.low, one.high) for name, one in run.metrics.items()}
        return Measured(figures, run.id)

    def is_comparable(self, one: ModelCard, other: ModelCard) -> bool:
        """Whether two models have the same vocabulary."""
        texts = [self._services.catalog.path(card) / VOCABULARY for card in (one, other)]
        if not all(path.is_file() for path in texts):
            return one.architecture == other.architecture
        return texts[0].read_bytes() == texts[1].read_bytes()

    def _check_metric(self, condition: Condition) -> None:
        dataset = self._datasets.get(condition.data) or self._loaded(condition.data)
        self._datasets[condition.data] = dataset
        known = _metrics(dataset)
        if condition.metric not in known:
            raise InvalidRequest(
                f"{dataset.task} on '{dataset.name}' has no metric '{condition.metric}'; it has "
                f"{', '.join(known)}",
                param="gate",
            )

    def _loaded(self, which: str) -> Dataset:
        dataset = datasets.load(which, datasets.task_of(which), self.home)
        return dataset if self._limit is None else dataset.limited(self._limit)

    def _counted(self, card: ModelCard, dataset: Dataset) -> answers.Tell:
        count = 0

        def tell() -> None:
            nonlocal count
            count += 1
            total = len(dataset.examples)
            self._tell(Progress(f"{card.name} on {dataset.name}", "", count, total))

        return tell


async def promote(services: Services, wish: Wish, rooms: Rooms, tell: Tell) -> Promotion:
    """Promote, and close the services; a candidate of the menu is pulled.

    Raises InvalidRequest, Overloaded or EngineError, with nothing moved.
    """
    try:
        await store.ensure(services, wish.candidate, is_quiet=True)
        return await promotion.promote(rooms, wish, tell)
    finally:
        await services.close()


async def rollback(services: Services, name: str) -> Promotion:
    """Let a name hold what it held before its last promotion, and close the services."""
    try:
        return await moving.rollback(Rooms(services, lambda _: None), name, who())
    finally:
        await services.close()


def who() -> str:
    """Who runs this program, and where."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "somebody"
    return f"{user}@{socket.gethostname()}"


def _check_text(condition: Condition) -> None:
    path = Path(condition.data)
    if not path.is_file():
        raise InvalidRequest(
            f"no text file '{condition.data}', which perplexity is to be measured on; without "
            "on it is of the text that ships with Canteen",
            param="gate",
        )
    try:
        path.read_text("utf-8")
    except UnicodeDecodeError as exc:
        raise InvalidRequest(f"'{path.name}' is not UTF-8 text", param="gate") from exc


def _metrics(dataset: Dataset) -> Sequence[str]:
    """The metrics that an evaluation will have, as far as the data alone can tell."""
    nothing = kinds.KINDS[dataset.task].nothing
    if dataset.task == "classify":
        nothing = Prediction("", dict.fromkeys(dataset.labels, 1 / len(dataset.labels)))
    records = evaluation.judge(dataset, [nothing] * len(dataset.examples))
    return [one.name for one in kinds.metrics(dataset.task, records)]


def _options(dataset: Dataset, pairs: Sequence[str]) -> Mapping[str, Any]:
    usual = [pair for pair in USUAL if dataset.task == "classify"]
    mine = [pair for pair in (*usual, *pairs) if _fits(dataset.task, pair)]
    return evaluating.read_options(dataset.task, mine)


def _fits(task: Any, pair: str) -> bool:
    name = pair.partition("=")[0]
    return name in answers.request_of(task).__dataclass_fields__


async def _perplexity(folder: Path, text: str) -> float:
    """In a program of its own, whose memory is free again afterwards."""
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "canteen.lifecycle.promote", str(folder), text),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=DEVNULL,
    )
    try:
        said, _ = await program.communicate()
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()
    told = json.loads(said or "{}")
    if "error" in told:
        raise InvalidRequest(told["error"], param="gate")
    if "perplexity" not in told:
        raise EngineError(
            "the perplexity could not be measured; the model must be a generator that the "
            "openvino engine runs, and there must be memory to load it",
            code="measuring_failed",
        )
    return float(told["perplexity"])
