"""`canteen index`: search indexes, and the documents in them."""

import asyncio
import dataclasses
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from canteen.cli import gathering, store
from canteen.cli.options import options_of
from canteen.core.errors import IndexNotFound, InvalidRequest
from canteen.tasks.indexes import Indexes
from canteen.tasks.indexing import Added, Source
from canteen.tasks.library import IndexDescription, IndexRequest, Library, UnusableIndex


@click.group
def command() -> None:
    """Search indexes: documents in passages, found by their meaning and their words.

    `canteen search` asks them. Each command has --json.
    """


@command.command
@click.argument("name")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--jsonl",
    type=click.File("rb"),
    help='Lines of JSON: {"text": …, "id": …, "title": …, "metadata": {…}}; - is standard input.',
)
@options_of(IndexRequest, leave_out="name")
@store.as_json
def add(name: str, paths: tuple[Path, ...], jsonl: Any, is_json: bool, **options: Any) -> None:
    """Put documents into the index NAME, which is made if it is not there.

    PATHS are files (text, Markdown, HTML, PDF, JSONL) and folders of them. A document that is in
    the index unchanged costs nothing; one that cannot be read does not stop the others.
    """
    from canteen.cli.function import LLM

    if not paths and jsonl is None:
        raise InvalidRequest("name files or folders, or give --jsonl", param="paths")
    request = IndexRequest(name, **options)
    with LLM(_embedder(request)) as llm:
        outcomes = llm.index(name, **options).add_each(_sources(paths, jsonl))
        with _progress(outcomes, None if jsonl else _count(paths)) as shown:
            counts = _counted(shown)
    if is_json:
        store.echo_json({"index": name, **counts})
    else:
        said = ", ".join(f"{count} {status}" for status, count in counts.items())
        click.echo(f"{name}: {said}")
    if counts["failed"]:
        raise InvalidRequest("not all documents could be put in")


@command.command
@store.as_json
def ls(is_json: bool) -> None:
    """The indexes there are."""
    found = asyncio.run(library().every())
    if is_json:
        store.echo_json([dataclasses.asdict(one) for one in found])
    elif not found:
        click.echo("there are no indexes; `canteen index add NAME FILES` makes one")
    else:
        store.echo_table(("NAME", "DOCUMENTS", "PASSAGES", "EMBEDDER"), map(_row, found))


@command.command
@click.argument("name")
@store.as_json
def show(name: str, is_json: bool) -> None:
    """What the index NAME was made with, and the documents in it."""
    described, documents = asyncio.run(_shown(name))
    if is_json:
        store.echo_json({**dataclasses.asdict(described), "documents": documents})
        return
    for key, value in dataclasses.asdict(described).items():
        told = ", ".join(value) if isinstance(value, tuple) else value
        click.echo(f"{key.replace('_', ' ')}: {told}")
    click.echo("\n".join(["", *documents]) if documents else "", nl=bool(documents))


@command.command
@click.argument("name")
@click.argument("documents", nargs=-1)
@store.as_json
def rm(name: str, documents: tuple[str, ...], is_json: bool) -> None:
    """Remove the index NAME, or only DOCUMENTS from it, by their ids."""
    removed = asyncio.run(_removed(name, documents))
    if is_json:
        store.echo_json({"index": name, "removed": removed if documents else name})
    elif documents:
        click.echo(f"took {removed} of {len(documents)} documents out of {name}")
    else:
        click.echo(f"removed {name}")


def library() -> Library:
    """The indexes of the home."""
    told = store.settings()
    return Library(Indexes(told.home / "indexes"), store.catalog().get, told.default_embedder)


def embedder_of(name: str) -> str:
    """The model that embeds for an index; raises IndexNotFound."""
    return asyncio.run(library().indexes.open(name)).card.model


def _embedder(request: IndexRequest) -> str:
    try:
        return request.embedder or embedder_of(request.name)
    except IndexNotFound:
        return store.settings().default_embedder


def _sources(paths: Iterable[Path], jsonl: Any) -> Iterator[Source]:
    yield from gathering.sources(paths)
    if jsonl is not None:
        yield from gathering.lines(jsonl, getattr(jsonl, "name", "-"))


def _count(paths: Iterable[Path]) -> int | None:
    """How many documents there are, where each is a file."""
    found = gathering.files(paths)
    has_lines = any(one.suffix.lower() in (".jsonl", ".ndjson") for one in found)
    return None if has_lines else len(found)


def _progress(outcomes: Iterable[Added], count: int | None) -> Any:
    is_hidden = not sys.stderr.isatty()
    return click.progressbar(
        outcomes, length=count, file=sys.stderr, show_pos=True, hidden=is_hidden
    )


def _counted(outcomes: Iterable[Added]) -> dict[str, int]:
    """How many of each status; failures are told as they come."""
    counts = {"indexed": 0, "unchanged": 0, "failed": 0}
    for one in outcomes:
        counts[one.status] += 1
        if one.error is not None:
            click.echo(f"canteen: {one.id}: {one.error.message}", err=True)
    return counts


async def _shown(name: str) -> tuple[IndexDescription, list[str]]:
    shelf = library()
    index = await shelf.indexes.open(name)
    return await shelf.describe(index), await index.documents()


async def _removed(name: str, documents: tuple[str, ...]) -> int:
    indexes = library().indexes
    if documents:
        return await (await indexes.open(name)).remove(documents)
    await indexes.remove(name)
    return 0


def _row(one: IndexDescription | UnusableIndex) -> tuple[str, ...]:
    if isinstance(one, UnusableIndex):
        return one.name, "-", "-", one.problem
    return one.name, f"{one.num_documents}", f"{one.num_passages}", one.embedder
