"""Templates filled with identities: texts whose every name, number and address has exact bounds."""

import csv
import io
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, cycle, islice

from canteen.lifecycle.evaluate.examples import Marked, Span
from canteen.lifecycle.evaluate.packages import Archive
from canteen.lifecycle.evaluate.readers import Parts

_RAW = "presidio_evaluator/data_generator/raw_data/"
_NUM_TEXTS = 1000
# How often ours come for each time that theirs do.
_OWN_TIMES = 4
_SLOT = re.compile(r"\{\{(\w+)\}\}")
# What stands in a slot; slots that are not here hold words of no type.
TYPES: Mapping[str, str] = {
    **dict.fromkeys(
        (
            *("person", "name", "name_male", "name_female", "first_name", "first_name_male"),
            *("first_name_female", "first_name_nonbinary", "last_name", "last_name_male"),
            "last_name_female",
        ),
        "person",
    ),
    **dict.fromkeys(("address", "street_name"), "address"),
    **dict.fromkeys(("city", "country"), "place"),
    "organization": "organization",
    "phone_number": "phone",
    "credit_card_number": "card",
    "email": "email",
    "date_of_birth": "date",
    "date_time": "date",
    "order_number": "order number",
    "url": "url",
    "iban": "iban",
    "ip_address": "ip address",
    "ssn": "social security number",
}
NAMES = ("person", "place", "organization")
TYPED_FIELDS = ("email", "phone", "date", "card", "order number")
# The templates have few dates and no orders.
_OWN = (
    "Where is my order {{order_number}}? I paid on {{date_time}}.",
    "Order {{order_number}} was shipped to {{address}} on {{date_time}}.",
    "Please cancel {{order_number}} and write to {{email}}, or call {{phone_number}}.",
    "I ordered two lamps on {{date_time}} ({{order_number}}), and only one came.",
    "{{person}} asked twice about order no. {{order_number}}; mail {{email}}.",
    "The invoice of {{date_time}} is due on {{date_time}}. Card: {{credit_card_number}}.",
    "Room 12 is free from 9 to 17 on {{date_time}}; 30 chairs and 2.5 hours are needed.",
    "{{organization}} sold 1,250 units for 99.90 each, 12% more than in the 3rd quarter.",
)
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)


@dataclass(frozen=True, slots=True)
class Pool:
    """What slots are filled from: rows of identities, and names of organizations and peoples."""

    people: Sequence[Mapping[str, str]]
    organizations: Sequence[str]
    peoples: Sequence[Mapping[str, str]]


def all_types(archive: Archive) -> Parts:
    """Templates with all the types that they have."""
    return Parts(_filled(archive, _templates(archive), tuple(set(TYPES.values()))))


def names(archive: Archive) -> Parts:
    """The same texts; of what they are filled with only names are gold."""
    return Parts(_filled(archive, _templates(archive), NAMES))


def typed_fields(archive: Archive) -> Parts:
    """The same texts; of what they are filled with only the typed fields are gold."""
    return Parts(_filled(archive, _templates(archive), TYPED_FIELDS))


def _templates(archive: Archive) -> list[str]:
    # A character that its makers lost, and breaks that they wrote as two characters.
    mended = archive.text(_RAW + "templates.txt").replace("\ufffd", "-").replace("\\,", ",")
    lines = [line.replace("\\n", "\n") for line in mended.splitlines() if line.strip()]
    return [*lines, *_OWN * _OWN_TIMES]


def _filled(archive: Archive, templates: Sequence[str], types: Sequence[str]) -> list[Marked]:
    def rows(name: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(archive.text(_RAW + name, "utf-8-sig"))))

    pool = Pool(
        rows("FakeNameGenerator.com_3000.csv"),
        [row["organization"] for row in rows("companies_and_organizations.csv")],
        rows("nationalities.csv"),
    )
    # What has no slot comes once: it would be the same text again.
    again = cycle([one for one in templates if _SLOT.search(one)])
    chosen = islice(chain(templates, again), max(_NUM_TEXTS, len(templates)))
    return [fill(str(number), one, pool, types) for number, one in enumerate(chosen)]


def fill(text_id: str, template: str, pool: Pool, types: Sequence[str]) -> Marked:
    """A template with its slots filled; the same id gives the same text."""
    draw = random.Random(f"{text_id} {template}")  # noqa: S311 - no secret
    made, spans, at = "", [], 0
    for slot in _SLOT.finditer(template):
        made += template[at : slot.start()]
        value = _value(slot[1], pool, draw)
        if TYPES.get(slot[1]) in types:
            spans.append(Span(len(made), len(made) + len(value), TYPES[slot[1]], value))
        made += value
        at = slot.end()
    return Marked(text_id, made + template[at:], tuple(spans))


def _value(slot: str, pool: Pool, draw: random.Random) -> str:
    if slot in _MADE:
        return _MADE[slot](draw)
    if slot == "organization":
        return draw.choice(pool.organizations)
    if slot in ("nationality", "nation_woman", "nation_plural"):
        column = {"nation_woman": "woman", "nation_plural": "plural"}.get(slot, "nationality")
        return draw.choice(pool.peoples)[column].title()
    return _OF_A_PERSON[slot](draw.choice(pool.people))


def card_number(draw: random.Random) -> str:
    """16 digits with the check digit of ISO/IEC 7812, together or in fours."""
    digits = draw.choice("45") + "".join(draw.choice("0123456789") for _ in range(14))
    doubled = [int(one) * (2 - place % 2) for place, one in enumerate(digits)]
    check = -sum(one - 9 if one > 9 else one for one in doubled) % 10
    whole = f"{digits}{check}"
    gap = draw.choice(("", " ", "-"))
    return gap.join(whole[place : place + 4] for place in range(0, 16, 4))


def _date(draw: random.Random) -> str:
    year, month, day = draw.randint(1940, 2026), draw.randint(1, 12), draw.randint(1, 28)
    name = _MONTHS[month - 1]
    return draw.choice(
        (
            f"{year}-{month:02}-{day:02}",
            f"{month}/{day}/{year}",
            f"{day:02}.{month:02}.{year}",
            f"{name} {day}, {year}",
            f"{day} {name} {year}",
        )
    )


def _iban(draw: random.Random) -> str:
    """A German one, with the check digits of ISO 13616."""
    account = _digits(draw, 18)
    check = 98 - int(f"{account}131400") % 97
    return f"DE{check:02}{account}"


def _digits(draw: random.Random, count: int) -> str:
    return "".join(draw.choice("0123456789") for _ in range(count))


def _phone(person: Mapping[str, str]) -> str:
    """As the country writes it; every second one with the country's code."""
    number = person["TelephoneNumber"]
    if int(person["Number"]) % 2:
        return number
    return f"+{person['TelephoneCountryCode']} {number.removeprefix('0')}"


def _address(person: Mapping[str, str]) -> str:
    return f"{person['StreetAddress']}, {person['ZipCode']} {person['City']}".strip()


_MADE: Mapping[str, Callable[[random.Random], str]] = {
    "credit_card_number": card_number,
    "date_of_birth": _date,
    "date_time": _date,
    "iban": _iban,
    "year": lambda draw: str(draw.randint(1950, 2026)),
    "day_of_week": lambda draw: draw.choice(("Monday", "Tuesday", "Friday", "Sunday")),
    "building_number": lambda draw: str(draw.randint(1, 400)),
    "secondary_address": lambda draw: f"Apt. {draw.randint(1, 99)}",
    "ip_address": lambda draw: ".".join(str(draw.randint(1, 254)) for _ in range(4)),
    "ssn": lambda draw: f"{draw.randint(100, 665)}-{draw.randint(10, 99)}-{_digits(draw, 4)}",
    "us_driver_license": lambda draw: f"S{_digits(draw, 8)}",
    "order_number": lambda draw: draw.choice(("ORD-{}", "#{}", "PO-{}", "2026-{}")).format(
        _digits(draw, 6)
    ),
    "zipcode": lambda draw: _digits(draw, 5),
    "postcode": lambda draw: _digits(draw, 5),
    "prefix": lambda draw: draw.choice(("Mr.", "Ms.", "Dr.")),
    "prefix_male": lambda draw: draw.choice(("Mr.", "Dr.")),
    "prefix_female": lambda draw: draw.choice(("Ms.", "Mrs.", "Dr.")),
}
_OF_A_PERSON: Mapping[str, Callable[[Mapping[str, str]], str]] = {
    **dict.fromkeys(
        ("person", "name", "name_male", "name_female"),
        lambda one: f"{one['GivenName']} {one['Surname']}",
    ),
    **dict.fromkeys(
        ("first_name", "first_name_male", "first_name_female", "first_name_nonbinary"),
        lambda one: one["GivenName"],
    ),
    **dict.fromkeys(
        ("last_name", "last_name_male", "last_name_female"), lambda one: one["Surname"]
    ),
    "address": _address,
    "street_name": lambda one: one["StreetAddress"].strip("0123456789 ") or "Main Street",
    "city": lambda one: one["City"],
    "country": lambda one: one["CountryFull"],
    "state_abbr": lambda one: one["State"] or "CA",
    "age": lambda one: one["Age"],
    "email": lambda one: one["EmailAddress"],
    "job": lambda one: one["Occupation"].lower(),
    "phone_number": _phone,
    "url": lambda one: f"https://www.{one['Domain'].lower()}/",
}
