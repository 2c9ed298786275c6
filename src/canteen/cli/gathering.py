"""Documents from files, folders and lines of JSON, each read when it is its turn."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import IO

from canteen.core.errors import InvalidRequest
from canteen.tasks.documents import Document, read_all
from canteen.tasks.documents.jsonl import document
from canteen.tasks.documents.reading import BY_NAME, JSONL, MOST_BYTES
from canteen.tasks.indexing import Source

# Of a folder only what is a document by its name; a file that is named is read, whatever it is.
PLAIN = (".txt", ".text", ".rst", ".adoc", ".org", ".tex", ".csv", ".log")


def sources(paths: Iterable[Path]) -> Iterator[Source]:
    """The documents of files and folders, whose names are their ids; a line of a JSONL file is
    one of its own."""
    for path in files(paths):
        if BY_NAME.get(path.suffix.lower()) == JSONL:
            yield from _file_lines(path)
        else:
            yield Source(path.as_posix(), partial(_file, path))


def files(paths: Iterable[Path]) -> list[Path]:
    """The files that are named, and those of the folders that are documents, in order."""
    found = [one for path in paths for one in (_inside(path) if path.is_dir() else [path])]
    return list(dict.fromkeys(found))


def lines(file: IO[bytes], name: str) -> Iterator[Source]:
    """The documents of lines of JSON; blank ones are none."""
    for number, line in enumerate(file, 1):
        if line.strip():
            yield Source(f"{name}:{number}", partial(_line, line, f"{name}, line {number}"))


def _inside(folder: Path) -> list[Path]:
    kinds = {*BY_NAME, *PLAIN}
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in kinds
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def _file_lines(path: Path) -> Iterator[Source]:
    try:
        opened = path.open("rb")
    except OSError as exc:
        reason = exc
        yield Source(path.as_posix(), lambda: _unreadable(path, reason))
        return
    with opened:
        yield from lines(opened, path.as_posix())


def _file(path: Path) -> list[Document]:
    """What is larger than a document may be is not read to its end."""
    try:
        with path.open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
    except OSError as exc:
        return _unreadable(path, exc)
    return read_all(data, name=path.as_posix(), param=path.name)


def _unreadable(path: Path, exc: OSError) -> list[Document]:
    raise InvalidRequest(f"it cannot be read: {exc.strerror}", param=path.name) from exc


def _line(line: bytes, where: str) -> list[Document]:
    try:
        return [document(line.decode("utf-8-sig"), where, "jsonl")]
    except UnicodeDecodeError as exc:
        raise InvalidRequest(f"{where}: this is not UTF-8", param="jsonl") from exc
