"""What is held and booked never passes a limit; on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from canteen.core.processes import GONE_AFTER_S
from canteen.metering.keys.book import KeyBook
from canteen.metering.keys.holds import Settle
from canteen.metering.keys.limits import Ask, Refusal
from canteen.metering.store import Database, connect
from tests.databases import emptied
from tests.metering.keys.holding import NOON_S, Till, granted, new_key, refused


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    Till.now_s = NOON_S
    if request.param == "sqlite":
        yield connect(f"sqlite:///{tmp_path / 'canteen.db'}")
    else:
        yield connect(emptied(str(request.getfixturevalue("postgres"))))


def test_what_is_held_is_not_there_for_others_and_what_is_not_used_comes_back(
    database: Database,
) -> None:
    till = Till(database, new_key(database, tokens_per_day=100))

    first, second = till.reserve("a", 60), till.reserve("b", 60)
    till.settle("a", {"tokens": 10})
    third = till.reserve("c", 90)

    assert granted(first) == 60
    assert refused(second).waits_for_others
    assert (refused(second).wanted, refused(second).left) == (60, 40)
    assert granted(third) == 90
    assert not refused(till.reserve("d", 91)).waits_for_others
    assert refused(till.reserve("e", 101)).is_too_large


def test_an_answer_without_a_limit_gets_what_there_is(database: Database) -> None:
    till = Till(database, new_key(database, tokens_per_day=100))

    assert granted(till.reserve("a", 8000, least=20)) == 100
    assert refused(till.reserve("b", 8000, least=20)).waits_for_others


def test_what_nothing_is_known_of_holds_all_that_is_left(database: Database) -> None:
    till = Till(database, new_key(database, wh_per_day=2))
    unknown, known = Ask(50, 50, {"wh": None}), Ask(50, 50, {"wh": 1_000_000})

    till.ask("a", unknown)
    second = till.ask("b", unknown)
    till.settle("a", {"wh": 1_940_000_000}, unknown)

    assert refused(second).waits_for_others
    assert granted(till.ask("c", known)) == 50
    assert refused(till.ask("d", known)).left == 10_000_000


def test_concurrency_is_free_again_when_a_request_ends(database: Database) -> None:
    till = Till(database, new_key(database, concurrency=1, requests_per_minute=2))
    one = Ask(num_requests=1)

    till.ask("a", one)
    second = till.ask("b", one)
    till.settle("a", {"requests": 1}, one)
    till.ask("c", one)
    till.settle("c", {"requests": 1}, one)
    fourth = till.ask("d", one)

    assert refused(second).limit.name == "concurrency"
    assert refused(fourth).limit.name == "requests_per_minute"
    Till.now_s += 60
    till.ask("e", one)


def test_a_request_that_is_given_up_with_the_same_breath_holds_nothing(
    database: Database,
) -> None:
    till = Till(database, new_key(database, concurrency=1))
    one = Ask(num_requests=1)
    given_up = till.of("a", one)

    till.holds.apply([given_up, Settle(given_up, Till.now_s, {})])

    granted(till.ask("b", one))


def test_a_budget_is_full_again_in_the_next_period(database: Database) -> None:
    till = Till(database, new_key(database, tokens_per_day=10))
    till.reserve("a", 10)
    Till.now_s += 86_400

    assert granted(till.reserve("b", 10)) == 10
    till.settle("a", {"tokens": 10})
    assert refused(till.reserve("c", 1)).limit.name == "tokens_per_day"


def test_gateways_that_reserve_at_once_never_pass_a_limit(database: Database) -> None:
    key = new_key(database, tokens_per_day=1000)
    gateways = [Till(database, key) for _ in range(4)]

    def work(number: int) -> int:
        till = gateways[number % 4]
        held = till.reserve(f"hold-{number}", 30).decision
        if isinstance(held, Refusal):
            return 0
        till.settle(f"hold-{number}", {"tokens": held.tokens})
        return held.tokens

    with ThreadPoolExecutor(4) as pool:
        used = sum(pool.map(work, range(60)))

    assert used == 990
    spent = KeyBook(database, lambda: NOON_S).spent(key)["tokens_per_day"]
    assert (spent["used"], spent["held"]) == (990, 0)


def test_what_a_dead_gateway_held_is_given_back(database: Database) -> None:
    key = new_key(database, tokens_per_day=100, concurrency=1)
    far = Till(database, key, host="another machine")
    far.ask("a", Ask(100, 100, num_requests=1))
    here = Till(database, key)

    before = here.reserve("b", 1)
    Till.now_s += GONE_AFTER_S + 1
    after = here.reserve("c", 100)

    assert refused(before).waits_for_others
    assert granted(after) == 100


def test_one_that_was_taken_for_dead_books_what_it_used(database: Database) -> None:
    key = new_key(database, tokens_per_day=100)
    far, here = Till(database, key, host="another machine"), Till(database, key)
    far.reserve("a", 60)
    Till.now_s += GONE_AFTER_S + 1
    here.holds.beat()

    far.settle("a", {"tokens": 60})

    assert refused(here.reserve("b", 41)).left == 40


def test_minutes_that_are_long_over_are_forgotten(database: Database) -> None:
    key = new_key(database, tokens_per_minute=100, tokens_per_month=1000)
    till = Till(database, key)
    till.reserve("a", 10)
    till.settle("a", {"tokens": 10})
    Till.now_s += 2 * 3600

    till.holds.beat()

    with database.reading() as connection:
        rows = connection.execute("SELECT per FROM spent")
    assert [row["per"] for row in rows] == ["month"]
