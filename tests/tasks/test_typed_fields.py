"""Typed fields: found by their form, checked by their digits, and nothing else taken for them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.lifecycle.evaluate.catalogue import ENTRIES
from canteen.lifecycle.evaluate.datasets import read
from canteen.lifecycle.evaluate.entities import metrics, record
from canteen.lifecycle.evaluate.examples import Span as Gold
from canteen.lifecycle.evaluate.filling import TYPED_FIELDS
from canteen.tasks.typed_fields import FINDERS, fields, kind_of
from tests.evaluation_data import HOME

LEAST_F1 = 0.95


def found(text: str, kind: str) -> list[str]:
    return [text[span.start : span.end] for span in fields(text, [kind])[kind]]


@pytest.mark.parametrize(
    ("kind", "text", "wanted"),
    [
        ("email", "Mail jo.o'neil+x@mail.example.co.uk.", ["jo.o'neil+x@mail.example.co.uk"]),
        ("email", "用户@例子.公司 and user@localhost", ["用户@例子.公司"]),
        ("url", "(see https://x.org/a_(b)?c=1).", ["https://x.org/a_(b)?c=1"]),
        ("url", "www.x.org, not x.org", ["www.x.org"]),
        ("iban", "DE89 3704 0044 0532 0130 00 or", ["DE89 3704 0044 0532 0130 00"]),
        ("iban", "DE89370400440532013001", []),
        ("card", "4111 1111 1111 1111, not 4111 1111 1111 1112", ["4111 1111 1111 1111"]),
        ("card", "378282246310005", ["378282246310005"]),
        ("ip address", "10.0.0.256 10.0.0.25 2001:db8::1 ::", ["10.0.0.25", "2001:db8::1"]),
        ("date", "2024-02-29, 2023-02-29, 31/12/99", ["2024-02-29", "31/12/99"]),
        ("date", "Am 3. Oktober 1990 und le 14 juillet", ["3. Oktober 1990", "14 juillet"]),
        ("date", "on March 3rd. Then 2024年3月3日", ["March 3rd", "2024年3月3日"]),
        ("money", "$1,250.50, 99.90 EUR, €5bn, 12% of 30", ["$1,250.50", "99.90 EUR", "€5bn"]),
        (
            "money",
            "$1,000 2000; 1 234 567 EUR; in 2024 500 EUR",
            ["$1,000", "1 234 567 EUR", "500 EUR"],
        ),
        ("social security number", "123-45-6789, 000-45-6789", ["123-45-6789"]),
        ("order number", "order no. A-77/12 and #12345", ["A-77/12", "#12345"]),
        ("order number", "in order to go, order 66", ["66"]),
        ("phone", "+49 (0)30 901820, 020 7946 0958", ["+49 (0)30 901820", "020 7946 0958"]),
        ("phone", "call 555 1234", ["555 1234"]),
        ("phone", "555 1234 people; won 6-3 6-2 1-6; 1.25 3.50", []),
        ("phone", "2024-05-06, 10.0.0.25, 4111 1111 1111 1111", []),
    ],
)
def test_a_field_is_found_by_its_form(kind: str, text: str, wanted: list[str]) -> None:
    assert found(text, kind) == wanted


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("E-Mail", "email"),
        ("phone_numbers", "phone"),
        ("Credit card number", "card"),
        ("dates", "date"),
        ("contract date", None),
        ("person", None),
        ("", None),
    ],
)
def test_a_kind_is_known_by_its_names(name: str, kind: str | None) -> None:
    assert kind_of(name) == kind


@pytest.mark.parametrize(
    "row", ["1", "1 ", "(1) ", "a.", "PO-1-1-1-", "1,234,", "0:", "A1 ", "jan 1 "]
)
def test_fields_of_a_row_made_to_be_slow_are_inside_it(row: str) -> None:
    text = row * (30_000 // len(row))

    found = fields(text, FINDERS)

    assert all(0 <= start < end <= len(text) for spans in found.values() for start, end in spans)


@given(text=st.text(st.sampled_from("0123456789 +-./()#@:$abA\nyx") | st.characters(codec="utf-8")))
def test_no_two_fields_share_a_character(text: str) -> None:
    spans = sorted(span for spans in fields(text, FINDERS).values() for span in spans)

    assert all(one.end <= other.start for one, other in pairwise(spans))
    assert all(text[span.start : span.end].strip() for span in spans)


def test_the_typed_fields_of_the_templates_are_found() -> None:
    (entry,) = (one for one in ENTRIES if one.name == "typed-fields")
    examples = read(entry, HOME).examples

    records = [record(one, in_text(one.text)) for one in examples]

    scores = {one.name: one.total for one in metrics(records, TYPED_FIELDS)}
    assert all(scores[f"f1_exact[{kind}]"] >= LEAST_F1 for kind in TYPED_FIELDS), scores


def in_text(text: str) -> list[Gold]:
    of_kind = fields(text, TYPED_FIELDS)
    return [Gold(*span, kind) for kind, spans in of_kind.items() for span in spans]
