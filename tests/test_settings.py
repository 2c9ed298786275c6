"""Settings come from the environment, and a bad one says what it must be."""

import dataclasses
from pathlib import Path

import pytest

from canteen.core.errors import InvalidRequest
from canteen.settings import Settings


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = Settings.from_env({})

    assert (settings.host, settings.port) == ("127.0.0.1", 11434)
    assert settings.home == Path.home() / ".canteen"


def test_the_environment_is_read() -> None:
    environ = {"CANTEEN_PORT": "0", "CANTEEN_ALLOW_REMOTE": "true", "CANTEEN_ORIGINS": "a, b"}

    settings = Settings.from_env(environ)

    assert (settings.port, settings.allow_remote) == (0, True)
    assert settings.allowed_origins == ("a", "b")


def test_every_setting_has_a_variable_and_a_meaning() -> None:
    for one in dataclasses.fields(Settings):
        assert one.metadata["variable"].startswith("CANTEEN_")
        assert one.metadata["meaning"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CANTEEN_PORT", "70000"),
        ("CANTEEN_PORT", "-1"),
        ("CANTEEN_PORT", "http"),
        ("CANTEEN_KEEP_ALIVE_S", "nan"),
        ("CANTEEN_KEEP_ALIVE_S", "soon"),
        ("CANTEEN_ALLOW_REMOTE", "maybe"),
        ("CANTEEN_LOG_LEVEL", "loud"),
    ],
)
def test_a_bad_value_names_the_variable(variable: str, value: str) -> None:
    with pytest.raises(InvalidRequest, match=f"{variable} is '{value}' and must be"):
        Settings.from_env({variable: value})
