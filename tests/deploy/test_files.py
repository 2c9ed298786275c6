"""The image, the compose file and the systemd unit."""

import re
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import yaml

from canteen.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
CONTAINERFILE = (DEPLOY / "Containerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
UNIT = DEPLOY / "canteen.service"


def instructions() -> list[tuple[str, str]]:
    """The steps of the image that is kept, each with what it is told."""
    joined = CONTAINERFILE.replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    last = max(at for at, line in enumerate(lines) if line.startswith("FROM "))
    parts = [line.partition(" ") for line in lines[last:]]
    return [(name, " ".join(told.split())) for name, _, told in parts]


def unit() -> ConfigParser:
    parser = ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNIT.read_text())
    return parser


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


def test_the_image_runs_as_nobody_and_is_told_to_end_politely() -> None:
    steps = dict(instructions())

    assert steps["USER"] == "10001:10001"
    assert steps["STOPSIGNAL"] == "SIGTERM"
    assert (steps["ENTRYPOINT"], steps["CMD"]) == ('["canteen"]', '["serve", "--no-pull"]')
    assert steps["VOLUME"] == "/var/lib/canteen"
    assert "/health/live" in steps["HEALTHCHECK"]


def test_the_image_brings_no_weights_and_pinned_libraries() -> None:
    assert "-c constraints.txt" in CONTAINERFILE
    assert "canteen pull" not in CONTAINERFILE
    copied = [told for name, told in instructions() if name == "COPY"]
    assert copied == ["--from=build /opt/canteen /opt/canteen"]


def test_what_the_image_sets_are_settings() -> None:
    environ = dict(re.findall(r"(CANTEEN_\w+)=(\S+)", dict(instructions())["ENV"]))

    told = Settings.from_env(environ)

    assert (told.host, told.port, told.home) == ("0.0.0.0", 11434, Path("/var/lib/canteen"))
    # Whoever opens it to the network says so.
    assert not told.allow_remote


def test_compose_gives_a_running_answer_its_time() -> None:
    service = COMPOSE["services"]["canteen"]
    plain = {name: text for name, text in service["environment"].items() if "_FILE" not in name}

    told = Settings.from_env(plain)

    grace_s = seconds(service["stop_grace_period"])
    assert grace_s > told.drain_delay_s + told.drain_timeout_s
    assert told.drain_timeout_s >= told.request_timeout_s
    assert (told.keys, told.allow_remote) == ("on", False)


def test_compose_lets_it_write_only_where_it_must() -> None:
    service = COMPOSE["services"]["canteen"]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["user"] == "10001:10001"
    assert service["volumes"] == ["canteen:/var/lib/canteen"]
    assert service["ports"] == ["127.0.0.1:11434:11434"]


def test_compose_keeps_secrets_in_files() -> None:
    for service in COMPOSE["services"].values():
        paths = [text for name, text in service["environment"].items() if name.endswith("_FILE")]
        assert paths == [f"/run/secrets/{name}" for name in service["secrets"]]
        assert set(service["secrets"]) <= set(COMPOSE["secrets"])


def test_the_unit_gives_a_running_answer_its_time() -> None:
    service = unit()["Service"]
    environ = dict(
        pair.split("=", 1) for pair in re.findall(r"CANTEEN_\w+_S=\d+", UNIT.read_text())
    )

    told = Settings.from_env(environ)

    assert told.request_timeout_s == told.drain_timeout_s == 300
    assert seconds(service["TimeoutStopSec"]) > told.drain_timeout_s + told.drain_delay_s


if shutil.which("systemd-analyze"):

    def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
        # It looks whether the program is there.
        text = UNIT.read_text().replace("/opt/canteen/bin/canteen", "/bin/true")
        there = tmp_path / "canteen.service"
        there.write_text(text)

        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", there],
            capture_output=True,
            text=True,
            check=False,
        )

        about = [line for line in done.stderr.splitlines() if "canteen.service" in line]
        assert about == []
