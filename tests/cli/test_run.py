"""`canteen run`: one answer, a pipe, or a chat on a terminal."""

import fcntl
import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from canteen.core.model import full_name
from canteen.core.upstream import Upstream
from canteen.runtime import remote
from canteen.runtime.catalog import Catalog
from tests.serving import CANTEEN, plain_environ

RUN = [sys.executable, "-m", "canteen", "run"]
CTRL_C = b"\x03"
CTRL_D = b"\x04"


def run(home: Path, *words: str, piped: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    environ = plain_environ(home, {"CANTEEN_MODEL": "echo"})
    return subprocess.run([*RUN, *words], env=environ, input=piped, capture_output=True, timeout=60)


def test_a_model_and_a_prompt(echo_home: Path) -> None:
    answer = run(echo_home, "echo", "who is Oppenheimer")

    assert answer.stdout == b"who is Oppenheimer\n"
    assert answer.stderr == b""


def test_a_prompt_alone_asks_the_default_model(echo_home: Path) -> None:
    assert run(echo_home, "who is Oppenheimer").stdout == b"who is Oppenheimer\n"


def test_what_is_piped_follows_the_prompt(echo_home: Path) -> None:
    assert run(echo_home, "echo", "Say:", piped=b"a b\n").stdout == b"Say:\n\na b\n"
    assert run(echo_home, piped="né 🌍".encode()).stdout == "né 🌍\n".encode()


def test_an_upstream_that_is_gone_is_named_with_its_address(echo_home: Path) -> None:
    where = Upstream("http://127.0.0.1:9/v1", "m")
    Catalog(echo_home).put(remote.upstream_card("upstream:a", where))

    answer = run(echo_home, "upstream:a", "who is Oppenheimer")

    assert answer.returncode == 1
    assert answer.stderr.decode().startswith("canteen: upstream:a: the upstream cannot be reached;")
    assert f"({where.base_url})" in answer.stderr.decode()
    assert answer.stderr.count(b"\n") == 1


def test_json_gives_the_answer_in_one_object(echo_home: Path) -> None:
    assert b'"answer": "hi"' in run(echo_home, "echo", "hi", "--json").stdout


def test_a_schema_is_obeyed_and_a_bad_one_is_refused(echo_home: Path, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object", "properties": {"x": {"const": 5}}}')
    assert b'{"x": 5}' in run(echo_home, "echo", "hi", "--schema", str(schema)).stdout

    schema.write_text('{"uniqueItems": true}')
    refused = run(echo_home, "echo", "hi", "--schema", str(schema))
    assert refused.returncode == 1
    assert b"uniqueItems" in refused.stderr


def test_json_gives_the_receipt_too(echo_home: Path) -> None:
    told = json.loads(run(echo_home, "echo", "one two", "--json").stdout)["footprint"]

    assert told["id"].startswith("rcpt_")
    assert told["tokens"]["completion"] == 2


@pytest.mark.parametrize(("piped", "said"), [(b"", b"empty"), (b"\xff\xfe", b"not UTF-8")])
def test_nothing_to_ask_is_said(echo_home: Path, piped: bytes, said: bytes) -> None:
    answer = run(echo_home, piped=piped)

    assert answer.returncode == 1
    assert said in answer.stderr
    assert b"Traceback" not in answer.stderr


def _own(terminal: int) -> None:
    """Have a terminal for oneself, and Ctrl-C, which a background job's children ignore."""
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, home: Path, max_tokens: int) -> None:
        environ = plain_environ(home, {"CANTEEN_MODEL": "slow"})
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [*RUN, "--max-tokens", str(max_tokens)],
            env=environ,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=partial(_own, theirs),
        )
        os.close(theirs)
        self.shown = b""

    def type(self, text: bytes) -> None:
        os.write(self._ours, text)

    def await_text(self, text: bytes, within_s: float = 30.0) -> None:
        """Read until `text` is shown after what was awaited before."""
        deadline_s = time.monotonic() + within_s
        while text not in self.shown:
            readable, _, _ = select.select([self._ours], [], [], deadline_s - time.monotonic())
            assert readable, self.shown
            self.shown += os.read(self._ours, 4096)
        self.shown = self.shown.partition(text)[2]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._ours)


@contextmanager
def chat(home: Path, max_tokens: int) -> Iterator[Terminal]:
    """A chat with an echo that says 50 words a second, until it has said so many."""
    Catalog(home).derive("echo", full_name("slow"), parameters={"tokens_per_s": 50})
    terminal = Terminal(home, max_tokens)
    try:
        terminal.await_text(b">>> ")
        yield terminal
    finally:
        terminal.close()


@pytest.fixture
def terminal(echo_home: Path) -> Iterator[Terminal]:
    """A chat whose answers are of two words."""
    with chat(echo_home, max_tokens=2) as terminal:
        yield terminal


@pytest.fixture
def endless(echo_home: Path) -> Iterator[Terminal]:
    """A chat whose answers are longer than anybody waits."""
    with chat(echo_home, max_tokens=50_000) as terminal:
        yield terminal


def test_ctrl_c_stops_the_answer_and_not_the_chat(endless: Terminal) -> None:
    endless.type(b"again\n")
    endless.await_text(b"again again")

    endless.type(CTRL_C)
    endless.await_text(b">>> ")
    endless.type(b"/bye\n")

    assert endless.process.wait(30) == 0


def test_clear_forgets_what_was_said(terminal: Terminal) -> None:
    terminal.type(b"/?\n")
    terminal.await_text(b"/clear forgets")
    terminal.type(b"/clear\n")
    terminal.await_text(b">>> ")
    terminal.type(b"/bye\n")

    assert terminal.process.wait(30) == 0


def test_the_end_of_input_ends_the_chat(terminal: Terminal) -> None:
    terminal.type(CTRL_D)

    assert terminal.process.wait(30) == 0


def test_bye_tells_what_the_conversation_took(terminal: Terminal) -> None:
    terminal.type(b"one two\n")
    terminal.await_text(b"one two")
    terminal.await_text(b">>> ")
    terminal.type(b"/bye\n")

    for said in (b"This conversation took", b"energy", b"water", b"carbon", b"cost", b"grade"):
        terminal.await_text(said)
    assert terminal.process.wait(30) == 0


def test_a_chat_is_one_conversation_of_the_ledger(terminal: Terminal, echo_home: Path) -> None:
    for _ in range(2):
        terminal.type(b"one two\n")
        terminal.await_text(b"one two")
        terminal.await_text(b">>> ")
    terminal.type(b"/bye\n")
    terminal.process.wait(30)

    asked = [*CANTEEN, "footprint", "--by", "conversation", "--json"]
    answer = subprocess.run(asked, env=plain_environ(echo_home), capture_output=True, timeout=60)
    told = json.loads(answer.stdout)["sums"]
    assert [one["requests"] for one in told] == [2]
