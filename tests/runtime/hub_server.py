"""A stand-in for the Hugging Face hub on loopback that serves real files as the hub does."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LFS_FROM_BYTES = 512
_API = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)(/revision/(?P<revision>[^/]+))?")
_RESOLVE = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<name>.+)")


@dataclass
class Hub:
    """Repositories by name; what was asked; and how many bytes of a file it gives before it
    hangs up (`cut_after_bytes`), or false bytes (`is_false`)."""

    repos: Mapping[str, Mapping[str, bytes]]
    url: str = ""
    cdn_url: str = ""
    gated: str = ""
    cut_after_bytes: int = 0
    is_false: bool = False
    requests: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)

    def ranges(self) -> list[str]:
        """The ranges asked for, of files."""
        return [
            headers.get("range", "")
            for method, path, headers in self.requests
            if method == "GET" and path.startswith("/cdn/")
        ]


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Serve on a free port of loopback for the time of the block."""

    class Handler(_Handler):
        served = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    hub.cdn_url = f"http://localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    served: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.served.requests.append(
            (self.command, path, {name.lower(): value for name, value in self.headers.items()})
        )
        if found := _API.fullmatch(path):
            self._model(found["repo"], found["revision"] or "main")
        elif found := _RESOLVE.fullmatch(path):
            self._resolve(found["repo"], found["revision"], found["name"])
        elif path.startswith("/cdn/"):
            self._cdn(path.removeprefix("/cdn/"))
        else:
            self._send(404, b"", {})

    def _model(self, repo: str, revision: str) -> None:
        if repo not in self.served.repos:
            self._send(401, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif repo == self.served.gated and self.headers["Authorization"] != "Bearer secret":
            self._send(403, b"{}", {"X-Error-Code": "GatedRepo"})
        elif revision not in ("main", COMMIT):
            self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        else:
            siblings = [_sibling(*file) for file in self.served.repos[repo].items()]
            model = {
                "id": repo,
                "sha": COMMIT,
                "private": False,
                "downloads": 0,
                "likes": 0,
                "tags": [],
                "cardData": {"license": "mit"},
                "siblings": siblings,
            }
            self._send(200, json.dumps(model).encode(), {"Content-Type": "application/json"})

    def _resolve(self, repo: str, revision: str, name: str) -> None:
        data = self.served.repos.get(repo, {}).get(name)
        if data is None:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{git_sha1(data)}"'}
        if len(data) < LFS_FROM_BYTES:
            self._send(200, data, headers)
            return
        sha256 = hashlib.sha256(data).hexdigest()
        linked = {"X-Linked-ETag": f'"{sha256}"', "X-Linked-Size": str(len(data))}
        self._send(
            302, b"", {**headers, **linked, "Location": f"{self.served.cdn_url}/cdn/{sha256}"}
        )

    def _cdn(self, sha256: str) -> None:
        files = (data for repo in self.served.repos.values() for data in repo.values())
        data = next(data for data in files if hashlib.sha256(data).hexdigest() == sha256)
        if self.served.is_false:
            data = data[::-1]
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        headers = {"Content-Length": str(len(data) - start)}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        if self.served.cut_after_bytes:
            self._send(206 if start else 200, data[start:][: self.served.cut_after_bytes], headers)
            self.close_connection = True
            self.connection.close()
            return
        self._send(206 if start else 200, data[start:], headers)

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)
            self.wfile.flush()


def _sibling(name: str, data: bytes) -> dict[str, object]:
    sibling: dict[str, object] = {"rfilename": name, "size": len(data), "blobId": git_sha1(data)}
    if len(data) >= LFS_FROM_BYTES:
        sha256 = hashlib.sha256(data).hexdigest()
        sibling["lfs"] = {"size": len(data), "sha256": sha256, "pointerSize": 130}
    return sibling


def git_sha1(data: bytes) -> str:
    """What git calls these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
