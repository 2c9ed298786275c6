"""A passage as an index keeps it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from canteen.tasks.indexes import filters

KEPT = ("document", "number", "title", "content", "offset", "start", "end", "page", "headings")


@dataclass(frozen=True, slots=True)
class Row:
    """A passage as it is kept: `content`, whose words are indexed, is `offset` characters of
    context and then the passage. `number` counts the passages of a document."""

    document: str
    number: int
    digest: str
    title: str
    content: str
    offset: int
    start: int
    end: int
    page: int | None
    headings: tuple[str, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)


def filterable(row: Row) -> dict[str, Any]:
    """The columns of a row that stand for its metadata."""
    found = ((name, filters.kind_of(value), value) for name, value in row.metadata.items())
    return {filters.column(name, kind): value for name, kind, value in found if kind}


def as_json(metadata: Mapping[str, Any]) -> str:
    """Metadata as it is kept whole."""
    return json.dumps(dict(metadata), ensure_ascii=False, separators=(",", ":"))


def read_row(kept: Mapping[str, Any]) -> Row:
    """A row from its columns."""
    values = {name: kept[name] for name in KEPT}
    values["headings"] = tuple(values["headings"] or ())
    return Row(**values, digest="", metadata=json.loads(kept["metadata"]))
