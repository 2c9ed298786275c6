"""The caller's own data: a JSONL file, an example on each line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from canteen.core.errors import InvalidRequest
from canteen.lifecycle import lines
from canteen.lifecycle.evaluate.examples import (
    Classified,
    Corrected,
    Dataset,
    Document,
    Marked,
    Pair,
    Query,
    Span,
    Summarized,
    Task,
)


class _Label(msgspec.Struct):
    text: str
    label: str


class _Entities(msgspec.Struct):
    text: str
    entities: tuple[Span, ...]


class _Summary(msgspec.Struct):
    text: str
    summary: str


class _Correction(msgspec.Struct):
    source: str
    target: str


class _Search(msgspec.Struct):
    """A query, or a document to find."""

    query: str = ""
    relevant: tuple[str, ...] = ()
    id: str = ""
    document: str = ""


class _Alike(msgspec.Struct):
    first: str
    second: str
    rating: float


_LINES: dict[Task, type[msgspec.Struct]] = {
    "classify": _Label,
    "extract": _Entities,
    "summarize": _Summary,
    "rewrite": _Correction,
    "search": _Search,
    "embed": _Alike,
}


def from_file(path: Path, task: Task) -> Dataset:
    """Read it; raises InvalidRequest that tells every broken line and what is wrong with it.

    The fields are `text` and `label`; `text` and `entities` (each `start`, `end`, `type`);
    `text` and `summary`; `source` and `target`; `query` and `relevant`, or `id` and `document`;
    `first`, `second` and `rating`. A line is an example's id.
    """
    found = _decoded(path, task)
    if task == "search":
        return _searched(path, found)
    examples = tuple(_example(number, line) for number, line in found)
    if not examples:
        raise InvalidRequest("the data file has no examples", param="data")
    return Dataset(path.stem, task, examples, labels=_labels(examples), source={"kind": "file"})


# What only the lines of one task have.
_MARKS: dict[str, Task] = {
    "label": "classify",
    "entities": "extract",
    "summary": "summarize",
    "target": "rewrite",
    "query": "search",
    "document": "search",
    "rating": "embed",
}


def file_task(path: Path) -> Task:
    """The task that a file's examples are of, by its first line; raises InvalidRequest."""
    with path.open("rb") as file:
        first = next((line for line in file if line.strip()), b"{}")
    try:
        fields = msgspec.json.decode(first, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise InvalidRequest(f"the first line of the data: {exc}", param="data") from exc
    found = next((task for mark, task in _MARKS.items() if mark in fields), None)
    if found is None:
        raise InvalidRequest(
            f"the data has no field that tells its task; an example has one of {', '.join(_MARKS)}",
            param="data",
        )
    return found


def _decoded(path: Path, task: Task) -> list[tuple[int, Any]]:
    """The lines by their numbers; raises InvalidRequest that tells every broken one."""
    found: list[tuple[int, Any]] = []
    broken: list[tuple[int, str]] = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            one = msgspec.json.decode(line, type=_LINES[task])
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            broken.append((number, f"is wrong: {exc}"))
            continue
        found.append((number, one))
        if isinstance(one, _Entities) and _is_outside(one):
            broken.append((number, "has a span that is outside its text"))
    if broken:
        raise InvalidRequest(f"{path.name}: {lines.told(broken)}", param="data")
    return found


def _is_outside(line: _Entities) -> bool:
    return any(not 0 <= one.start < one.end <= len(line.text) for one in line.entities)


def _example(number: int, line: Any) -> Any:
    key = str(number)
    match line:
        case _Label():
            return Classified(key, line.text, line.label)
        case _Entities():
            return Marked(key, line.text, line.entities)
        case _Summary():
            return Summarized(key, line.text, line.summary)
        case _Correction():
            return Corrected(key, line.source, line.target)
        case _:
            return Pair(key, line.first, line.second, line.rating)


def _searched(path: Path, found: Sequence[tuple[int, _Search]]) -> Dataset:
    documents = tuple(Document(line.id, line.document) for _, line in found if line.document)
    queries = tuple(
        Query(str(number), line.query, dict.fromkeys(line.relevant, 1.0))
        for number, line in found
        if line.query
    )
    known = {one.id for one in documents}
    if not queries or any(not known.issuperset(one.relevant) for one in queries):
        raise InvalidRequest(
            "the data needs lines with query and relevant, and for each relevant id a line "
            "with id and document",
            param="data",
        )
    source = {"kind": "file"}
    return Dataset(path.stem, "search", queries, documents=documents, source=source)


def _labels(examples: Sequence[Any]) -> tuple[str, ...]:
    """The classes or types in the examples."""
    found: set[str] = set()
    for one in examples:
        if isinstance(one, Classified):
            found.add(one.label)
        elif isinstance(one, Marked):
            found |= {span.type for span in one.spans}
    return tuple(sorted(found))
