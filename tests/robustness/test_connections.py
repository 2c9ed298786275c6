"""Connections that misbehave, against a real server: others go on, and nothing stays behind."""

import json
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import serving
from tests.compat.sockets import Connection, chunked, connected, head
from tests.robustness.processes import held
from tests.serving import Server

PATH = "/v1/chat/completions"
HOST = ("Host", "localhost")
Serve = Callable[..., Server]


def body(text: str = "hello", **more: Any) -> bytes:
    messages = [{"role": "user", "content": text}]
    return json.dumps({"model": "echo", "messages": messages, **more}).encode()


def request(sent: bytes) -> bytes:
    return head("POST", PATH, [HOST, ("Content-Length", len(sent))]) + sent


def said(connection: Connection) -> str:
    reply = connection.receive()
    assert reply.status == 200, reply.body
    return str(json.loads(reply.body)["choices"][0]["message"]["content"])


def assert_answers(server: Server) -> None:
    """Somebody else is answered."""
    answer = httpx.post(server.url + PATH, content=body("still here"), timeout=30)
    assert answer.json()["choices"][0]["message"]["content"] == "still here"


def num_running(server: Server) -> int:
    components = httpx.get(f"{server.url}/health/ready", timeout=30).json()["components"]
    return int(components["echo:latest"]["details"]["running"])


def test_pipelined_requests_are_answered_in_order(target: Server) -> None:
    with connected(target.port) as connection:
        connection.send(b"".join(request(body(text)) for text in ("one", "two", "three")))

        assert [said(connection) for _ in range(3)] == ["one", "two", "three"]


def test_a_request_and_a_half_are_one_answer_and_then_another(target: Server) -> None:
    first, second = request(body("one")), request(body("two"))
    with connected(target.port) as connection:
        connection.send(first + second[:40])
        assert said(connection) == "one"
        connection.send(second[40:])

        assert said(connection) == "two"


BAD_FRAMING = {
    "a chunk size that is none": head("POST", PATH, [HOST, ("Transfer-Encoding", "chunked")])
    + b"zz\r\nhello\r\n",
    "a chunk that is longer than said": head("POST", PATH, [HOST, ("Transfer-Encoding", "chunked")])
    + b"2\r\nhello\r\n0\r\n\r\n",
    "two lengths": head("POST", PATH, [HOST, ("Content-Length", 5), ("Content-Length", 6)]),
    "a length that is none": head("POST", PATH, [HOST, ("Content-Length", "many")]),
    "a negative length": head("POST", PATH, [HOST, ("Content-Length", -1)]),
    "an unknown coding": head("POST", PATH, [HOST, ("Transfer-Encoding", "gzip")]),
    "no host": head("POST", PATH, []),
    "two hosts": head("POST", PATH, [HOST, HOST]),
    "a name with a space": head("POST", PATH, [HOST, ("A b", 1)]),
    "a folded line": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "a null byte": b"GET / HTTP/1.1\r\nHost: a\x00b\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "an endless line": b"GET /" + b"a" * 100_000,
    "a flood of headers": head("GET", "/", [HOST, *[(f"X-{i}", "a" * 50) for i in range(20_000)]]),
}


@pytest.mark.parametrize("sent", BAD_FRAMING.values(), ids=BAD_FRAMING.keys())
def test_bad_framing_is_400_and_closed(target: Server, sent: bytes) -> None:
    with connected(target.port) as connection:
        connection.send(sent)
        reply = connection.receive()

        assert reply.status == 400
        assert json.loads(reply.body)["code"] == "invalid_http"
        assert reply.header("connection") == "close"
    assert_answers(target)


@pytest.mark.parametrize("target_form", ["*", "http://localhost/x", "//x", "/%00", "/%ff/..%2f.."])
def test_an_odd_target_is_no_such_route(target: Server, target_form: str) -> None:
    with connected(target.port) as connection:
        connection.send(head("GET", target_form, [HOST]))
        reply = connection.receive()

        assert reply.status == 404
        assert json.loads(reply.body)
    assert_answers(target)


def test_a_body_longer_than_its_length_spoils_only_what_follows(target: Server) -> None:
    sent = body("one")
    with connected(target.port) as connection:
        connection.send(
            head("POST", PATH, [HOST, ("Content-Length", len(sent))]) + sent + b"x\r\n\r\n"
        )

        assert said(connection) == "one"
        assert connection.receive().status == 400


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_body_that_ends_too_early_is_dropped(target: Server, framing: str) -> None:
    sent = body("never whole")
    fields = [HOST, ("Content-Length", len(sent) + 1)]
    if framing == "chunks":
        sent, fields = chunked(sent, 7)[:-5], [HOST, ("Transfer-Encoding", "chunked")]
    for _ in range(20):
        with connected(target.port) as connection:
            connection.send(head("POST", PATH, fields) + sent)

    assert_answers(target)


def test_who_half_closes_has_gone(target: Server) -> None:
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", target.port)) as client:
            client.sendall(request(body("hello", stream=True, max_tokens=60)))
            client.shutdown(socket.SHUT_WR)
            while client.recv(65536):
                pass

    assert_answers(target)
    # While its worker is busy, what it told last is shown.
    while num_running(target):
        pass


def test_a_thousand_idle_connections_hinder_nobody(target: Server) -> None:
    with ExitStack() as open_ones:
        idle = [open_ones.enter_context(connected(target.port)) for _ in range(1000)]
        for connection in idle[::2]:
            connection.send(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        statuses = [connection.receive().status for connection in idle[::2]]

        assert set(statuses) == {200}
        assert_answers(target)


def test_slow_heads_and_bodies_hinder_nobody(target: Server) -> None:
    whole = request(body("slowly"))
    with ExitStack() as open_ones:
        slow = [open_ones.enter_context(connected(target.port)) for _ in range(200)]
        for length in (5, 30, len(whole) - 1):
            for connection in slow:
                connection.send(whole[max(length - 3, 0) : length])
            assert_answers(target)


@pytest.mark.slow
def test_slow_heads_and_bodies_are_408_after_a_while(target: Server) -> None:
    with connected(target.port) as in_head, connected(target.port) as in_body:
        in_head.send(b"POST /v1/chat/completions HTTP/1.1\r\n")
        in_body.send(head("POST", PATH, [HOST, ("Content-Length", 500)]) + b'{"model"')
        no_head, no_body = in_head.receive(), in_body.receive()

    assert (no_head.status, no_body.status) == (408, 408)
    assert json.loads(no_head.body)["code"] == "head_stalled"
    assert json.loads(no_body.body)["error"]["type"] == "timeout_error"
    assert no_body.header("connection") == "close"


def test_who_does_not_read_costs_little_and_hinders_nobody(echo_home: Path, serve: Serve) -> None:
    server = serve(echo_home)
    long = request(body("word", stream=True, max_tokens=8000, n=4))
    assert_answers(server)
    before = held(server).resident_bytes[server.process.pid]
    with ExitStack() as open_ones:
        for _ in range(8):
            client = open_ones.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", server.port))
            client.sendall(long)
        for _ in range(20):
            assert_answers(server)
        grown = held(server).resident_bytes[server.process.pid] - before

    assert grown < 256 << 20
    while num_running(server):
        pass
    assert_answers(server)


def test_a_body_that_is_too_large_is_always_told_so(echo_home: Path, serve: Serve) -> None:
    server = serve(echo_home, CANTEEN_MAX_BODY_BYTES="100000")
    sent = body("x" * 8_000_000)

    for _ in range(20):
        with connected(server.port) as connection:
            connection.send(head("POST", PATH, [HOST, ("Content-Length", len(sent))]), sent)
            reply = connection.receive()
        assert reply.status == 413
        assert json.loads(reply.body)["error"]["code"] == "body_too_large"


def limited(home: Path, log: Path, limit: str) -> Server:
    """A server under a limit of the shell's `ulimit`."""
    command = ("sh", "-c", f'ulimit {limit}; exec "$@"', "sh", sys.executable, "-m", "canteen")
    return serving.start(home, log, {"CANTEEN_MODEL": "echo"}, command)


def test_one_connection_too_many_is_told_so_in_its_dialect(echo_home: Path, tmp_path: Path) -> None:
    server = limited(echo_home, tmp_path / "log", "-n 300")
    with ExitStack() as open_ones:
        connections = [open_ones.enter_context(connected(server.port)) for _ in range(170)]
        for connection in connections:
            connection.send(request(body()))
        replies = [connection.receive() for connection in connections]
    refused = [reply for reply in replies if reply.status != 200]

    assert refused
    assert {reply.status for reply in refused} == {503}
    assert json.loads(refused[0].body)["error"]["code"] == "too_many_connections"
    assert refused[0].header("retry-after") == "1"
    assert_answers(server)
    assert server.stop() == 0


def test_a_file_that_fills_the_disk_is_507_and_leaves_nothing(
    echo_home: Path, tmp_path: Path
) -> None:
    # In blocks of 512 bytes.
    server = limited(echo_home, tmp_path / "log", "-f 2000")
    url = f"{server.url}/api/blobs/sha256:{'0' * 64}"

    full = httpx.post(url, content=b"0" * 3_000_000, timeout=30)
    with connected(server.port) as connection:
        fields = [HOST, ("Content-Length", 10**18), ("Expect", "100-continue")]
        connection.send(head("POST", url.removeprefix(server.url), fields))
        hopeless = connection.receive()

    assert full.status_code == hopeless.status == 507
    assert "make room" in full.json()["error"]
    assert hopeless.interim == []
    assert [*(echo_home / "models").glob("uploads/*")] == []
    assert [*(echo_home / "models").glob("blobs/*")] == []
    assert_answers(server)
    assert server.stop() == 0


def test_a_stalled_upload_does_not_hold_the_end_for_ever(echo_home: Path, serve: Serve) -> None:
    server = serve(echo_home, CANTEEN_DRAIN_TIMEOUT_S="0.5")
    with connected(server.port) as connection:
        connection.send(head("POST", PATH, [HOST, ("Content-Length", 500)]) + b'{"model"')
        assert_answers(server)

        assert server.stop(signal.SIGTERM) == 0
