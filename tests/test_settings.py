"""Settings come from the environment or a file, and a bad one says what it must be."""

import dataclasses
from pathlib import Path

import pytest

from canteen.core.errors import InvalidRequest
from canteen.settings import Settings, shown, strange, told


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
        ("CANTEEN_VLLM", "fp8"),
    ],
)
def test_a_bad_value_names_the_variable(variable: str, value: str) -> None:
    with pytest.raises(InvalidRequest, match=f"{variable} is '{value}' and must be"):
        Settings.from_env({variable: value})


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("tensor_parallel=2", "which is none of .*tensor_parallel_size"),
        ("folder=/etc", "which is none of"),
        ("max_num_seqs=256", "which is none of"),
        ("tensor_parallel_size=-2", "which it cannot be"),
    ],
)
def test_what_vllm_cannot_be_told_is_refused_before_it_is_asked(option: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=f"CANTEEN_VLLM has .*{said}"):
        Settings.from_env({"CANTEEN_VLLM": f"dtype=float32,{option}"})


def test_what_is_named_as_a_setting_and_is_none_is_strange() -> None:
    environ = {"CANTEEN_MAXQUEUE": "3", "CANTEEN_MAX_QUEUE": "3", "PATH": "/bin"}
    files = {"CANTEEN_DATABASE_URL_FILE": "/run/secrets/url"}

    assert strange(environ | files) == ["CANTEEN_MAXQUEUE"]


def test_the_environment_goes_before_the_file_and_the_file_before_the_default(
    tmp_path: Path,
) -> None:
    file = tmp_path / "canteen.toml"
    file.write_text('port = 8000\nmax_queue = 7\nallow_remote = true\norigins = ["a", "b"]\n')
    environ = {"CANTEEN_CONFIG": str(file), "CANTEEN_PORT": "9000"}

    settings = Settings.from_env(environ)

    assert (settings.port, settings.max_queue, settings.host) == (9000, 7, "127.0.0.1")
    assert (settings.allow_remote, settings.allowed_origins) == (True, ("a", "b"))
    sources = {name: source for name, (_, source) in told(environ).items()}
    assert sources["port"] == "environment"
    assert sources["max_queue"] == "file"
    assert sources["host"] == "default"


def test_a_secret_is_read_from_a_file_of_its_own_and_never_shown(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("postgresql://canteen:s3cret@db/canteen\n")

    settings = Settings.from_env({"CANTEEN_DATABASE_URL_FILE": str(secret)})

    (database,) = [one for one in dataclasses.fields(Settings) if one.name == "database"]
    assert settings.database == "postgresql://canteen:s3cret@db/canteen"
    assert shown(database, settings.database) == "postgresql://canteen:***@db/canteen"
    assert shown(database, "s3cret") == "***"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ports = 1", "'ports', which is no setting"),
        ("[port]\na = 1", "a table 'port'"),
        ("port = ", "must name a TOML file"),
        ("port = 70000", "CANTEEN_PORT is '70000' and must be"),
    ],
)
def test_a_bad_file_stops_the_start_and_says_why(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "canteen.toml"
    file.write_text(text)

    with pytest.raises(InvalidRequest, match=message):
        Settings.from_env({"CANTEEN_CONFIG": str(file)})


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"CANTEEN_CONFIG": "nowhere.toml"}, "CANTEEN_CONFIG names a file that cannot be read"),
        ({"CANTEEN_MODEL_FILE": "nowhere"}, "CANTEEN_MODEL_FILE names a file that cannot be read"),
        ({"CANTEEN_DATABASE": "a", "CANTEEN_DATABASE_URL": "b"}, "both set"),
        ({"CANTEEN_MODEL": "a", "CANTEEN_MODEL_FILE": "b"}, "both set"),
    ],
)
def test_what_cannot_be_read_or_is_said_twice_is_refused(
    environ: dict[str, str], message: str
) -> None:
    with pytest.raises(InvalidRequest, match=message):
        Settings.from_env(environ)
