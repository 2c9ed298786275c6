"""`canteen footprint` tells what the ledger holds."""

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from canteen.cli.main import main
from canteen.metering.ledger import Ledger
from tests.metering.books import RATES, Books


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose ledger has one receipt of now."""
    books = Books()
    books.now_s = time.time()
    url = f"sqlite:///{tmp_path / 'canteen.db'}"
    ledger = Ledger(url, RATES, "modelled", books.accounts, books.clock)
    ledger.start()
    ledger.add(books.receipt(1, caller_id="a-key"))
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


def test_a_date_that_is_none_is_refused_in_one_line(home: Path) -> None:
    answer = CliRunner().invoke(main, ["footprint", "--since", "yesterday"])

    assert answer.exit_code == 1
    assert "`since` is a date like" in answer.stderr
