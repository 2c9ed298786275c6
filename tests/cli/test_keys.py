"""Keys from the shell, and a service that asks for them."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from canteen.cli.client import Client
from canteen.cli.main import main
from canteen.core.errors import Unauthorized
from tests.serving import Server

Call = Callable[..., Result]


@pytest.fixture
def call(echo_home: Path) -> Call:
    """Runs the program in a home with the echo models."""
    environ = {"CANTEEN_HOME": str(echo_home)}
    return lambda *words: CliRunner().invoke(main, ["keys", *words], env=environ)


def test_a_key_is_shown_once_and_rotated_and_revoked(call: Call) -> None:
    made = call("create", "orders", "--limit", "tokens_per_day=100", "--model", "echo")
    (key,) = json.loads(call("list", "--json").stdout)
    shown = call("show", key["id"])
    rotated = call("rotate", key["id"], "--overlap", "1h")
    revoked = call("revoke", key["id"])
    again = call("rotate", key["id"])

    assert made.stdout.startswith("canteen_")
    assert made.stdout.strip() not in shown.output + call("list").output
    assert "tokens_per_day" in shown.output
    assert "echo:latest" in shown.output
    assert rotated.stdout.startswith("canteen_")
    assert rotated.stdout != made.stdout
    assert revoked.stdout == f"revoked {key['id']}\n"
    assert "was revoked" in call("list").output
    assert again.exit_code == 1
    assert "create another" in again.stderr


def test_when_no_good_key_is_left_it_says_what_turns_the_asking_off(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        call("create", name)
    first, second = (key["id"] for key in json.loads(call("list", "--json").stdout))

    one_is_left = call("revoke", first)
    none_is_left = call("revoke", second)
    monkeypatch.setenv("CANTEEN_KEYS", "off")
    nobody_asks = call("revoke", second)

    assert one_is_left.stderr == nobody_asks.stderr == ""
    assert "no good key is left, and services still ask" in none_is_left.stderr
    assert "CANTEEN_KEYS=off" in none_is_left.stderr


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("--limit", "tokens=1"), 1, "is no limit"),
        (("--limit", "tokens_per_day"), 2, "no limit such as"),
        (("--scope", "all"), 2, "'all' is not one of"),
        (("--expires", "soon"), 2, "no time such as 90d"),
        (("--model", "a b"), 1, "a model's name is like"),
    ],
)
def test_odd_wishes_are_refused(call: Call, words: tuple[str, ...], status: int, said: str) -> None:
    refused = call("create", "orders", *words)

    assert (refused.exit_code, said in refused.stderr) == (status, True)


def test_beyond_loopback_a_service_with_a_key_starts_and_asks_for_it(
    serve: Callable[..., Server], echo_home: Path, call: Call
) -> None:
    secret = call("create", "orders").stdout.strip()
    server = serve(echo_home, CANTEEN_HOST="0.0.0.0")

    with Client(server.url, api_key=secret) as client:
        summary = client.summarize("One sentence. Another sentence.")
    with Client(server.url) as nobody, pytest.raises(Unauthorized, match="asks for a key"):
        nobody.summarize("One sentence.")
    shown = {"CANTEEN_HOME": str(echo_home), "CANTEEN_PORT": str(server.port)}
    kept_out = CliRunner().invoke(main, ["ps"], env=shown)
    let_in = CliRunner().invoke(main, ["ps"], env=shown | {"CANTEEN_API_KEY": secret})

    assert summary
    assert httpx.get(f"{server.url}/health/ready").status_code == 200
    assert (kept_out.exit_code, let_in.exit_code) == (1, 0)
    assert "echo" in let_in.stdout
