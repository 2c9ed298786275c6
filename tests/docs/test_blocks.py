"""Every block of the README and the quickstart does what the page says."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import serving
from tests.docs.blocks import Block, blocks
from tests.serving import Server

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "docs" / "quickstart.md")
LANGCHAIN_2023 = ROOT / ".cache" / "venvs" / "langchain-2023" / "bin" / "python"
BLOCKS = [block for page in PAGES for block in blocks(page)]

# So small a model may not find the end of its answer.
SHORT = {"CANTEEN_MAX_TOKENS": "48"}


def marked(language: str) -> list[Block]:
    """The blocks of a language, each once."""
    return list(dict.fromkeys(block for block in BLOCKS if block.language == language))


@pytest.fixture(scope="module")
def server(model_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("docs")
    home = serving.linked_copy(model_home, folder / "home")
    server = serving.start(home, folder / "serve.log", SHORT)
    subprocess.run(
        [*serving.CANTEEN, "cp", "smollm2:135m", "llama2"],
        env=serving.plain_environ(home),
        check=True,
    )
    yield server
    serving.end(server)


@pytest.fixture
def environ(server: Server) -> dict[str, str]:
    home = server.log.parent / "home"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return serving.plain_environ(home, {"PATH": path, "CANTEEN_PORT": str(server.port), **SHORT})


def test_no_block_is_of_an_unknown_language() -> None:
    assert {block.language for block in BLOCKS} <= {"make", "sh", "python", "text"}


@pytest.mark.parametrize("block", marked("make"), ids=lambda block: block.text.split("#")[0])
def test_a_make_command_exists(block: Block) -> None:
    for line in block.text.splitlines():
        command = line.split("#")[0].split()
        subprocess.run([*command, "--dry-run"], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize("block", marked("sh"), ids=lambda block: block.text.splitlines()[0])
def test_a_shell_block_runs(block: Block, server: Server, environ: dict[str, str]) -> None:
    if "curl" in block.text and not shutil.which("curl"):
        pytest.skip("curl is not installed")
    script = block.text.replace(":11434", f":{server.port}")

    done = subprocess.run(
        ["sh", "-e", "-c", script], env=environ, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr if done.returncode else "") == (0, "")
    assert done.stdout.strip()


@pytest.mark.parametrize("block", marked("python"), ids=lambda block: block.text.splitlines()[0])
def test_a_python_block_runs(block: Block, server: Server, environ: dict[str, str]) -> None:
    of_2023 = "langchain.llms" in block.text
    python = str(LANGCHAIN_2023) if of_2023 else sys.executable
    if of_2023 and not LANGCHAIN_2023.exists():
        pytest.skip("the LangChain of 2023 is not installed; make test installs it")
    script = block.text.replace(":11434", f":{server.port}")
    if of_2023:
        script = script.replace("Ollama(", f"Ollama(base_url={server.url!r}, ")

    done = subprocess.run(
        [python, "-c", script], env=environ, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr if done.returncode else "") == (0, "")
