"""Options of the program from the fields of a request."""

import dataclasses
import functools
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import click

from canteen.core.errors import CanteenError
from canteen.planning.request import count

Command = Callable[..., Any]


class Count(click.ParamType[int]):
    """A whole number that may be written with a suffix."""

    name = "count"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number."""
        number = value if isinstance(value, int) else count(str(value))
        if number is None:
            self.fail("give a whole number, as 4096, 128k, 7B or 300e9", param, ctx)
        return number


class Json(click.ParamType[Any]):
    """JSON, written out or in a file of which the name is given."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value."""
        if not isinstance(value, str):
            return value
        try:
            text = value if value.lstrip()[:1] in ("{", "[") else Path(value).read_text("utf-8")
            return json.loads(text)
        except (OSError, ValueError, RecursionError):
            self.fail("give JSON, or the name of a file of it", param, ctx)


TYPES: dict[type, click.ParamType[Any]] = {int: Count(), float: click.FLOAT, str: click.STRING}


def options_of(asked: type[Any], *, leave_out: str) -> Callable[[Command], Command]:
    """An option for each field of a dataclass made with `asked` but one, by which refusals of the
    command go, too."""
    hints = get_type_hints(asked)

    def decorate(command: Command) -> Command:
        command = _speaking(asked, command)
        for one in reversed(dataclasses.fields(asked)):
            if one.name != leave_out:
                command = _option(one, hints[one.name])(command)
        return command

    return decorate


def by_options(text: str, asked: type[Any]) -> str:
    """A text in which the fields of a dataclass that are no words of a language go by the names of
    their options."""
    flags = {one.name: _flag(one) for one in dataclasses.fields(asked) if "_" in one.name}
    return re.sub(r"\w+", lambda found: flags.get(found[0], found[0]), text)


def _speaking(asked: type[Any], command: Command) -> Command:
    @functools.wraps(command)
    def told(*args: Any, **options: Any) -> Any:
        try:
            return command(*args, **options)
        except CanteenError as error:
            error.message = by_options(error.message, asked)
            raise

    return told


def _flag(one: "dataclasses.Field[Any]") -> str:
    flag: str = one.metadata.get("flag", f"--{one.name.replace('_', '-')}")
    return flag


def _option(one: "dataclasses.Field[Any]", hint: Any) -> Callable[[Command], Command]:
    flag = _flag(one)
    settings: dict[str, Any] = {"default": one.default, "help": one.metadata["meaning"]}
    if hint is bool:
        either = f"{flag}/--no-{flag.removeprefix('--')}" if one.default else flag
        return click.option(either, one.name, is_flag=True, **settings)
    settings["show_default"] = one.default not in (None, "", ())
    if get_origin(hint) is tuple or list[str] in get_args(hint):
        return click.option(flag, one.name, multiple=True, **settings)
    return click.option(flag, one.name, type=_kind(one, hint), **settings)


def _kind(one: "dataclasses.Field[Any]", hint: Any) -> click.ParamType[Any]:
    if "choices" in one.metadata:
        return click.Choice(one.metadata["choices"])
    plain = {*(get_args(hint) or (hint,))} - {NoneType}
    return TYPES.get(plain.pop(), Json()) if len(plain) == 1 else Json()
