"""Reading receipts again, by many at once."""

import subprocess
import sys

import pytest

from canteen.core.errors import InvalidRequest
from canteen.metering.ledger import Ledger
from canteen.metering.lookup import Page
from tests.metering.books import RATES, TERMS, Books

# The first to be read, by eight threads together, in a process that has read none before.
PROGRAM = """
import sys, threading
import msgspec
from canteen.core.units import exact
from canteen.metering.lookup import rates_of
from canteen.metering.rates import Rates

text = msgspec.json.encode(Rates(*[exact(1.0)] * 4)).decode()
start = threading.Barrier(8)

def read(padding):
    start.wait()
    rates_of(text + " " * padding)

sys.setswitchinterval(1e-6)
threads = [threading.Thread(target=read, args=(padding,)) for padding in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_the_first_receipts_can_be_read_by_many_at_once() -> None:
    statuses = {subprocess.run([sys.executable, "-c", PROGRAM]).returncode for _ in range(3)}

    assert statuses == {0}


def test_receipts_are_turned_page_by_page_and_each_is_seen_once(url: str) -> None:
    _, ledger = kept(url, 7)

    first = ledger.receipts(Page(limit=4))
    rest = ledger.receipts(Page(limit=4, after=first[-1].id))
    ledger.close()

    assert [int(one.id[5:], 16) for one in [*first, *rest]] == [6, 5, 4, 3, 2, 1, 0]
    assert first[0].footprint == RATES.footprint(first[0].charge)


def test_receipts_of_a_time_a_model_and_a_key_can_be_asked_for(url: str) -> None:
    books, ledger = kept(url, 3)
    books.now_s += 100
    ledger.add(books.receipt(9, model="other", caller_id="key_a"), TERMS)

    later = ledger.receipts(Page(since_s=books.now_s - 1))
    of_model = ledger.receipts(Page(of={"model": "echo"}))
    of_key = ledger.receipts(Page(of={"key": "key_a", "model": "other"}))
    ledger.close()

    assert [int(one.id[5:], 16) for one in later] == [9]
    assert [int(one.id[5:], 16) for one in of_model] == [2, 1, 0]
    assert of_key == later


def test_nobody_goes_on_after_a_receipt_that_is_none(url: str) -> None:
    _, ledger = kept(url, 1)

    with pytest.raises(InvalidRequest, match="no receipt 'rcpt_x' to go on after"):
        ledger.receipts(Page(after="rcpt_x"))
    ledger.close()


def kept(url: str, num: int) -> tuple[Books, Ledger]:
    """A ledger with so many receipts, two of each moment."""
    books = Books()
    ledger = Ledger(url, "it", books.accounts, books.clock)
    ledger.start()
    for number in range(num):
        books.now_s += number % 2
        ledger.add(books.receipt(number), TERMS)
    return books, ledger
