"""One evaluation from a wish to a run: models at hand, options read, one receipt for all of it."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, get_type_hints

import msgspec

from canteen.bootstrap import Services
from canteen.cli import answers, store
from canteen.cli.answers import Tell
from canteen.cli.function import Charged
from canteen.core.errors import InvalidRequest
from canteen.core.footprint import new_receipt_id
from canteen.lifecycle.evaluate.evaluation import evaluate
from canteen.lifecycle.evaluate.examples import Dataset, Task, shuffled
from canteen.lifecycle.evaluate.runs import Run, Subject
from canteen.metering.receipt import as_json
from canteen.tasks.classify import ABOUT, Example
from canteen.tasks.fitting import FitRequest
from canteen.tasks.model import Model

# Texts that a classifier is fitted to: a language model reads each, an embedder is fast.
NUM_TAUGHT = {"score": 200, "head": 2000}
# Longer ones are not learned from; most would not fit a small model's context.
LONGEST_TAUGHT = 4000
# Tasks whose model is one that embeds.
EMBEDDING: tuple[Task, ...] = ("search", "embed")
_NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Wish:
    """What to evaluate. `model` embeds where the task is search or embed, else it writes; `fit`
    is the method of a classifier to be fitted to the data set's train part first."""

    task: Task
    model: str
    limit: int | None = None
    options: Mapping[str, Any] = field(default_factory=lambda: _NONE)
    fit: str | None = None

    @property
    def embedder(self) -> str:
        """The model that embeds."""
        return self.model if self.task in EMBEDDING else store.settings().default_embedder

    @property
    def is_embedding(self) -> bool:
        """Whether the embedder works beside the model that was named."""
        method = self.options.get("method")
        by_names = self.task == "extract" and method != "model"
        by_meaning = self.task == "classify" and method != "score" and self.fit != "score"
        return by_names or by_meaning


def wished(what: str, asked: Mapping[str, Any], default_model: str) -> Wish:
    """What the program was asked for; raises InvalidRequest."""
    task: Task = what  # type: ignore[assignment]
    options = read_options(task, asked["pairs"])
    for name in ("classifier", "fit"):
        if asked[name] and task != "classify":
            raise InvalidRequest(f"--{name} is for classify", param=name)
    if asked["classifier"]:
        options["classifier"] = asked["classifier"]
    if asked["fit"] and options.get("classifier"):
        raise InvalidRequest("give --fit or --classifier, and not both", param="fit")
    usual = store.settings().default_embedder if task in EMBEDDING else default_model
    return Wish(task, asked["model"] or usual, asked["limit"], options, asked["fit"])


def read_options(task: Task, pairs: Sequence[str]) -> dict[str, Any]:
    """The values of KEY=VALUE in the types of the task's request; raises InvalidRequest."""
    request = answers.request_of(task)
    names = [one.name for one in dataclasses.fields(request)][1:]
    hints = get_type_hints(request)
    return dict(_option(pair, names, hints) for pair in pairs)


def _option(pair: str, names: Sequence[str], hints: Mapping[str, Any]) -> tuple[str, Any]:
    key, mark, text = pair.partition("=")
    if not mark:
        raise InvalidRequest(f"'{pair}' is not KEY=VALUE", param="option")
    if key not in names:
        near = get_close_matches(key, names, n=1) or names
        raise InvalidRequest(f"no option '{key}'; there is {', '.join(near)}", param="option")
    try:
        value = json.loads(text) if text[:1] in ("{", "[") else text
        return key, msgspec.convert(value, hints[key], strict=False)
    except (ValueError, msgspec.ValidationError) as exc:
        raise InvalidRequest(f"option '{key}': {exc}", param=key) from exc


async def evaluated(services: Services, wish: Wish, dataset: Dataset, tell: Tell) -> Run:
    """Answer and judge a data set, and close the services.

    Raises InvalidRequest, Overloaded or EngineError; one item that fails is only told.
    """
    if wish.fit and not dataset.train:
        raise InvalidRequest(f"'{dataset.name}' has no train part to fit to", param="fit")
    try:
        await _ensure(services, wish)
        return await answered(services, wish, dataset, tell)
    finally:
        await services.close()


async def answered(services: Services, wish: Wish, dataset: Dataset, tell: Tell) -> Run:
    """Answer and judge a data set with models that are there; what it took is on one receipt,
    whatever models worked.

    Raises InvalidRequest, Overloaded or EngineError; one item that fails is only told.
    """
    receipt_id = new_receipt_id()
    version = answers.prompt_version(wish.task)
    charged = Charged(services, receipt_id, "", "evaluate")
    model = Model(charged, wish.model, wish.embedder, "evaluate", prompt_version=version)
    try:
        options = {**wish.options, **await _fitted(services, model, wish, dataset)}
        subject = _subject(services, wish, options)
        # What loading takes is no part of the answers' time.
        await services.load(subject.model)
        async with answers.asking(model, dataset, options, tell) as ask:
            run = await evaluate(dataset, ask, subject)
    finally:
        receipt = services.till.settle(receipt_id)
    return run if receipt is None else replace(run, receipt=as_json(receipt))


def _subject(services: Services, wish: Wish, options: Mapping[str, Any]) -> Subject:
    """The model that answers, which is that of the classifier where there is one."""
    settings = _settings(wish, options)
    if not options.get("classifier"):
        by_meaning = wish.task == "classify" and wish.is_embedding
        name = wish.embedder if by_meaning else wish.model
        version = ABOUT.id if by_meaning else answers.prompt_version(wish.task)
        return Subject(name, services.digest(name), version, settings)
    fitted = services.classifier(options["classifier"])
    settings = {**settings, "method": fitted.method}
    return Subject(fitted.model, fitted.digest, fitted.prompt_version, settings)


async def _ensure(services: Services, wish: Wish) -> None:
    await store.ensure(services, wish.model)
    if wish.is_embedding:
        await store.ensure(services, wish.embedder)


def _settings(wish: Wish, options: Mapping[str, Any]) -> dict[str, Any]:
    embedder = wish.embedder if wish.is_embedding else None
    settings = {**options, "fit": wish.fit, "embedder": embedder, "limit": wish.limit}
    told = {name: value for name, value in settings.items() if value is not None}
    plain: dict[str, Any] = msgspec.to_builtins(told)
    return plain


async def _fitted(
    services: Services, model: Model, wish: Wish, dataset: Dataset
) -> Mapping[str, Any]:
    """The option that names a classifier, fitted just now and kept; none where none is wanted."""
    if wish.fit is None:
        return {}
    name = f"evaluate-{dataset.name}-{wish.fit}"
    described = {label: about for label, about in dataset.descriptions.items() if about}
    request = FitRequest(
        taught(dataset, NUM_TAUGHT[wish.fit]), wish.fit, tuple(dataset.labels), described or None
    )
    await services.fit(model, name, request)
    return {"classifier": name}


def taught(dataset: Dataset, count: int) -> tuple[Example, ...]:
    """A sample of the train part to learn from, the same each time; each label is in it."""
    fitting = {one.id: one for one in dataset.train if 0 < len(one.text.strip()) <= LONGEST_TAUGHT}
    drawn = [fitting[key] for key in shuffled(list(fitting))]
    firsts = {one.label: one for one in reversed(drawn)}.values()
    chosen = list(dict.fromkeys((*firsts, *drawn)))[: max(count, len(firsts))]
    return tuple(Example(one.text, one.label) for one in chosen)
