"""One input of a task, in whatever form it comes: read, and then worked on."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from canteen.tasks.documents import Document, read
from canteen.tasks.model import Model
from canteen.tasks.table import Task


@dataclass(frozen=True, slots=True)
class Upload:
    """A document yet to be read. `load` gives its bytes, when it is its turn, and raises
    InvalidRequest; `param` names it in errors."""

    load: Callable[[], bytes]
    name: str = ""
    media_type: str = ""
    param: str = "input"


# An object has the inputs of a prompt of the caller's own.
Item = str | Document | Upload | Mapping[str, Any]


async def do(task: Task, model: Model, options: Mapping[str, Any], item: Item) -> Any:
    """The outcome of a task for one input; raises InvalidRequest for what cannot be read."""
    given = await asyncio.to_thread(_read, item) if isinstance(item, Upload) else item
    if isinstance(given, Document) and not task.takes_documents:
        given = given.text
    return await task.run(model, task.request(given, **options))


def _read(upload: Upload) -> Document:
    return read(upload.load(), name=upload.name, media_type=upload.media_type, param=upload.param)
