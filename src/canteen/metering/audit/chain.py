"""A chain of records, one JSON object a line, each sealed with the hash of the one before; pure.

A line's last field is `hash`, the SHA-256 of the line without it. Whoever changes, drops or moves
a line breaks every hash after it; who cuts off the end is found by a hash that was noted elsewhere.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

START = "0" * 64
_FIELD = b',"hash":"'
_SEAL_BYTES = len(_FIELD) + 64 + len(b'"}')
# The event of a line that comes after one that a killed process did not finish.
TORN = "torn"
# The event of the first line of a file that goes on where another was full.
CONTINUED = "continued"


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: how many records it has, and the hash of the last."""

    num_records: int = 0
    hash: str = START


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a chain is found to be: its end, or at which line of which file it breaks and why.
    `first` is the number of its first record: more than 1 where earlier files are elsewhere."""

    head: Head
    fault: str = ""
    line: int = 0
    has_noted: bool = True
    file: str = ""
    first: int = 1

    @property
    def is_whole(self) -> bool:
        """Whether nothing was changed, and nothing cut off that was noted."""
        return not self.fault and self.has_noted


def sealed(record: Mapping[str, Any], head: Head) -> tuple[bytes, Head]:
    """The line of a record that comes after `head`, and the head then."""
    number = head.num_records + 1
    bare = msgspec.json.encode({"seq": number, "prev": head.hash, **record})
    seal = hashlib.sha256(bare).hexdigest()
    return bare[:-1] + _FIELD + seal.encode() + b'"}\n', Head(number, seal)


def torn(rest: bytes) -> Mapping[str, Any]:
    """The record that accounts for what a killed process or machine left half-written."""
    return {"event": TORN, "torn_sha256": hashlib.sha256(rest.rstrip(b"\n")).hexdigest()}


def head_of(line: bytes) -> Head:
    """The head after a line; raises ValueError for one that is not sound in itself."""
    seal = _opened(line)
    if hashlib.sha256(_bare(line)).hexdigest() != seal:
        raise ValueError("it was changed")
    return Head(int(json.loads(line)["seq"]), seal)


def end_of(tail: bytes, *, is_whole: bool) -> tuple[Head, bytes]:
    """The head at the end of a file, and what stands behind its last sound line. `tail` is all
    of it if `is_whole`; raises ValueError where no line in it is sound."""
    lines = tail.splitlines(keepends=True)
    for at in range(len(lines) - 1, -1, -1):
        try:
            return head_of(lines[at]), b"".join(lines[at + 1 :])
        except ValueError:
            continue
    if not is_whole:
        raise ValueError("its end is no record")
    return Head(), tail


def verify(files: Iterable[tuple[str, Iterable[bytes]]], noted: str = "") -> Verdict:
    """Follow a chain through files, each a name and its lines, to its end or its first fault;
    `noted` is a hash that must be in it."""
    head, first, has_noted, rest = Head(), 1, not noted, b""
    name, number = "", 0
    for name, lines in files:
        for number, line in enumerate(lines, 1):
            try:
                after = head_of(line)
            except ValueError:
                rest += line
                continue
            record = json.loads(line)
            if head == Head() and not rest and record["event"] == CONTINUED:
                head, first = Head(record["seq"] - 1, record["prev"]), record["seq"]
            fault = _fault(record, head, rest)
            if fault:
                return Verdict(head, fault, number, has_noted, name, first)
            head, rest = after, b""
            has_noted = has_noted or head.hash == noted
    # What ends without an end of line was never acknowledged.
    fault = "it was changed, or is no record" if rest.endswith(b"\n") else ""
    return Verdict(head, fault, number if fault else 0, has_noted, name if fault else "", first)


def _fault(record: Mapping[str, Any], head: Head, rest: bytes) -> str:
    """What is wrong with a sound record that comes after `head` and what is no record."""
    if rest and record.get("torn_sha256") != torn(rest)["torn_sha256"]:
        return "a line before it was changed, or is no record"
    if record["prev"] != head.hash or record["seq"] != head.num_records + 1:
        return "a record before it is missing or was changed"
    return ""


def _opened(line: bytes) -> str:
    """A line's hash; raises ValueError for what is no whole line."""
    at = len(line) - 1 - _SEAL_BYTES
    if not line.endswith(b'"}\n') or line[at : at + len(_FIELD)] != _FIELD:
        raise ValueError("no sealed line")
    return line[-67:-3].decode("ascii")


def _bare(line: bytes) -> bytes:
    return line[: len(line) - 1 - _SEAL_BYTES] + b"}"
