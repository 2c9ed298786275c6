"""Every error that the Java libraries can read is the one they get: `errors.json`, replayed."""

import base64
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from canteen.core.model import ModelCard
from canteen.runtime.catalog import Catalog
from tests import serving
from tests.compat import java_wire
from tests.compat.expectations import Exchange, failures
from tests.compat.java_wire import LIBRARIES, Json
from tests.compat.readers import READERS
from tests.compat.sockets import Connection, Reply, connected, head
from tests.conftest import pull
from tests.serving import Server

ERRORS = java_wire.fixture("errors")
CASES = ("400", "400-context", "404", "500", "503", "503-draining")
KINDS = {"chat": "whole", "chat-fixed": "whole", "chat-stream": "streamed"}
# Headers whose value is prescribed.
EXACT = ("x-should-retry", "connection")
FIXTURES_KEY = b"test-key"
# So slow that a stream of a few tokens is still running when the worker is killed.
TOKENS_PER_S = 0.1


def chats(library: str) -> dict[str, Json]:
    """A library's plain chat, whole and streamed."""
    requests = java_wire.fixture(library)["requests"]
    return {KINDS[one["name"]]: one for one in requests if one["name"] in KINDS}


def dialect(library: str) -> str:
    """The dialect that a library speaks."""
    return "ollama" if "/api/" in chats(library)["whole"]["path"] else "openai"


def card(home: Path, case: str) -> ModelCard:
    """A model `m` that brings every request into the trouble of a case."""
    usual = replace(Catalog(home).get("echo-embed" if case == "400" else "echo"), name="m:latest")
    troubles: dict[str, dict[str, Any]] = {
        "400-context": {"parameters": {"context_length": 1}},
        "500": {"engine": "openvino"},
    }
    slow = {"parameters": {"tokens_per_s": TOKENS_PER_S}}
    # Models of different folders are loaded apart.
    return replace(usual, folder=f"prepared/{case}", **troubles.get(case, slow))


def open_(folder: Path, **environ: str) -> Server:
    """A server of its own, which knows the fixtures' host."""
    home = pull(folder / "home", "echo", "echo-embed")
    usual = {"CANTEEN_MODEL": "echo", "CANTEEN_ALLOWED_HOSTS": "llm.example"}
    return serving.start(home, folder / "serve.log", usual | environ)


def occupy(server: Server, busy: ExitStack, **limits: int) -> Connection:
    """Send a stream, which is of a caller whom no library knows."""
    messages = [{"role": "user", "content": "w"}]
    asked = {"model": "m", "messages": messages, "stream": True, **limits}
    body = json.dumps(asked).encode()
    fields = [("Host", "localhost"), ("Content-Length", len(body))]
    fields += [("Authorization", "Bearer somebody else")]
    connection = busy.enter_context(connected(server.port))
    connection.send(head("POST", "/v1/chat/completions", fields) + body)
    return connection


def begin_to_drain(server: Server) -> None:
    """Tell the server to end, and wait until it refuses what is new."""
    server.process.send_signal(signal.SIGTERM)
    while True:
        with connected(server.port) as connection:
            connection.send(b"GET /v1/models HTTP/1.0\r\n\r\n")
            if connection.receive().status == 503:
                return


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("errors")
    server = open_(folder, CANTEEN_MAX_NUM_SEQS="1", CANTEEN_MAX_QUEUE="0")
    yield server
    serving.end(server)


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, server: Server) -> Iterator[str]:
    """The name of the case that every request of `m` runs into now."""
    name: str = request.param
    home = server.log.parent / "home"
    if name != "404":
        Catalog(home).put(card(home, name))
    with ExitStack() as busy:
        if name.startswith("503"):
            occupy(server, busy, max_tokens=1000).head()
        if name == "503-draining":
            begin_to_drain(server)
        yield name
    if name != "404":
        Catalog(home).remove("m")


def unmet(names: set[str], request: Json, reply: Reply) -> list[str]:
    """What a reply owes to the expectations about any of the names."""
    mine = [one for one in ERRORS["expects"] if names & set(one["for"].split(","))]
    assert mine
    return [failure for one in mine for failure in failures(one, Exchange(request, reply))]


def with_key(request: Json, secret: str) -> Json:
    """A request with the key of somebody in place of the fixtures' own."""
    raw = java_wire.raw_of(request).replace(FIXTURES_KEY, secret.encode())
    kept = {name: value for name, value in request.items() if name != "raw_gzip_base64"}
    return kept | {"raw_base64": base64.b64encode(raw).decode()}


def complaints(
    case: str, library: str, kind: str, port: int, secret: str = FIXTURES_KEY.decode()
) -> list[str]:
    """What a library would not find in the answer to its chat."""
    wanted = ERRORS["server_replies"][dialect(library)].get(case)
    wanted = wanted or ERRORS["server_replies"]["openai"][case]
    request = with_key(chats(library)[kind], secret)

    with connected(port) as connection:
        reply = java_wire.send(connection, request, java_wire.in_one_write)

    names = {"all", "409", case, case[:3], f"errors/{dialect(library)}"}
    found = unmet(names | ({"stream"} if kind == "streamed" else set()), request, reply)
    if reply.status != wanted["status"]:
        found.append(f"{reply.status} instead of {wanted['status']}")
    for name, value in wanted["headers"]:
        given = reply.header(name.lower())
        if given is None or (name.lower() in EXACT and given != value):
            found.append(f"{name} is {given} and not {value}")
    if dialect(library) == "openai":
        error, example = json.loads(reply.body)["error"], wanted["body"]["error"]
        if (error.keys(), error["type"]) != (example.keys(), example["type"]):
            found.append(f"{error} is not like {example}")
    return found


@pytest.mark.parametrize("kind", ["whole", "streamed"])
@pytest.mark.parametrize("library", LIBRARIES)
def test_an_error_is_one_that_the_library_can_read(
    server: Server, case: str, library: str, kind: str
) -> None:
    """Items 12 and 16 of the conformance checklist."""
    assert complaints(case, library, kind, server.port) == []


def test_who_asks_for_more_than_its_share_is_told_so(tmp_path: Path) -> None:
    """The 429 of items 12 and 16."""
    server = open_(tmp_path, CANTEEN_MAX_NUM_SEQS="1", CANTEEN_MAX_QUEUE="1")
    Catalog(tmp_path / "home").put(card(tmp_path / "home", "429"))
    with ExitStack() as opened:
        opened.callback(serving.end, server)
        # One runs and a small one waits: who comes now has asked for the most.
        occupy(server, opened, max_tokens=1000).head()
        occupy(server, opened)
        while server.metric("vllm:num_requests_waiting") < 1:
            time.sleep(0.01)

        for library in LIBRARIES:
            for kind in ("whole", "streamed"):
                assert complaints("429", library, kind, server.port) == []


def test_who_shows_no_good_key_is_told_so(tmp_path: Path) -> None:
    """The 401 of item 16."""
    server = open_(tmp_path, CANTEEN_KEYS="on")
    with ExitStack() as opened:
        opened.callback(serving.end, server)

        for library in LIBRARIES:
            for kind in ("whole", "streamed"):
                assert complaints("401", library, kind, server.port) == []


def test_whose_quota_is_gone_is_told_not_to_come_again(tmp_path: Path) -> None:
    """The permanent refusal of item 12."""
    home = pull(tmp_path / "home", "echo")
    make = [*serving.CANTEEN, "keys", "create", "small", "--limit", "tokens_per_day=1", "--json"]
    made = subprocess.run(
        make, env=serving.plain_environ(home), capture_output=True, check=True
    ).stdout
    server = open_(tmp_path)
    with ExitStack() as opened:
        opened.callback(serving.end, server)
        Catalog(home).put(card(home, "429-permanent"))

        sent = [(library, kind) for library in LIBRARIES for kind in ("whole", "streamed")]
        with_keys = [
            (library, kind)
            for library, kind in sent
            if FIXTURES_KEY in java_wire.raw_of(chats(library)[kind])
        ]
        assert len(with_keys) >= 10
        for library, kind in with_keys:
            secret = json.loads(made)["key"]
            assert complaints("429-permanent", library, kind, server.port, secret) == []


def test_a_stream_that_breaks_off_tells_every_library(tmp_path: Path) -> None:
    """Item 10 of the conformance checklist."""
    server = open_(tmp_path)
    home = tmp_path / "home"
    Catalog(home).put(card(home, "mid-stream"))
    with ExitStack() as opened:
        opened.callback(serving.end, server)
        streams = {one: opened.enter_context(connected(server.port)) for one in LIBRARIES}
        heads = {library: begun(stream, library) for library, stream in streams.items()}
        for pid in server.worker_pids():
            os.kill(pid, signal.SIGKILL)
        replies = {
            one: replace(heads[one], pieces=list(streams[one].chunks())) for one in LIBRARIES
        }

    for library, reply in replies.items():
        names = {"all", f"mid-stream/{dialect(library)}"}
        assert reply.status == 200
        assert unmet(names, chats(library)["streamed"], reply) == []
        for notices in READERS[dialect(library)]:
            assert notices(reply.body.decode()), f"{library} would not notice: {reply.body!r}"


def begun(connection: Connection, library: str) -> Reply:
    """The head of a library's stream, which comes with its first token."""
    connection.send(java_wire.raw_of(chats(library)["streamed"]))
    return Reply(*connection.head(), pieces=[])
