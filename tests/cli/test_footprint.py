"""`canteen footprint` tells what the ledger holds."""

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from canteen.cli.footprint import sparkline
from canteen.cli.main import main
from canteen.metering.ledger import Ledger
from tests.metering.books import TERMS, Books


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose ledger has one receipt of now."""
    books = Books()
    books.now_s = time.time()
    url = f"sqlite:///{tmp_path / 'canteen.db'}"
    ledger = Ledger(url, "it", books.accounts, books.clock)
    ledger.start()
    ledger.add(books.receipt(1, caller_id="a-key", conversation_id="talk"), TERMS)
    ledger.close()
    monkeypatch.setenv("CANTEEN_HOME", str(tmp_path))
    return tmp_path


def test_today_and_this_month_are_told(home: Path) -> None:
    answer = CliRunner().invoke(main, ["footprint", "--json"])

    assert json.loads(answer.output)["today"]["sums"][0]["requests"] == 1


def test_sums_by_key_come_as_csv(home: Path) -> None:
    answer = CliRunner().invoke(main, ["footprint", "--by", "key", "--csv"])

    headings, row = answer.output.splitlines()
    assert headings.startswith("key,requests,energy_wh")
    assert row.startswith("a-key,1,")


def test_sums_by_node_are_told(home: Path) -> None:
    answer = CliRunner().invoke(main, ["footprint", "--by", "node"])

    headings, row = answer.output.splitlines()
    assert headings.startswith("NODE")
    assert row.split()[:2] == ["-", "1"]


def test_phases_are_told_in_watt_hours(home: Path) -> None:
    (summed, told) = (
        CliRunner().invoke(main, ["footprint", "--by", "phase", how]).output
        for how in ("--json", "--csv")
    )

    uj = {one["phase"]: one["energy_uj"] for one in json.loads(summed)["sums"]}
    headings, *rows = (line.split(",") for line in told.splitlines())
    assert headings == ["phase", "meter_wh"]
    assert {phase: float(wh) for phase, wh in rows} == {
        phase: pytest.approx(told_uj / 3.6e9, rel=1e-3) for phase, told_uj in uj.items()
    }
    assert uj["decode"] > 0


def test_a_date_that_is_none_is_refused_in_one_line(home: Path) -> None:
    answer = CliRunner().invoke(main, ["footprint", "--since", "yesterday"])

    assert answer.exit_code == 1
    assert "`since` is a date like" in answer.stderr


def test_today_this_month_and_the_greatest_eaters_are_shown(home: Path) -> None:
    answer = CliRunner().invoke(main, ["footprint"])

    for heading in ("Today", "This month", "By model", "By key", "By conversation", "a-key"):
        assert heading in answer.output


def test_a_home_without_a_ledger_has_eaten_nothing_and_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANTEEN_HOME", str(tmp_path))

    answer = CliRunner().invoke(main, ["footprint"])

    assert "nothing has been eaten yet" in answer.output
    assert answer.exit_code == 0
    assert not list(tmp_path.iterdir())


def test_a_ledger_can_be_read_while_a_service_writes_it(home: Path) -> None:
    books = Books()
    books.now_s = time.time()
    ledger = Ledger(f"sqlite:///{home / 'canteen.db'}", "it", books.accounts, books.clock)
    ledger.start()
    ledger.add(books.receipt(2), TERMS)
    ledger.flush()

    answer = CliRunner().invoke(main, ["footprint", "--json"])
    ledger.close()

    assert json.loads(answer.output)["today"]["sums"][0]["requests"] == 2


def test_the_greatest_value_has_the_highest_bar() -> None:
    assert sparkline([0, 50, 100]) == "\u2581\u2584\u2588"
    assert sparkline([0, 0]) == "\u2581\u2581"
