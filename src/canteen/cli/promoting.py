"""Promotion, given what it needs of the rooms that it does not know."""

import getpass
import json
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from canteen.bootstrap import Services
from canteen.cli import answers, evaluating, store
from canteen.core.errors import EngineError, InvalidRequest, ModelNotFound, ModelUnsuitable
from canteen.core.model import ModelCard, Progress
from canteen.lifecycle import perplexity
from canteen.lifecycle.evaluate import datasets, evaluation, kinds, runs
from canteen.lifecycle.evaluate.examples import Dataset, Prediction
from canteen.lifecycle.promote import moving, promotion
from canteen.lifecycle.promote.gate import PERPLEXITY, Condition, Figure, Question, exact
from canteen.lifecycle.promote.ports import Measured
from canteen.lifecycle.promote.promotion import Wish
from canteen.lifecycle.promote.records import Promotion
from canteen.runtime import blobs, locks
from canteen.runtime.catalog import MAKE_ROOM
from canteen.runtime.child import Child, child
from canteen.tasks.typed_fields import kind_of

logger = logging.getLogger(__name__)

# By these a candidate answers itself, and no embedding model beside it.
METHODS = {"classify": "score", "extract": "model"}
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

    async def load(self, card: ModelCard) -> None:
        """Bring a model into memory; raises what keeps it from there."""
        await self._services.load(card.name)

    def check(self, conditions: Sequence[Condition], card: ModelCard) -> None:
        """Fetch the data, and look whether it, the options and the model are what the conditions
        need."""
        for one in conditions:
            if one.is_perplexity_of_text:
                _check_text(one, card)
            elif not one.is_recorded:
                self._check_metric(one, card)
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
            value = await self._perplexity(card, question.data)
            return Measured({PERPLEXITY: exact(value)})
        dataset = self._datasets[question.data]
        wish = evaluating.Wish(dataset.task, card.name, self._limit, self._options[question.data])
        if wish.is_embedding:
            await store.ensure(self._services, wish.embedder, is_quiet=True)
        run = await evaluating.answered(self._services, wish, dataset, self._counted(card, dataset))
        runs.save(run, self.home)
        figures = {name: Figure(one.value, one.low, one.high) for name, one in run.metrics.items()}
        if len(run.failed) == run.num_items:
            raise EngineError(
                f"'{card.name}' answered nothing of '{dataset.name}', so it cannot be judged; "
                f"canteen evaluate {run.id} shows the answers, the first of which is: "
                f"{run.failed[0].message}",
                code="nothing_answered",
            )
        return Measured(figures, run.id, run.num_items, len(run.failed))

    def is_comparable(self, one: ModelCard, other: ModelCard) -> bool:
        """Whether two models have the same vocabulary."""
        texts = [self._services.catalog.path(card) / VOCABULARY for card in (one, other)]
        if not all(path.is_file() for path in texts):
            return one.architecture == other.architecture
        return texts[0].read_bytes() == texts[1].read_bytes()

    async def _perplexity(self, card: ModelCard, text: str) -> float:
        """In a program of its own, whose memory is free again afterwards."""
        module = ("canteen.lifecycle.promote", str(self._services.catalog.path(card)), text)
        watch = self._services.accounting.helper
        with TemporaryDirectory(prefix="canteen-promote-") as name:
            folder = Path(name)
            lock = locks.Lock(folder / "lock")
            try:
                async with child(module, folder, lock.fd, watch=watch) as running:
                    told = [json.loads(line) async for line in running.lines()]
                    return _measured(told, running)
            finally:
                lock.close()

    def _check_metric(self, condition: Condition, card: ModelCard) -> None:
        dataset = self._datasets.get(condition.data) or self._loaded(condition.data)
        self._datasets[condition.data] = dataset
        if (dataset.task in evaluating.EMBEDDING) != (card.kind == "embedder"):
            raise InvalidRequest(
                f"'{dataset.name}' is for {dataset.task}, which '{card.name}' does not do itself, "
                f"as a model that is {'an' if card.kind == 'embedder' else 'a'} {card.kind}; give "
                "a data set that it answers",
                param="gate",
            )
        known = _metrics(dataset)
        if condition.metric not in known:
            raise InvalidRequest(
                f"{dataset.task} on '{dataset.name}' has no metric '{condition.metric}'; it has "
                f"{', '.join(known)}",
                param="gate",
            )
        _check_types(dataset, condition)

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
        with blobs.full_disk_said(MAKE_ROOM):
            await store.ensure(services, wish.candidate, is_quiet=True)
            return await promotion.promote(rooms, wish, tell)
    finally:
        await services.close()


async def rollback(services: Services, name: str) -> Promotion:
    """Let a name hold what it held before its last promotion, and close the services."""
    try:
        with blobs.full_disk_said(MAKE_ROOM):
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


def _check_text(condition: Condition, card: ModelCard) -> None:
    path = Path(condition.data)
    if not path.is_file():
        raise InvalidRequest(
            f"no text file '{condition.data}', which perplexity is to be measured on; without "
            "on it is of the text that ships with Canteen",
            param="gate",
        )
    perplexity.beginning(path)
    if card.engine != "openvino":
        raise ModelUnsuitable(
            "perplexity on a text is measured of generators of the openvino engine, and "
            f"'{card.name}' is of {card.engine}; leave it out of the gate"
        )


def _check_types(dataset: Dataset, condition: Condition) -> None:
    """Raises InvalidRequest where patterns find all spans that a metric counts."""
    if dataset.task != "extract":
        return
    which = condition.metric.partition("[")[2].removesuffix("]")
    types = [which] if which else dataset.labels
    if all(map(kind_of, types)):
        raise InvalidRequest(
            f"'{condition.text}' is about {', '.join(types)}, which patterns find, whatever the "
            "model; leave it out of the gate",
            param="gate",
        )


def _metrics(dataset: Dataset) -> Sequence[str]:
    """The metrics that an evaluation will have, as far as the data alone can tell."""
    nothing = kinds.KINDS[dataset.task].nothing
    if dataset.task == "classify":
        nothing = Prediction("", dict.fromkeys(dataset.labels, 1 / len(dataset.labels)))
    records = evaluation.judge(dataset, [nothing] * len(dataset.examples))
    return [one.name for one in kinds.metrics(dataset.task, records)]


def _options(dataset: Dataset, pairs: Sequence[str]) -> Mapping[str, Any]:
    """The options of a task, by which the candidate itself answers; raises InvalidRequest."""
    mine = [pair for pair in pairs if _fits(dataset.task, pair)]
    own = {"method": METHODS[dataset.task]} if dataset.task in METHODS else {}
    options = own | evaluating.read_options(dataset.task, mine)
    for name, value in options.items():
        if _is_for_others(dataset.task, name, value):
            raise InvalidRequest(
                f"with option {name}={value} it would not be the candidate that answers "
                f"'{dataset.name}'; leave it out",
                param="option",
            )
    return options


def _is_for_others(task: str, name: str, value: Any) -> bool:
    """Whether another model, or a pattern, answers where an option has this value."""
    if name == "method":
        return bool(value != METHODS[task])
    if name == "types":
        return all(kind_of(str(one).partition("=")[0]) for one in value or ())
    return name == "classifier" or (name, value) == ("mode", "text")


def _fits(task: Any, pair: str) -> bool:
    name = pair.partition("=")[0]
    return name in answers.request_of(task).__dataclass_fields__


def _measured(told: Sequence[Mapping[str, Any]], running: Child) -> float:
    """What the program found; raises what it said went wrong."""
    last = told[-1] if told else {}
    if "perplexity" in last:
        return float(last["perplexity"])
    for kind in (InvalidRequest, ModelUnsuitable):
        if last.get("code") == kind.code:
            raise kind(last["error"], param="gate")
    if "error" in last:
        raise EngineError(last["error"], code=last["code"])
    logger.warning("measuring the perplexity failed", extra={"detail": running.said()})
    if running.met_full_disk():
        raise blobs.no_room(MAKE_ROOM)
    why = "there must be memory to load the model, and its files must be whole (pull it again)"
    if running.was_killed:
        why = "the program was killed, as the system does where memory runs out"
    raise EngineError(f"the perplexity could not be measured: {why}", code="measuring_failed")
