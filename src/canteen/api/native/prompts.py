"""`/v1/prompts`: prompts of the caller's own, each of which is a task at `/v1/tasks/NAME`."""

import asyncio
import dataclasses
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, create_model
from starlette.responses import Response

from canteen.api.native import tasks
from canteen.api.routing import Route, Served
from canteen.api.whole import whole
from canteen.api.wire import Wire, expecting
from canteen.core.errors import PromptNotFound
from canteen.runtime.prompts import PromptStore, StoredPrompt
from canteen.tasks import prompted
from canteen.tasks.prompt_file import parsed
from canteen.tasks.table import TASKS


class PromptSource(Wire):
    """A prompt's file."""

    source: str = Field(description="What it declares, between lines of ---, and its template.")


class PromptInput(BaseModel):
    """What is declared of an input."""

    model_config = ConfigDict(extra="allow")
    type: str
    description: str
    required: bool


class PromptListed(BaseModel):
    """A prompt in its latest version; `problem` where it cannot be used any more."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())
    name: str
    version: int
    versions: list[int]
    digest: str
    modified_at: str
    description: str = ""
    inputs: dict[str, PromptInput] = {}


class Prompt(PromptListed):
    """A version of a prompt."""

    output: dict[str, Any] | None = None
    model: str | None = None
    max_tokens: int | None = None
    temperature: float = 0.0
    source: str


class Prompts(BaseModel):
    """Every prompt, by name."""

    prompts: list[PromptListed]


class Removed(BaseModel):
    """The name that is gone."""

    removed: str


_Given = Annotated[str | dict[str, Any], expecting("an object of inputs, or a text")]
PromptRequest = create_model(
    "PromptRequest",
    __base__=tasks.TaskBody,
    __doc__="Inputs for a prompt, by name; a text where it takes but one.",
    input=(_Given | None, Field(None, description="A value for each input.")),
    inputs=(
        list[_Given] | None,
        Field(
            None, description="Many, answered in order; one that fails does not fail the others."
        ),
    ),
)


async def run(body: Any, served: Served) -> Response:
    """Answer a prompt for all inputs of a body, by the model of the body, else its own."""
    task, model = await asyncio.to_thread(_found, served.services.prompts, served.path["name"])
    body.model = body.model or model
    return await tasks.run(task, body, served)


async def every(served: Served) -> Response:
    """The prompts there are."""
    rows = await asyncio.to_thread(_listed, served.services.prompts)
    return whole({"prompts": rows})


async def show(served: Served) -> Response:
    """A prompt, in its latest version or in that of NAME@2."""
    stored = await asyncio.to_thread(served.services.prompts.get, served.path["name"])
    return whole(await asyncio.to_thread(described, stored))


async def put(body: PromptSource, served: Served) -> Response:
    """Store a prompt: as another version, unless its source is that of the latest."""
    name = served.path["name"]
    await asyncio.to_thread(prompted.check, name, body.source)
    stored = await asyncio.to_thread(served.services.prompts.put, name, body.source)
    return whole(described(stored))


async def remove(served: Served) -> Response:
    """Forget a prompt and all its versions."""
    name = served.path["name"]
    await asyncio.to_thread(served.services.prompts.remove, name)
    return whole({"removed": name})


def described(stored: StoredPrompt) -> dict[str, Any]:
    """All that is known of a version."""
    return {**dataclasses.asdict(stored), **prompted.described(stored.source)}


def _listed(store: PromptStore) -> list[dict[str, Any]]:
    rows = [described(one) for one in store.list()]
    return [{key: value for key, value in row.items() if key != "source"} for row in rows]


def _found(store: PromptStore, name: str) -> tuple[Any, str]:
    """The task that a name is, and the model it asks for."""
    try:
        stored = store.get(name)
    except PromptNotFound:
        if "@" in name:
            raise
        raise PromptNotFound(name, [*TASKS, *store.names()]) from None
    task = prompted.task(stored.name, stored.version, stored.source)
    return task, parsed(stored.source).model


ROUTES = (
    Route(
        "GET", "/v1/prompts", every, None, Prompts, "The prompts of one's own", scope="llm:tasks"
    ),
    Route("GET", "/v1/prompts/{name}", show, None, Prompt, "A prompt", scope="llm:tasks"),
    Route(
        "PUT", "/v1/prompts/{name}", put, PromptSource, Prompt, "Store a prompt", scope="llm:admin"
    ),
    Route(
        "DELETE", "/v1/prompts/{name}", remove, None, Removed, "Remove a prompt", scope="llm:admin"
    ),
    Route(
        "POST",
        "/v1/tasks/{name}",
        run,
        PromptRequest,
        tasks.TaskAnswer,
        "Ask a prompt",
        tasks.SSE,
        scope="llm:tasks",
    ),
)
