"""The file of the audit: appended to by several, whole after a kill, refused where it cannot be."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from canteen.metering.audit import book, chain
from canteen.metering.audit.book import AuditUnavailable, Book
from canteen.metering.audit.files import files

WRITER = """
import sys
from pathlib import Path
from canteen.metering.audit.book import Book
book = Book(Path(sys.argv[1]), int(sys.argv[3]))
book.start()
for number in range(int(sys.argv[2])):
    print(book.append({"event": "request", "number": number}).result(), flush=True)
"""


def writer(path: Path, num: int, most_bytes: int = 0) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", WRITER, str(path), str(num), str(most_bytes)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def hashes(path: Path) -> set[str]:
    lines = [line for one in files(path) for line in one.read_bytes().splitlines() if line]
    return {json.loads(line)["hash"] for line in lines}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit" / book.FILE


def test_records_go_on_where_the_last_run_ended(path: Path) -> None:
    for number in range(2):
        opened = Book(path)
        opened.start()
        opened.append({"event": "run", "number": number}).result()
        opened.close()

    verdict = book.verify(path)
    assert verdict.is_whole
    assert verdict.head.num_records == 2
    assert path.stat().st_mode & 0o077 == 0


def test_several_gateways_make_one_chain(path: Path) -> None:
    writers = [writer(path, 50) for _ in range(3)]

    told = {line.decode() for one in writers for line in one.communicate()[0].splitlines()}

    verdict = book.verify(path)
    assert verdict.is_whole
    assert verdict.head.num_records == 150
    assert told == hashes(path)


def test_several_gateways_go_on_in_another_file_where_one_is_full(path: Path) -> None:
    writers = [writer(path, 50, most_bytes=3_000) for _ in range(3)]

    told = {line.decode() for one in writers for line in one.communicate()[0].splitlines()}

    verdict = book.verify(path)
    assert verdict.is_whole
    assert len(files(path)) > 5
    assert verdict.head.num_records == 150 + len(files(path)) - 1
    assert told <= hashes(path)


def test_the_chain_goes_on_after_a_file_was_put_elsewhere(path: Path, tmp_path: Path) -> None:
    opened = Book(path, most_bytes=1)
    opened.start()
    for number in range(3):
        opened.append({"event": "run", "number": number}).result()
    opened.close()
    assert book.verify(path).head.num_records == 6
    files(path)[0].rename(tmp_path / "archived")
    again = Book(path)
    again.start()
    again.append({"event": "run"}).result()
    again.close()

    verdict = book.verify(path)

    assert verdict.is_whole
    assert (verdict.first, verdict.head.num_records) == (2, 7)


def test_what_was_acknowledged_is_there_after_a_kill(path: Path) -> None:
    killed = writer(path, 1_000_000)
    assert killed.stdout is not None
    told = [killed.stdout.readline() for _ in range(100)]

    killed.send_signal(signal.SIGKILL)
    told += killed.communicate()[0].splitlines(keepends=True)

    whole = {line.decode().strip() for line in told if line.endswith(b"\n")}
    assert book.verify(path).is_whole
    assert whole <= hashes(path)


@pytest.mark.parametrize("rest", [b'{"seq":3,"prev', b'{"seq":3\n{"seq":4,'])
def test_half_a_line_is_accounted_for_and_the_chain_goes_on(path: Path, rest: bytes) -> None:
    for number in range(2):
        opened = Book(path)
        opened.start()
        opened.append({"event": "run"}).result()
        opened.close()
        if number == 0:
            with path.open("ab") as file:
                file.write(rest)

    assert book.verify(path).is_whole
    events = [json.loads(line)["event"] for line in path.read_bytes().splitlines()[-2:]]
    assert events == [chain.TORN, "run"]


def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AuditUnavailable, match="CANTEEN_AUDIT"):
        Book(Path("/proc/nowhere") / book.FILE).start()
    with pytest.raises(AuditUnavailable):
        book.verify(tmp_path / "missing")


def test_a_record_that_cannot_be_written_is_not_acknowledged() -> None:
    opened = Book(Path("/dev/full"))
    opened.start()

    with pytest.raises(AuditUnavailable):
        opened.append({"event": "run"}).result()

    assert opened.trouble
    assert os.path.exists("/dev/full")
    opened.close()


@pytest.mark.parametrize("name", ["audit-backup.jsonl", "audit-2026-11-29.jsonl"])
def test_no_file_that_lies_beside_is_taken_for_a_full_one_or_replaced(
    path: Path, name: str
) -> None:
    opened = Book(path, most_bytes=900)
    opened.start()
    told = {opened.append({"event": "run", "number": number}).result() for number in range(7)}
    path.with_name(name).write_bytes(path.read_bytes())
    told |= {opened.append({"event": "run", "number": number}).result() for number in range(30)}
    opened.close()

    assert book.verify(path).is_whole
    assert told <= hashes(path)


def test_a_chain_goes_on_where_all_full_files_were_put_elsewhere(
    path: Path, tmp_path: Path
) -> None:
    for number in range(2):
        opened = Book(path, most_bytes=1)
        opened.start()
        opened.append({"event": "run", "number": number}).result()
        opened.close()
        for full in files(path)[:-1]:
            full.rename(tmp_path / f"archived-{full.name}")

    verdict = book.verify(path)

    assert verdict.is_whole
    assert (verdict.first, verdict.head.num_records) == (4, 4)


def test_who_follows_the_chain_while_files_are_begun_finds_it_whole(path: Path) -> None:
    running = writer(path, 300, most_bytes=600)

    assert running.stdout is not None
    running.stdout.readline()
    found = [book.verify(path).is_whole for _ in range(50)]
    running.communicate()

    assert all(found)


def test_a_file_that_was_put_away_by_half_is_followed_once(path: Path) -> None:
    opened = Book(path, most_bytes=1_500)
    opened.start()
    for number in range(3):
        opened.append({"event": "run", "number": number}).result()
    # As one that is killed between, or finds the disk full.
    path.with_stem(f"{path.stem}-{3:015d}").hardlink_to(path)
    for number in range(20):
        opened.append({"event": "run", "number": number}).result()
    opened.close()

    assert len(files(path)) > 2
    assert book.verify(path).is_whole
