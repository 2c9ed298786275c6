"""What the verbs of the tasks share: texts from everywhere, results in order."""

import json
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any

import click

from canteen.cli import store
from canteen.cli.options import options_of
from canteen.core.errors import CanteenError, InvalidRequest
from canteen.tasks.documents.reading import MOST_BYTES
from canteen.tasks.doing import Item, Upload
from canteen.tasks.table import TASKS, Task


def task_command(name: str) -> click.Command:
    """The command of a task."""
    task = TASKS[name]

    @click.command(name, help=f"{task.about}.\n\nOf each of TEXTS, or of standard input.")
    @click.argument("texts", nargs=-1)
    @click.option("--model", help="The model that works; or the default one.")
    @click.option(
        "--file",
        "-f",
        "files",
        multiple=True,
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A document (text, Markdown, HTML, PDF); may be given again.",
    )
    @click.option(
        "--jsonl",
        type=click.File("rb"),
        help='Many texts: lines of JSON, each a string or {"text": …}; - is standard input.',
    )
    @options_of(task.request, leave_out="text")
    @store.as_json
    def command(
        texts: tuple[str, ...],
        model: str | None,
        files: tuple[Path, ...],
        jsonl: Any,
        is_json: bool,
        **options: Any,
    ) -> None:
        given = list(_items(texts, files, jsonl))
        say(task, model, given, _given(options), is_json=is_json or jsonl is not None)

    return command


def _items(texts: tuple[str, ...], files: tuple[Path, ...], jsonl: Any) -> Iterator[Item]:
    yield from texts
    for file in files:
        yield Upload(partial(_bytes, file), file.name, param=file.name)
    if jsonl is not None:
        yield from (_text(number, value) for number, value in json_lines(jsonl, "jsonl"))
    elif not texts and not files:
        yield store.piped()


def _bytes(file: Path) -> bytes:
    """What is larger than a document may be is not read to its end."""
    try:
        with file.open("rb") as opened:
            return opened.read(MOST_BYTES + 1)
    except OSError as exc:
        raise InvalidRequest(f"it cannot be read: {exc.strerror}", param=file.name) from exc


def json_lines(file: IO[bytes], param: str) -> Iterator[tuple[int, Any]]:
    """The values of a file's lines, with their numbers; raises InvalidRequest."""
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line.decode("utf-8-sig"))
        except UnicodeDecodeError as exc:
            raise InvalidRequest(f"line {number} is not UTF-8", param=param) from exc
        except (ValueError, RecursionError) as exc:
            raise InvalidRequest(f"line {number} is not JSON", param=param) from exc
        yield number, value


def _text(number: int, value: Any) -> str:
    text = value.get("text") if isinstance(value, Mapping) else value
    if isinstance(text, str):
        return text
    raise InvalidRequest(
        f'line {number} is neither a JSON string nor an object with a string "text"',
        param="jsonl",
    )


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value not in (None, ())}


def say(
    task: Task, model: str | None, texts: list[Item], options: dict[str, Any], *, is_json: bool
) -> None:
    """A line of JSON, or what a person reads, for each text; failures go to standard error."""
    from canteen.cli.function import LLM

    failed = 0
    with LLM(model) as llm, _progress(texts) as numbered:
        results = llm.each(task, texts, **options)
        for item, result in zip(numbered, results, strict=True):
            if isinstance(result, CanteenError):
                failed += 1
                if len(texts) == 1:
                    raise result
            line = _line(task, item, result, is_json=is_json)
            click.echo(line, err=_is_lost(result, is_json))
    if failed:
        raise InvalidRequest(f"{failed} of {len(texts)} texts failed")


def _progress(texts: list[Item]) -> Any:
    is_hidden = len(texts) < 2 or not sys.stderr.isatty()
    return click.progressbar(texts, file=sys.stderr, show_pos=True, hidden=is_hidden)


def _is_lost(result: Any, is_json: bool) -> bool:
    return isinstance(result, CanteenError) and not is_json


def _line(task: Task, item: Item, result: Any, *, is_json: bool) -> str:
    if isinstance(result, CanteenError):
        message = f"{item.name}: {result.message}" if isinstance(item, Upload) else result.message
        error = {"code": result.code, "message": message}
        return store.compact_json({"error": error}) if is_json else f"canteen: {message}"
    if not is_json:
        return task.told(result)
    import msgspec

    return store.compact_json(msgspec.to_builtins(result))
