"""The article's own snippet, verbatim, with the LangChain of its month."""

import ast
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from canteen.runtime.catalog import Catalog
from tests import serving
from tests.serving import Server

ROOT = Path(__file__).parents[2]
MADE = Path(".cache/venvs/langchain-2023/done")
PORT = 11434
WITHIN_S = 120
SNIPPET = """\
from langchain.llms import Ollama
llm = Ollama(model="llama2")
llm("who is Oppenheimer")
"""
ANSWER = re.compile(r"^['\"].*['\"]$", re.MULTILINE)


@pytest.fixture(scope="module")
def python() -> Path:
    """The Python that has the LangChain of October 2023; made if `make test` has not."""
    subprocess.run(["make", "--silent", str(MADE)], cwd=ROOT, check=True, timeout=280)
    return ROOT / MADE.parent / "bin" / "python"


@pytest.fixture
def home(model_home_copy: Path) -> Path:
    """A home where the default model is also called llama2, and keeps its answers short."""
    Catalog(model_home_copy).derive("smollm2:135m", "llama2", parameters={"num_predict": 16})
    return model_home_copy


@pytest.fixture
def on_the_usual_port(home: Path, tmp_path: Path) -> Iterator[Server]:
    """A server where the snippet looks for one."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", PORT)) == 0:
            pytest.skip(f"something else listens on port {PORT}, the only one the snippet knows")
    log = tmp_path / "serve.log"
    server = serving.start(home, log, arguments=["--port", str(PORT)])
    yield server
    serving.end(server)


def said(python: Path, code: str) -> str:
    """What an interactive Python shows for a snippet's last line."""
    plain = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    done = subprocess.run(
        [python, "-I", "-q", "-i"],
        input=code,
        env=plain,
        text=True,
        capture_output=True,
        timeout=WITHIN_S,
        check=True,
    )
    found = ANSWER.search(done.stdout)
    assert found, done.stdout + done.stderr
    answer = ast.literal_eval(found[0])
    assert isinstance(answer, str)
    return answer


def test_the_snippet_runs_verbatim(python: Path, on_the_usual_port: Server) -> None:
    assert said(python, SNIPPET).strip()


def test_the_snippet_runs_with_another_address(python: Path, home: Path, tmp_path: Path) -> None:
    server = serving.start(home, tmp_path / "serve.log")
    code = SNIPPET.replace('"llama2"', f'"llama2", base_url="{server.url}"')

    try:
        assert said(python, code).strip()
    finally:
        serving.end(server)
