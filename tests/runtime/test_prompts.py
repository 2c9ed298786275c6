"""Stored prompts: versions that never change, and files that are whole or not there."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from canteen.core.errors import InvalidRequest, PromptNotFound
from canteen.runtime.prompts import PromptStore

PUTS = """
import sys
from pathlib import Path
from canteen.runtime.prompts import PromptStore

store = PromptStore(Path(sys.argv[1]))
for number in range(1, 9000):
    store.put("busy", f"{number} " * 9000)
    print(number, flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> PromptStore:
    return PromptStore(tmp_path)


def test_what_is_put_can_be_got(store: PromptStore) -> None:
    put = store.put("greet", "Hello {{ name }}\r\n")

    assert store.get("greet") == put
    assert (put.version, put.versions, put.source) == (1, (1,), "Hello {{ name }}\r\n")
    assert put.digest.startswith("sha256:")


def test_a_change_is_another_version_and_the_old_one_stays(store: PromptStore) -> None:
    store.put("greet", "Hello")
    store.put("greet", "Hi")

    assert (store.get("greet").version, store.get("greet").source) == (2, "Hi")
    assert (store.get("greet@1").source, store.get("greet@1").versions) == ("Hello", (1, 2))


def test_what_is_unchanged_keeps_its_version(store: PromptStore) -> None:
    first = store.put("greet", "Hello")

    assert store.put("greet", "Hello") == first


def test_going_back_is_a_step_too(store: PromptStore) -> None:
    for source in ("Hello", "Hi", "Hello"):
        store.put("greet", source)

    assert store.get("greet").version == 3


def test_versions_go_by_number_and_not_by_letters(store: PromptStore) -> None:
    for number in range(11):
        store.put("greet", f"Hello {number}")

    assert (store.get("greet").version, store.get("greet").source) == (11, "Hello 10")


def test_a_number_is_not_given_twice_even_after_a_removal(store: PromptStore) -> None:
    store.put("greet", "Hello")
    store.remove("greet")

    assert store.names() == []
    assert store.put("greet", "Hello").version == 2
    with pytest.raises(PromptNotFound):
        store.get("greet@1")


def test_prompts_are_listed_by_name_in_their_latest_version(store: PromptStore) -> None:
    for name, source in (("b", "1"), ("a", "1"), ("b", "2")):
        store.put(name, source)

    assert [(one.name, one.version) for one in store.list()] == [("a", 1), ("b", 2)]


@pytest.mark.parametrize("name", ["greet@2", "great", "x", "x@1"])
def test_a_name_that_is_not_there_is_said(store: PromptStore, name: str) -> None:
    store.put("greet", "Hello")

    with pytest.raises(PromptNotFound, match="not found"):
        store.get(name)
    with pytest.raises((PromptNotFound, InvalidRequest)):
        store.remove(name)


def test_names_near_it_are_told(store: PromptStore) -> None:
    store.put("greet", "Hello")

    with pytest.raises(PromptNotFound, match="near it: greet"):
        store.get("great")


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/b", "a\\b", ".lock", "-x", "a b", "é", "x" * 65, "a\0", "a\n"],
)
def test_a_name_that_leads_elsewhere_is_refused(store: PromptStore, name: str) -> None:
    with pytest.raises(InvalidRequest, match="letters, digits"):
        store.put(name, "Hello")
    with pytest.raises(InvalidRequest, match="letters, digits"):
        store.get(name)


@pytest.mark.parametrize("version", ["", "0", "01", "-1", "x", "1.5", "1@2", "9" * 99])
def test_a_version_is_a_number(store: PromptStore, version: str) -> None:
    with pytest.raises(InvalidRequest, match="a version is a number"):
        store.get(f"greet@{version}")


def test_what_is_half_written_or_foreign_is_no_version(store: PromptStore, tmp_path: Path) -> None:
    store.put("greet", "Hello")
    folder = tmp_path / "prompts" / "greet"
    for name in (".fresh-7-2.jinja", "notes.txt", "x.jinja"):
        (folder / name).write_text("half")

    assert store.get("greet").versions == (1,)
    store.put("greet", "Hi")
    assert sorted(path.name for path in folder.iterdir()) == ["1.jinja", "2.jinja"]


def test_killed_at_any_time_it_leaves_whole_versions(store: PromptStore, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PUTS, str(tmp_path)]
    for rest_s in (0.0, 0.05, 0.11):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(rest_s)
            process.send_signal(signal.SIGKILL)

    versions = store.get("busy").versions
    assert versions == tuple(range(1, len(versions) + 1))
    assert all(len(set(store.get(f"busy@{one}").source.split())) == 1 for one in versions)
    assert store.put("busy", "last").version == len(versions) + 1
