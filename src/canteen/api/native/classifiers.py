"""`/v1/classifiers`: classifiers of the caller's own, fitted to labelled examples."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field, create_model
from starlette.responses import Response

from canteen.api.fields import fields_of
from canteen.api.native import tasks
from canteen.api.receipts import ReceiptBody
from canteen.api.routing import Route, Served
from canteen.api.whole import whole
from canteen.api.wire import Wire
from canteen.core.classifier import Classifier as Kept
from canteen.core.errors import ClassifierNotFound, InvalidRequest
from canteen.runtime.classifiers import ClassifierStore
from canteen.tasks.classify import PROMPT
from canteen.tasks.fitting import FitRequest


class FitBody(Wire):
    """Which models a classifier is for."""

    model: str = Field("", description="The model whose probabilities are calibrated.")
    embedder: str = Field("", description="The model whose vectors a head reads; or the default.")


Fit = create_model("FitRequest", __base__=FitBody, **fields_of(FitRequest))


class Classifier(BaseModel):
    """A classifier without its weights. `report` is of examples held back."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())
    name: str
    method: str
    labels: list[str]
    model: str
    digest: str
    temperature: float
    report: dict[str, Any]
    created_at: str
    footprint: ReceiptBody | None = None


class Unusable(BaseModel):
    """A classifier that cannot be used any more, and why."""

    name: str
    problem: str


class Classifiers(BaseModel):
    """Every classifier, by name."""

    classifiers: list[Classifier | Unusable]


async def fit(body: Any, served: Served) -> Response:
    """Learn from examples; a classifier of the same name is replaced."""
    options = {key: value for key, value in body if key not in FitBody.model_fields}
    request = FitRequest(**{key: value for key, value in options.items() if value is not None})
    model = tasks.model_of(body, served, PROMPT.id)
    made = await served.services.fit(model, served.path["name"], request)
    return whole(described(made) | served.footprint())


async def every(served: Served) -> Response:
    """The classifiers there are."""
    rows = await asyncio.to_thread(lambda: [*listed(served.services.classifiers)])
    return whole({"classifiers": rows})


async def show(served: Served) -> Response:
    """A classifier."""
    store = served.services.classifiers
    return whole(described(await asyncio.to_thread(store.get, served.path["name"])))


async def remove(served: Served) -> Response:
    """Forget a classifier."""
    name = served.path["name"]
    await asyncio.to_thread(served.services.classifiers.remove, name)
    return whole({"removed": name})


def described(classifier: Kept) -> dict[str, Any]:
    """All but the weights, which say nothing to a reader."""
    told: dict[str, Any] = msgspec.to_builtins(classifier)
    del told["weights"]
    return told


def listed(store: ClassifierStore) -> Iterator[dict[str, Any]]:
    """Every classifier, or what is wrong with it."""
    for name in store.names():
        # One may be removed meanwhile.
        with suppress(ClassifierNotFound):
            yield _row(store, name)


def _row(store: ClassifierStore, name: str) -> dict[str, Any]:
    try:
        return described(store.get(name))
    except ClassifierNotFound:
        raise
    except InvalidRequest as exc:
        return {"name": name, "problem": exc.message}


class Removed(BaseModel):
    """The name that is gone."""

    removed: str


ROUTES = (
    Route(
        "GET",
        "/v1/classifiers",
        every,
        None,
        Classifiers,
        "The classifiers of one's own",
        scope="llm:tasks",
    ),
    Route(
        "GET", "/v1/classifiers/{name}", show, None, Classifier, "A classifier", scope="llm:tasks"
    ),
    Route(
        "PUT",
        "/v1/classifiers/{name}",
        fit,
        Fit,
        Classifier,
        "Fit a classifier to examples",
        scope="llm:tasks",
    ),
    Route(
        "DELETE",
        "/v1/classifiers/{name}",
        remove,
        None,
        Removed,
        "Remove a classifier",
        scope="llm:tasks",
    ),
)
