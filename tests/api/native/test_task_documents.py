"""Documents as the inputs of tasks: over HTTP and in the shell, each failing by itself."""

import json
import subprocess
from base64 import b64encode
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from pypdf import PdfWriter

from tests.serving import CANTEEN, Server, plain_environ

PAGE = b"<html><title>T</title><h1>Ferries</h1><p>Ferries will run every ten minutes.</p></html>"
MARKDOWN = b"# Ferries\n\nFerries will run every ten minutes. Buses go through the tunnel."


def ask(server: Server, **body: Any) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/tasks/summarize", json=body, trust_env=False)


def document(data: bytes, **more: str) -> dict[str, str]:
    return {"data": b64encode(data).decode(), **more}


def locked() -> bytes:
    writer, file = PdfWriter(), BytesIO()
    writer.add_blank_page(100, 100)
    writer.encrypt("secret", algorithm="RC4-128")
    writer.write(file)
    return file.getvalue()


def test_a_document_is_read_and_summarized(echo_server: Server) -> None:
    answer = ask(echo_server, input=document(PAGE, media_type="text/html"), citations=True)

    assert answer.status_code == 200
    said = answer.json()
    assert "Ferries will run every ten minutes." in said["text"]
    assert said["citations"][-1]["quote"] == "Ferries will run every ten minutes."
    assert said["prompt_version"] == "summarize/1"
    assert said["footprint"]["tokens"]["completion"] > 0


def test_texts_and_documents_stand_side_by_side_and_one_that_fails_fails_alone(
    echo_server: Server,
) -> None:
    inputs = [
        "Ferries will run.",
        document(locked(), name="locked.pdf"),
        document(MARKDOWN, name="a.md"),
        {"data": "no base64!"},
        document(b"\x89PNG\0\1"),
        document(b" "),
        document(b"x", media_type="image/png"),
    ]

    results = ask(echo_server, inputs=inputs, sentences=1).json()["results"]

    assert [one.get("text") for one in results] == [
        "Ferries will run.",
        None,
        "Ferries will run every ten minutes.",
        *[None] * 4,
    ]
    params = [one["error"]["param"] for one in results if "error" in one]
    assert params == ["inputs.1", "inputs.3.data", "inputs.4", "inputs.5", "inputs.6"]
    assert "encrypted" in results[1]["error"]["detail"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"input": 5}, "a text, or a document"),
        ({"input": {}}, "a text, or a document"),
        ({"input": "x", "inputs": ["y"]}, "not both"),
        ({"inputs": []}, "inputs must be"),
        ({"inputs": ["x"], "sentences": 0}, "sentences must be"),
        ({"input": document(b" ")}, "empty"),
    ],
)
def test_a_wrong_body_is_a_problem(echo_server: Server, body: Any, says: str) -> None:
    answer = ask(echo_server, **body)

    assert answer.status_code == 400
    assert says in answer.json()["detail"]


def test_the_pieces_of_a_stream_are_the_text(echo_server: Server) -> None:
    text = "Ferries will run every ten minutes. Buses go through the tunnel. Cars stay at home."
    body = {"input": text, "bullets": 2, "stream": True}

    answer = httpx.post(f"{echo_server.url}/v1/tasks/summarize", json=body, trust_env=False)

    events = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
    told = [json.loads(one) for one in events]
    pieces = "".join(one["delta"] for one in told if "delta" in one)
    assert pieces == next(one["text"] for one in told if "text" in one)
    assert pieces.count("- ") == 2


def shell(home: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    environ = plain_environ(home, {"CANTEEN_MODEL": "echo"})
    return subprocess.run(
        [*CANTEEN, *words], env=environ, capture_output=True, text=True, timeout=60
    )


def test_the_shell_reads_documents(echo_home: Path, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(PAGE)
    (tmp_path / "locked.pdf").write_bytes(locked())
    files = [f"--file={tmp_path / name}" for name in ("a.html", "locked.pdf")]

    done = shell(echo_home, "summarize", *files)

    assert "Ferries will run every ten minutes." in done.stdout
    assert done.returncode == 1
    assert "locked.pdf: this PDF is encrypted" in done.stderr
    assert "1 of 2 texts failed" in done.stderr
