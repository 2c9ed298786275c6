"""The Java client and its examples, built with the JDK alone, against a running service."""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.conftest import Serve
from tests.docs.blocks import blocks
from tests.serving import WITHIN_S, Server, set_pace

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "java"
GUIDE = ROOT / "docs" / "guide" / "java.md"
TOKENS_PER_S = 100.0
SHOP = ROOT / "examples" / "java-enterprise"

pytestmark = pytest.mark.skipif(
    shutil.which("javac") is None, reason="no JDK is installed (make test as root does)"
)


def make(folder: Path, target: str, variables: Mapping[str, str] | None = None) -> str:
    """What a target of a folder's Makefile prints; it must come to a good end."""
    given = [f"{name}={value}" for name, value in (variables or {}).items()]
    done = subprocess.run(
        ["make", "--no-print-directory", "-C", str(folder), target, *given],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def echo(server: Server) -> dict[str, str]:
    return {"URL": server.url, "MODEL": "echo", "EMBEDDER": "echo-embed"}


@contextmanager
def running_shop(server: Server) -> Iterator[str]:
    """The shop, opened as its README says; where it is."""
    command = ["make", "--no-print-directory", "-C", str(SHOP), "run", "SHOP_PORT=0"]
    process = subprocess.Popen(
        [*command, f"URL={server.url}", "MODEL=echo"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        opened = re.search(r"open at (http://\S+)", process.stdout.readline())
        assert opened is not None
        yield opened.group(1)
    finally:
        process.terminate()
        process.communicate()


def test_the_client_passes_its_own_tests() -> None:
    assert " 0 failed" in make(CLIENT, "test")


def test_the_client_is_documented_without_a_warning() -> None:
    make(CLIENT, "docs")


def test_every_operation_of_the_client_works(echo_server: Server) -> None:
    assert " 0 failed" in make(CLIENT, "service-test", echo(echo_server))


def test_who_closes_what_it_waits_for_frees_it(serve: Serve, echo_home: Path) -> None:
    server = serve(set_pace(echo_home, tokens_per_s=TOKENS_PER_S))
    tests = {"SERVICE_TESTS": "canteen.client.HangUpTest"}

    assert "3 tests, 0 failed" in make(CLIENT, "service-test", echo(server) | tests)

    left = {"closed-stream", "closed-client", "interrupted"}
    deadline_s = time.monotonic() + WITHIN_S
    while not left <= gone(server) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert gone(server) == left


def gone(server: Server) -> set[str]:
    """Ids of the requests that the log has as 499."""
    return {record["request_id"] for record in server.records() if record["status"] == 499}


def test_the_shop_passes_its_own_tests() -> None:
    assert " 0 failed" in make(SHOP, "test")


def test_the_shop_works_with_a_running_service(echo_server: Server) -> None:
    assert " 0 failed" in make(SHOP, "service-test", echo(echo_server))


def test_the_shop_works_with_the_default_model(model_server: Server) -> None:
    whole_way = "shop.ServiceTest:aMessageIsClassifiedLookedUpAndDraftedWithReceipts"

    said = make(SHOP, "service-test", {"URL": model_server.url, "SERVICE_TESTS": whole_way})

    assert "1 tests, 0 failed" in said


def test_one_command_opens_the_shop(echo_server: Server) -> None:
    with running_shop(echo_server) as url:
        message = {"id": "m-1", "text": "Where is my order ORD-20417?"}
        answer = httpx.post(f"{url}/messages", json=message, timeout=60)
        health = httpx.get(f"{url}/health", timeout=60).json()

    assert answer.status_code == 200
    assert answer.json()["orders"][0]["item"] == "kettle"
    assert set(answer.json()["receipts"]) >= {"kind", "draft"}
    assert health["components"]["canteen"]["status"] == "UP"


def test_the_program_of_the_guide_runs(echo_server: Server, tmp_path: Path) -> None:
    make(CLIENT, "jar")
    (program,) = [block.text for block in blocks(GUIDE) if block.language == "java"]
    for ours, echoed in (("smollm2:135m", "echo"), ("all-minilm", "echo-embed")):
        program = program.replace(ours, echoed)
    (tmp_path / "Guide.java").write_text(program.replace("http://127.0.0.1:11434", echo_server.url))

    done = subprocess.run(
        ["java", "-cp", str(CLIENT / "build" / "canteen-client.jar"), str(tmp_path / "Guide.java")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "ORD-20417" in done.stdout
