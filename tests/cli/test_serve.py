"""`canteen serve`: what it prints, and what it refuses."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

from canteen.core.version import VERSION
from canteen.runtime.catalog import Catalog
from tests import serving
from tests.serving import Server


class Ollama(BaseHTTPRequestHandler):
    """What Ollama answers to those who look who is there."""

    answers: ClassVar = {"/": b"Ollama is running", "/api/version": b'{"version": "9.9"}'}

    def do_GET(self) -> None:
        body = self.answers.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("content-length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def refused(home: Path, *words: str) -> str:
    """The one line with which a server does not start."""
    command = [sys.executable, "-m", "canteen", "serve", *words]
    environ = serving.plain_environ(home, {"CANTEEN_MODEL": "echo"})
    answer = subprocess.run(command, env=environ, capture_output=True, timeout=60)
    assert answer.returncode == 1
    (line,) = answer.stderr.decode().splitlines()
    return line


def test_it_prints_three_things_to_try(serve: Callable[..., Server], echo_home: Path) -> None:
    printed = serve(echo_home, CANTEEN_MODEL="echo").log.read_text()

    assert "/api/generate" in printed
    assert "/v1/chat/completions" in printed
    assert "run " in printed


def test_what_runs_is_told_at_the_start(serve: Callable[..., Server], echo_home: Path) -> None:
    lines = serve(echo_home, CANTEEN_MAX_QUEUE="7").log.read_text().splitlines()

    told = [json.loads(line) for line in lines if line.startswith('{"event": "start"')]
    assert [sorted(one["models"]) for one in told] == [["echo-embed:latest", "echo:latest"]]
    assert told[0]["settings"]["CANTEEN_MAX_QUEUE"] == "7"
    assert told[0]["version"]


def test_a_port_that_is_taken_says_who_answers_there(
    serve: Callable[..., Server], echo_home: Path
) -> None:
    port = serve(echo_home, CANTEEN_MODEL="echo").port

    assert f"is taken: Canteen {VERSION} answers there" in refused(echo_home, "--port", str(port))


def test_a_port_of_a_canteen_with_keys_says_so(
    serve: Callable[..., Server], echo_home: Path
) -> None:
    port = serve(echo_home, CANTEEN_KEYS="on").port

    said = refused(echo_home, "--port", str(port))

    assert "a Canteen that asks for a key answers there" in said


def test_a_port_of_another_service_says_how_it_greets(echo_home: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Ollama) as other:
        threading.Thread(target=other.serve_forever).start()
        said = refused(echo_home, "--port", str(other.server_port))
        other.shutdown()

    assert "'Ollama is running', version 9.9, answers there" in said


def test_a_port_of_something_silent_is_taken_too(echo_home: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()

        assert "does not speak HTTP" in refused(echo_home, "--port", str(silent.getsockname()[1]))


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
@pytest.mark.parametrize(
    ("address", "said"),
    [("127.0.0.1:9", "no Ray cluster at 127.0.0.1:9"), ("foo", "HOST:PORT")],
)
def test_a_ray_cluster_that_cannot_be_joined_is_refused(
    echo_home: Path, address: str, said: str
) -> None:
    assert said in refused(echo_home, "--port", "0", "--ray", address)


def test_the_model_of_the_start_is_pulled_and_warm(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = serve(tmp_path / "new-home", CANTEEN_MODEL="echo")

    models = httpx.get(f"{server.url}/api/ps").json()["models"]

    assert [model["name"] for model in models] == ["echo:latest"]


def test_what_is_not_there_is_told_at_the_start(echo_home: Path, tmp_path: Path) -> None:
    wanted = {"CANTEEN_MODEL": "nosuch:1", "CANTEEN_MAXQUEUE": "3"}
    server = serving.start(echo_home, tmp_path / "log", wanted, arguments=("--no-pull",))

    told = httpx.get(f"{server.url}/health/ready").json()
    serving.end(server)

    assert "canteen pull nosuch:1" in told["components"]["default"]["details"]["trouble"]
    assert "canteen pull nosuch:1" in server.log.read_text()
    assert "CANTEEN_MAXQUEUE is no setting" in server.log.read_text()


def test_a_model_that_cannot_be_loaded_is_told_of_in_a_line(echo_home: Path) -> None:
    catalog = Catalog(echo_home)
    catalog.put(replace(catalog.get("echo"), engine="vllm"))
    command = [sys.executable, "-m", "canteen", "serve", "--port", "0"]
    environ = serving.plain_environ(echo_home, {"CANTEEN_MODEL": "echo"})

    with subprocess.Popen(
        command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as server:
        assert server.stderr is not None
        told = next(line for line in server.stderr if b"did not warm up" in line)
        server.terminate()
        _, after = server.communicate(timeout=30)

    assert b"did not warm up: engine 'vllm' is not installed" in told
    assert b"Traceback" not in after


def test_an_embedder_that_cannot_be_had_keeps_nobody_from_serving(
    serve: Callable[..., Server], echo_home: Path
) -> None:
    server = serve(echo_home, CANTEEN_MODEL="echo", CANTEEN_EMBEDDER="nowhere")

    body = {"input": "text", "labels": ["a", "b"]}
    refused = httpx.post(f"{server.url}/v1/tasks/classify", json=body)

    assert "'nowhere:latest' not found" in server.log.read_text()
    assert refused.status_code == 404
    assert "'nowhere" in refused.json()["detail"]


def test_the_access_log_has_no_word_of_a_prompt(
    serve: Callable[..., Server], echo_home: Path
) -> None:
    server = serve(echo_home, CANTEEN_MODEL="echo")
    body = {"model": "echo", "prompt": "canary", "stream": False}

    httpx.post(f"{server.url}/api/generate", json=body, headers={"x-request-id": "mine"})

    server.stop()
    printed = server.log.read_text()
    assert "canary" not in printed
    lines = [json.loads(line) for line in printed.splitlines() if line.startswith('{"')]
    assert [line["status"] for line in lines if line.get("request_id") == "mine"] == [200]
