"""`canteen audit`: tells whether the record is whole, and what stands in it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from canteen.cli.main import main
from canteen.metering.audit.book import FILE, FOLDER, Book


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / FOLDER / FILE
    book = Book(path)
    book.start()
    for who in ("ada", "bob", "cy"):
        book.append({"event": "request", "who": who}).result()
    book.close()
    return path


def call(path: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["audit", *words], env={"CANTEEN_HOME": str(path.parents[1])})


def test_a_whole_record_is_told_with_its_last_hash(path: Path) -> None:
    told = json.loads(call(path, "verify", "--json").stdout)

    assert told["is_whole"]
    assert f"3 records, whole; the last is {told['head']['hash']}" in call(path, "verify").stdout


def test_a_changed_record_is_told_with_its_line(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"bob"', b'"eve"'))

    answer = call(path, "verify")

    assert answer.exit_code == 1
    assert "line 3: a line before it was changed" in answer.stdout


def test_an_end_that_was_cut_off_is_told_to_whoever_noted_it(path: Path) -> None:
    noted = json.loads(call(path, "verify", "--json").stdout)["head"]["hash"]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]))

    answer = call(path, "verify", "--noted", noted)

    assert answer.exit_code == 1
    assert "cut off" in answer.stdout
    assert call(path, "verify").exit_code == 0


def test_the_last_records_are_shown(path: Path) -> None:
    told = json.loads(call(path, "show", "--last", "2", "--json").stdout)

    assert [one["who"] for one in told] == ["bob", "cy"]
    assert "ada" in call(path, "show").stdout


def test_what_an_operator_changes_is_on_record_and_what_is_only_read_is_not(path: Path) -> None:
    environ = {"CANTEEN_HOME": str(path.parents[1]), "CANTEEN_AUDIT": "1"}
    for words in (["keys", "create", "app"], ["rm", "nobody"], ["rm", "--help"], ["list"]):
        CliRunner().invoke(main, words, env=environ)

    told = [json.loads(line) for line in path.read_bytes().splitlines()[3:]]
    assert [one["command"] for one in told] == [["keys", "create", "app"], ["rm", "nobody"]]
    assert told[0]["who"].startswith("user ")
    assert call(path, "verify").exit_code == 0


@pytest.mark.parametrize("verb", ["show", "verify"])
def test_without_an_audit_it_says_how_to_have_one(tmp_path: Path, verb: str) -> None:
    answer = call(tmp_path / "a" / "b", verb)

    assert answer.exit_code == 1
    assert "CANTEEN_AUDIT=1" in answer.stderr
