"""What the doctor finds: a thing that is wrong is told with what to do about it."""

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from canteen.cli import examining
from canteen.cli.main import main
from canteen.core.version import VERSION
from canteen.planning.this_host import processor
from canteen.settings import Settings
from tests.conftest import Serve
from tests.serving import Server

HERE = Settings()


def test_a_clock_before_the_release_is_wrong_and_one_that_nobody_keeps_is_told() -> None:
    later_s = examining.RELEASED.timestamp() + 1

    assert not examining.clock(0.0, is_kept=True).is_ok
    assert "NTP" in examining.clock(later_s, is_kept=False).advice
    assert examining.clock(later_s, is_kept=None) == examining.clock(later_s, is_kept=True)


def test_a_home_that_cannot_be_is_wrong() -> None:
    found = examining.disk(Path("/proc/nowhere"))

    assert not found.is_ok
    assert "CANTEEN_HOME" in found.advice


def test_a_processor_without_vectors_is_told() -> None:
    kind = replace(processor(), flags=frozenset())

    assert "AVX2" in examining.cpu(kind).said or examining.cpu(kind).advice == ""


def test_whether_models_can_be_trained_is_told_and_is_nothing_wrong() -> None:
    can, cannot = examining.training(), examining.training(lambda name: None)

    assert can.said.startswith("models can be trained here, with torch 2")
    assert (cannot.is_ok, "'.[train]'" in cannot.advice) == (True, True)


def test_a_port_is_free_ours_or_taken(echo_server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        number = other.getsockname()[1]
        taken = examining.port(replace(HERE, port=number))
    free = examining.port(replace(HERE, port=number))
    ours = examining.port(replace(HERE, port=echo_server.port))

    assert (taken.is_ok, free.is_ok, ours.is_ok) == (False, True, True)
    assert "CANTEEN_PORT" in taken.advice
    assert "Canteen" in ours.said


def test_a_canteen_that_asks_for_a_key_is_told_from_another_program(
    serve: Serve, echo_home: Path
) -> None:
    server = serve(echo_home, CANTEEN_KEYS="on")
    here = replace(HERE, port=server.port)

    found = examining.port(here)

    assert found.is_ok
    assert "Canteen answers" in found.said
    assert "CANTEEN_API_KEY" in found.advice


def test_a_canteen_that_is_shown_its_key_is_ours(serve: Serve, echo_home: Path) -> None:
    made = CliRunner().invoke(main, ["keys", "create", "me"], env={"CANTEEN_HOME": str(echo_home)})
    server = serve(echo_home, CANTEEN_KEYS="on")

    found = examining.port(replace(HERE, port=server.port, api_key=made.stdout.strip()))

    assert (found.advice, VERSION in found.said) == ("", True)


@pytest.mark.parametrize(
    ("told", "is_ok", "advises"),
    [
        ({"host": "127.0.0.1"}, True, False),
        ({"host": "0.0.0.0", "keys": "on"}, True, False),
        ({"host": "0.0.0.0"}, True, True),
        ({"host": "0.0.0.0", "keys": "off", "allow_remote": True}, True, True),
        ({"host": "0.0.0.0", "keys": "off"}, False, True),
    ],
)
def test_who_can_call_is_told(told: dict[str, Any], is_ok: bool, advises: bool) -> None:
    found = examining.exposure(replace(HERE, **told))

    assert (found.is_ok, bool(found.advice)) == (is_ok, advises)


@pytest.mark.parametrize("url", ["sqlite:////proc/nowhere/a.db", "mysql://here/there"])
def test_a_database_that_cannot_be_used_is_wrong(url: str) -> None:
    found = examining.database(replace(HERE, database=url))

    assert not found.is_ok
    assert "CANTEEN_DATABASE" in found.advice


def test_a_database_that_can_be_written_is_well(tmp_path: Path) -> None:
    assert examining.database(replace(HERE, database=f"sqlite:///{tmp_path / 'a.db'}")).is_ok


def test_a_shutdown_that_would_cut_answers_short_is_told() -> None:
    short = replace(HERE, drain_timeout_s=1.0, request_timeout_s=2.0)

    assert "CANTEEN_DRAIN_TIMEOUT_S" in examining.times(short).advice
    assert not examining.times(replace(short, drain_timeout_s=2.0)).advice
