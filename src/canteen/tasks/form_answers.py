"""Answers to a form: their strings found in the text, those of many windows made one."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import getitem
from typing import Any, Literal

from canteen.core.errors import InvalidOutput
from canteen.tasks.form import Branch, Form, accepts_null, is_quoted
from canteen.tasks.sentences import Span
from canteen.tasks.typed_fields import kind_of

Method = Literal["pattern", "model"]
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Quote:
    """A string of an answer and its place in the text, which is None where it has none."""

    quote: str
    span: Span | None
    method: Method


# What a model's string becomes; None where it is to be left out.
Ground = Callable[[str, Method], Quote | None]


def grounded(form: Form, value: Any, ground: Ground) -> Any:
    """An answer with quotes for its strings, and None for what was left out."""
    return _grounded(form, value, form.root, ground)


def _grounded(form: Form, value: Any, of: Sequence[Branch], ground: Ground) -> Any:
    if isinstance(value, Mapping):
        known = {name: form.of_property(of, name) for name in value}
        return {
            name: _grounded(form, value[name], branches, ground)
            for name, branches in known.items()
            if branches
        }
    if isinstance(value, list):
        return [
            _grounded(form, one, form.of_item(of, place), ground) for place, one in enumerate(value)
        ]
    if isinstance(value, str) and not _is_chosen(value, of):
        return ground(value, _method(of))
    return value


def _is_chosen(value: str, of: Sequence[Branch]) -> bool:
    return any(value in one.get("enum", ()) or value == one.get("const") for one in of)


def _method(of: Sequence[Branch]) -> Method:
    is_pattern = any(is_quoted(one) and kind_of(str(one.get("format", ""))) for one in of)
    return "pattern" if is_pattern else "model"


def merged(first: Any, second: Any) -> Any:
    """Two answers as one: objects by property, arrays together, else the first that is there."""
    if isinstance(first, dict) and isinstance(second, dict):
        names = dict.fromkeys((*first, *second))
        return {name: merged(first.get(name), second.get(name)) for name in names}
    if isinstance(first, list) and isinstance(second, list):
        return first + second
    return second if first is None else first


def _distinct(nodes: Iterable[Any]) -> list[Any]:
    found: dict[str, Any] = {}
    for node in nodes:
        found.setdefault(json.dumps(plain(node), sort_keys=True), node)
    return list(found.values())


def plain(node: Any) -> Any:
    """An answer as JSON."""
    if isinstance(node, dict):
        return {name: plain(one) for name, one in node.items()}
    if isinstance(node, list):
        return [plain(one) for one in node]
    return node.quote if isinstance(node, Quote) else node


def finished(form: Form, node: Any) -> Any:
    """The answer, in which what is missing is left out, or null where it must be there; a part
    that is nothing without it is left out as a whole.

    Raises InvalidOutput where the schema asks for more than was found.
    """
    done = _finished(form, node, form.root)
    if done is None:
        done = _filler(form, form.root)
    while errors := list(form.validator.iter_errors(plain(done))):
        faulty = {_left_out(form, done, tuple(error.instance_path)) for error in errors}
        if None in faulty:
            raise InvalidOutput(
                f"what was found in the text does not satisfy the schema ({errors[0].message}); "
                "make what may be missing optional or nullable, or use another model"
            )
        # From the end, so that no path changes before its turn.
        for path in sorted(filter(None, faulty), key=_order, reverse=True):
            del _at(done, path[:-1])[path[-1]]
    return done


def _left_out(form: Form, node: Any, path: Path) -> Path | None:
    """The smallest part around a path that may be missing; None where that is all."""
    for length in range(len(path), 0, -1):
        parent = _at(node, path[: length - 1])
        of = _branches_at(form, path[: length - 1])
        if isinstance(parent, list) or path[length - 1] not in _required(of):
            return path[:length]
    return None


def _at(node: Any, path: Path) -> Any:
    return reduce(getitem, path, node)


def _branches_at(form: Form, path: Path) -> Sequence[Branch]:
    of: Sequence[Branch] = form.root
    for one in path:
        of = form.of_item(of, one) if isinstance(one, int) else form.of_property(of, one)
    return of


def _required(of: Sequence[Branch]) -> set[str]:
    return {name for one in of for name in one.get("required", ())}


def _order(path: Path) -> list[tuple[int, str]]:
    return [(one, "") if isinstance(one, int) else (0, one) for one in path]


def _finished(form: Form, node: Any, of: Sequence[Branch]) -> Any:
    """None for what has no content."""
    if isinstance(node, list):
        done = [_finished(form, one, form.of_item(of, place)) for place, one in enumerate(node)]
        most = min((int(one["maxItems"]) for one in of if "maxItems" in one), default=None)
        return _distinct(one for one in done if one is not None)[:most]
    if not isinstance(node, dict):
        return node
    done_of = {name: _finished(form, one, form.of_property(of, name)) for name, one in node.items()}
    made = {name: one for name, one in done_of.items() if one is not None}
    return _filled(form, made, of) if any(one != [] for one in made.values()) else None


def _filled(
    form: Form, made: dict[str, Any], of: Sequence[Branch], depth: int = 0
) -> dict[str, Any]:
    """The object with what it must have, as far as that may be empty."""
    missing = sorted(_required(of) - made.keys())
    fillers = {name: _filler(form, form.of_property(of, name), depth) for name in missing}
    return made | {name: filler for name, filler in fillers.items() if filler is not _NOTHING}


_NOTHING = object()
# Beyond it an object holds itself, and cannot be.
MOST_DEPTH = 32


def _filler(form: Form, of: Sequence[Branch], depth: int = 0) -> Any:
    if depth > MOST_DEPTH:
        return _NOTHING
    if any(map(accepts_null, of)):
        return None
    kinds = {one.get("type") for one in of if isinstance(one.get("type"), str)}
    if "array" in kinds:
        return []
    if "object" in kinds or any("properties" in one for one in of):
        return _filled(form, {}, of, depth + 1)
    return _NOTHING


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Whatever is neither an object nor an array, with its path (a JSON Pointer)."""
    if isinstance(node, dict):
        for name, one in node.items():
            escaped = name.replace("~", "~0").replace("/", "~1")
            yield from leaves(one, f"{path}/{escaped}")
    elif isinstance(node, list):
        for place, one in enumerate(node):
            yield from leaves(one, f"{path}/{place}")
    else:
        yield path, node
