"""The menu: the models that can be pulled by a plain name."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from canteen.core.model import full_name


@dataclass(frozen=True, slots=True)
class Entry:
    """A model on the menu; `sha256` is empty where there are no files."""

    aliases: tuple[str, ...]
    about: str
    kind: Literal["generator", "embedder"]
    source: str
    sha256: str
    license: str
    download_bytes: int
    size_bytes: int
    needs_bytes: int


@cache
def menu() -> dict[str, Entry]:
    """All entries by full name, without their aliases."""
    text = files("canteen.runtime").joinpath("menu.toml").read_text("utf-8")
    return {
        name: Entry(**{**entry, "aliases": tuple(entry["aliases"])})
        for name, entry in tomllib.loads(text).items()
    }


def find(name: str) -> Entry | None:
    """The entry of a name or alias; raises InvalidRequest for what cannot be a name."""
    name = full_name(name)
    return next(
        (entry for key, entry in menu().items() if name == key or name in entry.aliases), None
    )
