"""HTTP on a bare socket, with a parser of its own that hides no framing."""

import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

WITHIN_S = 30.0

# What java.net.http.HttpClient adds to every request in the clear.
H2C = [
    ("Connection", "Upgrade, HTTP2-Settings"),
    ("Upgrade", "h2c"),
    ("HTTP2-Settings", "AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA"),
]

Headers = list[tuple[str, str]]


@dataclass(frozen=True)
class Reply:
    """An answer as it came: `pieces` are the chunks of a chunked body."""

    status: int
    headers: Headers
    pieces: list[bytes]
    interim: list[int] = field(default_factory=list)

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


class Connection:
    """One TCP connection to a server."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=WITHIN_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = self._socket.makefile("rb")

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self._socket.sendall(piece)

    def receive(self, is_head: bool = False) -> Reply:
        """The final reply; interim ones before it are noted."""
        interim: list[int] = []
        while True:
            status, headers = self.head()
            if status >= 200:
                return Reply(status, headers, self._pieces(status, headers, is_head), interim)
            interim.append(status)

    def head(self) -> tuple[int, Headers]:
        line = self._stream.readline()
        if not line:
            raise ConnectionError("the server closed the connection instead of answering")
        headers = []
        while field_line := self._stream.readline().rstrip(b"\r\n"):
            name, _, value = field_line.decode("latin-1").partition(":")
            headers.append((name.lower(), value.strip()))
        return int(line.split()[1]), headers

    def chunks(self) -> Iterator[bytes]:
        while size := int(self._stream.readline().split(b";")[0], 16):
            yield self._stream.read(size)
            self._stream.readline()
        self._stream.readline()

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

    def _pieces(self, status: int, headers: Headers, is_head: bool) -> list[bytes]:
        fields = dict(headers)
        if is_head or status in (204, 304):
            return []
        if fields.get("transfer-encoding", "").lower() == "chunked":
            return list(self.chunks())
        return [self._stream.read(int(fields.get("content-length", -1)))]


@contextmanager
def connected(port: int) -> Iterator[Connection]:
    connection = Connection(port)
    try:
        yield connection
    finally:
        connection.close()


def chunked(body: bytes, size: int) -> bytes:
    """A body in HTTP chunks of `size` bytes."""
    parts = (body[at : at + size] for at in range(0, len(body), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def head(method: str, path: str, fields: Iterable[tuple[str, Any]]) -> bytes:
    """A request's head."""
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
