"""A chain of records: whole as it was written, broken by whoever changes a letter."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.metering.audit import chain
from canteen.metering.audit.chain import Head, Verdict, sealed


def lines(num: int) -> list[bytes]:
    made, head = [], Head()
    for number in range(num):
        line, head = sealed({"event": "request", "who": f"caller {number}"}, head)
        made.append(line)
    return made


def verify(chained: Iterable[bytes], noted: str = "") -> Verdict:
    return chain.verify([("audit.jsonl", chained)], noted)


def test_a_chain_is_whole_as_it_was_written() -> None:
    verdict = verify(lines(5))

    assert verdict.is_whole
    assert verdict.head == chain.head_of(lines(5)[-1])
    assert verdict.head.num_records == 5


@given(st.integers(0, 4), st.data())
def test_no_letter_can_be_changed(which: int, data: st.DataObject) -> None:
    made = lines(5)
    at = data.draw(st.integers(0, len(made[which]) - 2))
    changed = bytearray(made[which])
    changed[at] ^= data.draw(st.integers(1, 255))

    spoiled = [*made[:which], bytes(changed), *made[which + 1 :]]

    assert not verify(b"".join(spoiled).splitlines(keepends=True)).is_whole


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("dropped", [0, 1, 3, 4]),
        ("moved", [0, 2, 1, 3, 4]),
        ("twice", [0, 1, 1, 2, 3, 4]),
        ("beheaded", [1, 2, 3, 4]),
    ],
)
def test_no_record_can_be_dropped_or_moved(name: str, order: list[int]) -> None:
    made = lines(5)

    verdict = verify(made[at] for at in order)

    assert "missing" in verdict.fault, name


def test_an_end_that_was_cut_off_is_missed_by_whoever_noted_its_hash() -> None:
    made = lines(5)
    noted = chain.head_of(made[4]).hash

    assert verify(made, noted).is_whole
    assert verify(made[:4]).is_whole
    assert not verify(made[:4], noted).is_whole


def test_half_a_line_at_the_end_was_never_acknowledged() -> None:
    made = lines(3)

    verdict = verify([*made[:2], made[2][:40]])

    assert verdict.is_whole
    assert verdict.head.num_records == 2


def test_half_a_line_in_the_middle_must_be_accounted_for() -> None:
    made = lines(3)
    rest = made[2][:40]
    head = chain.head_of(made[1])
    account, _ = sealed(chain.torn(rest), head)
    other, _ = sealed(chain.torn(b"something else"), head)

    assert verify([*made[:2], rest + b"\n", account]).is_whole
    assert not verify([*made[:2], rest + b"\n", other]).is_whole
    assert not verify([*made[:2], rest + b"\n"]).is_whole


def test_what_goes_on_where_earlier_files_were_put_elsewhere_says_from_where() -> None:
    made = lines(3)
    head = chain.head_of(made[2])
    first, head = sealed({"event": chain.CONTINUED}, head)
    second, head = sealed({"event": "request"}, head)

    whole = chain.verify([("audit-3.jsonl", made), ("audit.jsonl", [first, second])])
    rest = verify([first, second])

    assert (whole.is_whole, whole.first, whole.head.num_records) == (True, 1, 5)
    assert (rest.is_whole, rest.first, rest.head.num_records) == (True, 4, 5)
    assert not verify([*made[:2], first, second]).is_whole


def test_a_fault_is_told_with_its_file() -> None:
    made = lines(4)

    verdict = chain.verify([("audit-2.jsonl", made[:2]), ("audit.jsonl", made[3:])])

    assert (verdict.file, verdict.line) == ("audit.jsonl", 1)
