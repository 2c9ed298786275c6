"""Receipts are kept, and their sums agree with the accounts; on SQLite and on PostgreSQL."""

import re
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canteen.core.errors import InvalidRequest
from canteen.core.footprint import Charge
from canteen.metering import lookup, migrations, sums
from canteen.metering.ledger import Ledger
from canteen.metering.store import NewerDatabase, connect
from tests.metering.books import COUNTED, TERMS, Books

MIGRATIONS = Path(migrations.__file__).parent
DAY_S = 24 * 3600.0


def later_tables() -> list[str]:
    """Those that the first migration did not make."""
    later = sorted(MIGRATIONS.glob("*.sql"))[1:]
    return [name for one in later for name in re.findall(r"CREATE TABLE (\w+)", one.read_text())]


def opened(url: str, books: Books) -> Ledger:
    ledger = Ledger(url, "it", books.accounts, books.clock)
    ledger.start()
    return ledger


def asked(url: str, by: str) -> dict[str, Any]:
    return sums.sums(connect(url), by, sums.Span())


def test_what_is_kept_at_the_end_is_there_at_the_next_start(url: str) -> None:
    books = Books()
    ledger = opened(url, books)
    receipt = books.receipt(1, conversation_id="talk")
    ledger.add(receipt, TERMS)
    ledger.close()

    kept = lookup.receipt(connect(url), receipt.id)

    assert kept is not None
    assert kept.charge == receipt.charge
    assert kept.footprint == receipt.footprint
    assert kept.conversation_id == "talk"


def test_what_a_killed_run_measured_without_a_receipt_is_unattributed(url: str) -> None:
    books = Books()
    killed = opened(url, books)
    killed.add(books.receipt(1, 5, 5), TERMS)
    books.energy_uj["requests"] += 90
    killed.tick()
    killed.flush()

    next_one = opened(url, Books())
    told = asked(url, "account")
    next_one.close()
    killed.close()

    assert told["requests_uj"] == 10
    assert told["unattributed_uj"] == 90
    assert told["meter_uj"] == 100


def test_what_a_cluster_did_is_summed_by_its_node_and_in_no_account_of_this_one(url: str) -> None:
    books = Books()
    ledger = opened(url, books)
    ledger.add(books.receipt(1, 5, 5), TERMS)
    charge = Charge(70, 30, 10, 20, node="rack-7")
    ledger.add(replace(Books().receipt(2), charge=charge, node="rack-7"), TERMS)
    ledger.close()

    by_node = {one["node"]: one["energy_uj"] for one in asked(url, "node")["sums"]}

    assert by_node["rack-7"] == {"prefill": 70, "decode": 30}
    accounts = asked(url, "account")
    assert (accounts["requests_uj"], accounts["unattributed_uj"]) == (10, 0)


def test_a_gateway_held_for_dead_goes_on_and_keeps_its_sums(url: str) -> None:
    books = Books()
    slow = opened(url, books)
    slow.add(books.receipt(1, 5, 5), TERMS)
    books.energy_uj["requests"] += 90
    slow.tick()
    slow.flush()
    other = opened(url, Books())
    # What was under way when the other ended the run comes to its end.
    slow.add(books.receipt(2, 0, 20), TERMS)
    slow.add(replace(books.receipt(3, 0, 0), charge=Charge(0, 90)), TERMS)
    slow.close()
    other.close()

    told = asked(url, "account")
    groups = asked(url, "model")["sums"]

    assert isinstance(groups, list)
    assert sum(groups[0]["energy_uj"].values()) == told["requests_uj"] == told["meter_uj"] == 120
    assert told["unattributed_uj"] == 0


def test_a_receipt_that_is_added_again_counts_once(url: str) -> None:
    books = Books()
    killed = opened(url, books)
    receipt = books.receipt(1, 5, 5)
    for _ in range(2):
        killed.add(receipt, TERMS)
        killed.add(receipt, TERMS)
        killed.flush()
    books.energy_uj["requests"] += 90
    killed.tick()
    killed.flush()
    opened(url, Books()).close()

    told = asked(url, "account")
    killed.close()

    assert told["requests_uj"] == 10
    assert told["unattributed_uj"] == 90


def test_a_database_of_an_earlier_release_keeps_its_receipts(url: str) -> None:
    books = Books()
    ledger = opened(url, books)
    receipt = books.receipt(1)
    ledger.add(receipt, TERMS)
    ledger.close()
    with connect(url).begin() as connection:
        connection.execute("ALTER TABLE runs DROP COLUMN receipted_uj")
        connection.execute("ALTER TABLE runs DROP COLUMN boundary")
        connection.execute("ALTER TABLE receipts DROP COLUMN prompt_version")
        connection.execute("ALTER TABLE receipts DROP COLUMN run_id")
        connection.execute("ALTER TABLE rates DROP COLUMN boundary")
        connection.execute("ALTER TABLE rates DROP COLUMN grade")
        connection.execute("ALTER TABLE receipts DROP COLUMN asked")
        connection.execute("ALTER TABLE receipts DROP COLUMN node")
        for table in later_tables():
            connection.execute(f"DROP TABLE {table}")
        connection.execute("UPDATE rates SET meter = 'RAPL counters: package-0'")
        connection.execute("UPDATE schema_version SET version = 1")

    opened(url, Books()).close()

    kept = lookup.receipt(connect(url), receipt.id)
    assert kept is not None
    assert kept.charge == receipt.charge
    assert (kept.boundary, kept.grade) == ("cpu", "A")
    assert kept.hour_idle_share_uj is None
    assert asked(url, "account")["boundary"] == "unknown"


def test_a_locked_database_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "canteen.db"
    books = Books()
    ledger = opened(f"sqlite:///{path}", books)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        ledger.add(books.receipt(1, 5, 5), TERMS)
        ledger.flush()
        assert "locked" in ledger.trouble
    ledger.flush()
    assert not ledger.trouble
    ledger.close()

    assert asked(f"sqlite:///{path}", "account")["requests_uj"] == 10


def test_receipts_beyond_what_can_be_kept_are_unattributed(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "canteen.db"
    books = Books()
    ledger = opened(f"sqlite:///{path}", books)
    for number in range(20_003):
        ledger.add(books.receipt(number, 1, 1), TERMS)
    ledger.flush()
    path.parent.mkdir()
    ledger.close()

    told = asked(f"sqlite:///{path}", "account")
    assert told["requests_uj"] == 40_000
    assert told["unattributed_uj"] == 6
    assert told["meter_uj"] == 40_006


def test_a_database_of_a_later_release_is_refused(url: str) -> None:
    opened(url, Books()).close()
    with connect(url).begin() as connection:
        connection.execute("UPDATE schema_version SET version = 99")

    with pytest.raises(NewerDatabase, match="schema 99"):
        opened(url, Books())


def test_adjacent_days_count_each_hour_of_the_accounts_once(url: str) -> None:
    books = Books()
    books.now_s = DAY_S - 5.0
    ledger = opened(url, books)
    ledger.add(books.receipt(1, 0, 7), TERMS)
    ledger.flush()
    books.now_s = DAY_S + 5.0
    ledger.add(books.receipt(2, 0, 20), TERMS)
    ledger.close()

    before = sums.sums(connect(url), "account", sums.Span(0.0, DAY_S))
    after = sums.sums(connect(url), "account", sums.Span(DAY_S, 2 * DAY_S))
    phases = sums.sums(connect(url), "phase", sums.Span(0.0, DAY_S))["sums"]

    assert (before["requests_uj"], before["meter_uj"]) == (7, 7)
    assert (after["requests_uj"], after["meter_uj"]) == (20, 20)
    assert sum(one["energy_uj"] for one in phases) == 7


def test_an_hour_that_a_span_touches_is_counted_whole(url: str) -> None:
    books = Books()
    books.now_s = DAY_S + 1800.0
    ledger = opened(url, books)
    ledger.add(books.receipt(1, 0, 7), TERMS)
    ledger.close()

    told = sums.sums(connect(url), "account", sums.Span(DAY_S + 10, DAY_S + 20))

    assert told["meter_uj"] == 7


def test_receipts_without_a_conversation_are_no_group(url: str) -> None:
    books = Books()
    ledger = opened(url, books)
    ledger.add(books.receipt(1), TERMS)
    ledger.add(books.receipt(2, conversation_id="talk"), TERMS)
    ledger.close()

    groups = asked(url, "conversation")["sums"]

    assert isinstance(groups, list)
    assert [(one["conversation"], one["requests"]) for one in groups] == [("talk", 1)]


def test_idle_energy_of_an_hour_is_shared_by_energy_in_whatever_order_they_ended(url: str) -> None:
    books = Books()
    ledger = opened(url, books)
    books.energy_uj["idle"] = 900
    made = [books.receipt(number, 0, energy_uj) for number, energy_uj in enumerate((30, 10, 20))]
    for receipt in made:
        ledger.add(receipt, TERMS)
    ledger.close()
    other = opened(url, Books())
    other.close()

    kept = [lookup.receipt(connect(url), receipt.id) for receipt in made]

    assert [one and one.hour_idle_share_uj for one in kept] == [450, 150, 300]


def test_a_counter_that_died_is_told_by_each_receipt_as_it_was(url: str) -> None:
    books = Books()
    ledger = Ledger(url, "cpu", books.accounts, books.clock)
    ledger.start()
    estimated = replace(COUNTED, source="modelled", grade="C")
    for number, terms in enumerate((COUNTED, estimated)):
        ledger.add(books.receipt(number), terms)
    ledger.close()

    kept = [lookup.receipt(connect(url), books.receipt(number).id) for number in (0, 1)]

    assert [(one.boundary, one.grade) for one in kept if one] == [("cpu", "A"), ("cpu", "C")]
    assert [one.provenance[0] for one in kept if one] == [
        "energy: RAPL counters: package-0",
        "energy: modelled",
    ]
    assert asked(url, "account")["boundary"] == "cpu"
    (group,) = asked(url, "model")["sums"]
    assert group["meter"] == {"boundary": "cpu", "grade": "C"}


def test_counts_of_several_kinds_are_said_to_be_mixed(url: str) -> None:
    for number, terms in enumerate((COUNTED, TERMS)):
        books = Books()
        ledger = Ledger(url, terms.boundary, books.accounts, books.clock)
        ledger.start()
        ledger.add(books.receipt(number), terms)
        ledger.close()

    assert asked(url, "account")["boundary"] == "mixed"
    (group,) = asked(url, "model")["sums"]
    assert group["meter"] == {"boundary": "mixed", "grade": "B"}


def test_an_unknown_grouping_names_the_nearest() -> None:
    with pytest.raises(InvalidRequest, match="did you mean 'model'"):
        sums.sums(connect("sqlite:///unused"), "modle", sums.Span())


def test_where_nothing_can_be_written_the_service_goes_on_and_says_so(tmp_path: Path) -> None:
    books = Books()
    ledger = opened(f"sqlite:///{tmp_path / 'missing' / 'canteen.db'}", books)
    ledger.add(books.receipt(1), TERMS)
    ledger.flush()

    assert "unable to open" in ledger.trouble

    (tmp_path / "missing").mkdir()
    ledger.close()

    assert asked(f"sqlite:///{tmp_path / 'missing' / 'canteen.db'}", "account")["requests_uj"] == 3


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 10**9)), min_size=1, max_size=6),
    st.integers(0, 10**12),
)
def test_what_receipts_of_an_hour_share_is_what_idled_in_it(
    made: list[tuple[int, int]], idle_uj: int
) -> None:
    books = Books()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/canteen.db"
        ledger = opened(url, books)
        receipts = []
        for number, (hours, decode_uj) in enumerate(made):
            books.now_s += 3600 * hours
            books.energy_uj["idle"] += idle_uj
            receipts.append(books.receipt(number, 0, decode_uj))
            ledger.add(receipts[-1], TERMS)
            ledger.flush()
        ledger.close()
        kept = [lookup.receipt(connect(url), receipt.id) for receipt in receipts]

    shared_uj = sum(one.hour_idle_share_uj or 0 for one in kept if one)
    assert 0 <= idle_uj * len(made) - shared_uj <= len(made)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"), st.sampled_from("xy"), st.integers(0, 10**12), st.integers(0, 9)
        ),
        max_size=8,
    )
)
def test_all_sums_agree_with_each_other_and_with_the_accounts(
    made: list[tuple[str, str, int, int]],
) -> None:
    books = Books()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/canteen.db"
        ledger = opened(url, books)
        for number, (model, key, decode_uj, hours) in enumerate(made):
            books.now_s += 3600 * hours
            ledger.add(books.receipt(number, 7, decode_uj, model=model, caller_id=key), TERMS)
        ledger.close()
        groupings = [asked(url, by)["sums"] for by in ("model", "key", "hour", "day")]
        booked = asked(url, "account")

    whole = sum(7 + decode_uj for _, _, decode_uj, _ in made)
    for groups in groupings:
        assert isinstance(groups, list)
        assert sum(sum(group["energy_uj"].values()) for group in groups) == whole
    assert booked["requests_uj"] == booked["meter_uj"] == whole
