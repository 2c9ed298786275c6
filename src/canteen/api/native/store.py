"""The store, as those see it who keep it: what can be pulled, what is there, where it comes from,
how good it was found to be, and how it is brought into another format."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from canteen.api.errors import problem, status_of
from canteen.api.routing import Route, Served
from canteen.api.streaming import json_bytes, stream
from canteen.api.whole import whole
from canteen.api.wire import Name, Wire
from canteen.bootstrap.preparing import form_of
from canteen.core.errors import CanteenError, InvalidRequest
from canteen.core.model import ModelCard, full_name
from canteen.lifecycle.evaluate import kept
from canteen.lifecycle.quantize import records
from canteen.lifecycle.quantize.formats import FORMATS
from canteen.runtime.menu import menu as entries

NDJSON = "application/x-ndjson"
MOST_RUNS = 200
FILE = "file:"


class Offer(BaseModel):
    """A model that can be pulled by its name. `needs_bytes` is the most that a pull has on disk at
    one time."""

    name: str
    about: str
    kind: str
    license: str
    download_bytes: int
    needs_bytes: int
    is_here: bool


class Menu(BaseModel):
    """What there is to be pulled, and the formats that weights can be prepared in, by name."""

    menu: list[Offer]
    formats: dict[str, str]


class Stored(BaseModel):
    """A model of the store. `quality` is what was measured when it was prepared, `lineage` what a
    job here made it of; `source` names no folder of the server."""

    model_config = ConfigDict(extra="allow")
    name: str
    kind: str
    digest: str
    engine: str
    format: str
    source: str
    parent: str
    lineage: dict[str, Any]
    quality: dict[str, Any]


class Store(BaseModel):
    """Its models, by name."""

    models: list[Stored]


class Evaluation(BaseModel):
    """Who was asked what, and how well it went: each metric with the bounds of its interval."""

    model_config = ConfigDict(extra="allow")
    id: str
    task: str
    dataset: str
    model: str
    num_items: int
    metrics: dict[str, dict[str, float]]


class Evaluations(BaseModel):
    """What `canteen evaluate` found here, the newest first."""

    evaluations: list[Evaluation]


class Comparisons(BaseModel):
    """What `canteen quantize` measured here, the last time for each model."""

    comparisons: list[dict[str, Any]]


class PrepareRequest(Wire):
    """Weights to be brought into another format."""

    model: Name = Field(description="A model of the store that came as a GGUF file.")
    format: str = Field(description="One of the formats of the menu.")
    name: str | None = Field(None, description="Its name; by default the model's and the format.")


async def menu(served: Served) -> Response:
    """What can be pulled."""
    here = {card.name for card in served.services.catalog.list()}
    told = [
        {
            "name": name,
            "about": one.about,
            "kind": one.kind,
            "license": one.license,
            "download_bytes": one.download_bytes,
            "needs_bytes": one.needs_bytes,
            "is_here": name in here,
        }
        for name, one in entries().items()
    ]
    return whole({"menu": told, "formats": {name: one.label for name, one in FORMATS.items()}})


async def store(served: Served) -> Response:
    """The models that the caller may ask."""
    caller = served.observe.caller

    def may(name: str) -> bool:
        return caller is None or caller.may_ask(name)

    return whole({"models": [_stored(card, may) for card in served.models()]})


async def evaluations(served: Served) -> Response:
    """What models, or the one that is named, were found to be good at."""
    home, model = served.services.settings.home, served.request.query_params.get("model", "")
    found = await asyncio.to_thread(kept.heads, home, MOST_RUNS, model and full_name(model))
    return whole({"evaluations": found})


async def comparisons(served: Served) -> Response:
    """What formats of a model cost and gain."""
    home = served.services.settings.home
    return whole({"comparisons": await asyncio.to_thread(records.load, home)})


async def prepare(body: PrepareRequest, served: Served) -> Response:
    """Bring weights into another format; each step as a line of JSON."""
    if body.format not in FORMATS:
        known = ", ".join(FORMATS)
        raise InvalidRequest(f"'{body.format}' is no format; there are {known}", param="format")
    name = body.name or f"{full_name(body.model)}-{body.format}"
    steps = served.services.puller.prepare(body.model, name, form_of(FORMATS[body.format]))

    async def frames() -> AsyncGenerator[bytes]:
        async with aclosing(steps):
            async for step in steps:
                yield json_bytes(asdict(step)) + b"\n"

    return await stream(frames(), NDJSON, _last_words)


def _stored(card: ModelCard, may: Callable[[str], bool]) -> dict[str, Any]:
    """A card; of other models, those are named that the caller may ask."""
    names = (
        "name", "kind", "digest", "engine", "format", "architecture", "num_parameters",
        "context_length", "size_bytes", "quantization", "license", "parent", "modified_at",
    )  # fmt: skip
    named = {name: getattr(card, name) for name in names}
    source = card.source
    if source.startswith(FILE):
        source = FILE + Path(source.removeprefix(FILE)).name
    lineage = dict(card.metadata.get("lineage", {}))
    for told in (named, lineage):
        if told.get("parent") and not may(told["parent"]):
            told["parent"] = ""
    return {
        **named,
        "source": source,
        "lineage": lineage,
        "quality": dict(card.quality),
        "members": [one for one in card.members if may(one)],
        "upstream": bool(card.upstream),
    }


def _last_words(error: CanteenError) -> bytes:
    return json_bytes({"error": problem(error, status_of(error))}) + b"\n"


ROUTES = (
    Route("GET", "/v1/menu", menu, None, Menu, "What can be pulled", scope="key"),
    Route("GET", "/v1/store", store, None, Store, "The models, with their records", scope="key"),
    Route(
        "GET", "/v1/evaluations", evaluations, None, Evaluations, "How good models were found",
        scope="llm:admin",
    ),
    Route(
        "GET", "/v1/comparisons", comparisons, None, Comparisons, "What formats cost and gain",
        scope="llm:admin",
    ),
    Route(
        "POST", "/v1/prepare", prepare, PrepareRequest, None, "Bring weights into another format",
        NDJSON, scope="llm:admin",
    ),
)  # fmt: skip
