"""Fields whose form tells what they are: found by patterns and checks, not by a model."""

import ipaddress
import re
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice

from canteen.tasks.dates import dates
from canteen.tasks.phones import phones
from canteen.tasks.sentences import Span

Find = Callable[[str], Iterator[Span]]

_EMAIL = re.compile(
    r"(?<![\w.+%-])[\w+%][\w.+%'-]{0,63}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}"
    r"(?![\w@]|-\w)"
)
_URL = re.compile(r"\b(?:https?://|ftp://|www\.)[^\s<>\"“”«»{}|\\^`]+", re.IGNORECASE)
_AFTER_URL = ".,;:!?')]}*_…。、\u2019\uff0c"
_IBAN = re.compile(r"\b[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,3})?\b")
_CARD = re.compile(r"(?<![\w.,/+-])[2-6][0-9]{3}(?:[ -]?[0-9]){9,15}(?![\w]|[.,-][0-9])")
_IP = re.compile(
    r"(?<![\w.:])(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|(?=[0-9a-f:]*:[0-9a-f]*:)[0-9a-f:]{2,39}"
    r"(?:(?<=:)[0-9]{1,3}(?:\.[0-9]{1,3}){3})?)(?![\w:]|\.[0-9])",
    re.IGNORECASE,
)
_SOCIAL_SECURITY = re.compile(
    r"(?<![\w-])(?!000|666|9)[0-9]{3}([- ])(?!00)[0-9]{2}\1(?!0000)[0-9]{4}(?![\w-])"
)
_ORDER = re.compile(
    r"""
    \b(?:orders?|bestellung|bestell|commande|pedido|ordine|purchase[ ]order|p\.?o\.?)
      (?:[ -]?(?:no|nr|num|number|nummer|id|ref|reference|numéro|número))?\.?[ ]?[:=]?[ ]?
      (?P<called>\#?[ ]?(?=[\w/-]{0,30}[0-9][\w/-]{0,30}[0-9])
      [A-Z0-9]{1,30}+(?:[-/][A-Z0-9]{1,30}+){0,5})
  | (?<![\w-])(?P<prefixed>(?:ORD|ORDER|PO|SO|WO|BST|CMD)[-_]?[0-9]{3,30}+(?:-[0-9]{1,30}+){0,5})
  | (?<![\w&/])(?<!olor:)(?<!olor:[ ])(?P<hashed>\#[0-9]{4,30}+)
  | (?<![\w.,/+-])(?P<yearly>(?:19|20)[0-9]{2}-[0-9]{5,8})
    """,
    re.VERBOSE | re.IGNORECASE,
)
_AFTER_NUMBER = re.compile(r"(?![\w#]|[-/.,][0-9])")
# Only so many thousands: a table of numbers may go on for ever.
_THOUSANDS = r"(?:[ ,.'\u2019\u00a0\u202f][0-9]{3}(?![0-9])){1,6}+"
_AMOUNT = rf"[0-9]{{1,3}}(?:{_THOUSANDS}|[0-9]*+)(?:[.,][0-9]{{1,2}})?(?![0-9])"
_SCALE = r"(?:[ ]?(?:k|m|bn|thousand|million|billion|trillion|Mio\.?|Mrd\.?)\b)?"
_SIGN = r"(?:(?:US|A|C|CA|AU|NZ|HK|S|R)?\$|[€£¥₹₽₩₺₴₪฿₫])"
_CODE = "(?:USD|EUR|GBP|JPY|CHF|CNY|INR|AUD|CAD|SEK|NOK|DKK|PLN|CZK|HUF|BRL|MXN|ZAR|KRW|TRY)"
_WORD = "(?:dollars?|euros?|pounds?|yen|cents?|francs?|rupees?|yuan|pesos?)"
_MONEY = re.compile(
    rf"(?<![\w.,]){_SIGN}[ ]?{_AMOUNT}{_SCALE}|(?<!\w){_CODE}[ ]{_AMOUNT}{_SCALE}"
    rf"|(?<![\w.,]){_AMOUNT}{_SCALE}[ \u00a0]?(?:{_SIGN}(?!\w)|{_CODE}\b|{_WORD}\b)"
)


def _all(pattern: re.Pattern[str], is_one: Callable[[str], bool] = lambda found: True) -> Find:
    def find(text: str) -> Iterator[Span]:
        return (Span(*one.span()) for one in pattern.finditer(text) if is_one(one[0]))

    return find


def _urls(text: str) -> Iterator[Span]:
    for found in _URL.finditer(text):
        address = found[0].rstrip(_AFTER_URL)
        # A bracket that was opened in it belongs to it.
        if found[0][len(address) :].startswith(")") and address.count("(") > address.count(")"):
            address += ")"
        yield Span(found.start(), found.start() + len(address))


def _orders(text: str) -> Iterator[Span]:
    for found in _ORDER.finditer(text):
        span = found.span(found.lastgroup or 0)
        if _AFTER_NUMBER.match(text, span[1]):
            yield Span(*span)


def _is_card(written: str) -> bool:
    """Whether the check digit is that of ISO/IEC 7812 (Luhn)."""
    digits = [int(one) for one in written if one.isdigit()]
    if not 13 <= len(digits) <= 19:
        return False
    doubled = (2 * one for one in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(one // 10 + one % 10 for one in doubled)) % 10 == 0


def _is_iban(written: str) -> bool:
    """Whether the check digits are those of ISO 13616."""
    number = re.sub("[ -]", "", written)
    moved = number[4:] + number[:4]
    return 15 <= len(number) <= 34 and int("".join(str(int(one, 36)) for one in moved)) % 97 == 1


def _is_ip(written: str) -> bool:
    try:
        ipaddress.ip_address(written)
    except ValueError:
        return False
    # Two colons alone are punctuation.
    return any(one.isalnum() for one in written)


# Where two overlap, the one that is earlier here holds.
FINDERS: Mapping[str, Find] = {
    "url": _urls,
    "email": _all(_EMAIL),
    "iban": _all(_IBAN, _is_iban),
    "card": _all(_CARD, _is_card),
    "ip address": _all(_IP, _is_ip),
    "date": dates,
    "money": _all(_MONEY),
    "social security number": _all(_SOCIAL_SECURITY),
    "order number": _orders,
    "phone": phones,
}
_NAMES: Mapping[str, tuple[str, ...]] = {
    "url": ("web address", "link", "uri", "website"),
    "email": ("e mail", "mail", "email address", "e mail address", "mail address", "idn email"),
    "iban": ("iban code", "bank account"),
    "card": ("card number", "credit card", "credit card number", "payment card"),
    "ip address": ("ip", "ipv4", "ipv6"),
    "date": ("calendar date", "date time"),
    "money": ("amount", "price", "amount of money", "money amount"),
    "social security number": ("ssn", "us ssn"),
    "order number": ("order", "order no", "order id", "purchase order"),
    "phone": ("phone number", "telephone", "telephone number", "fax", "mobile", "tel"),
}
_KIND_OF = {name: kind for kind, names in _NAMES.items() for name in (kind, *names)}


def kind_of(name: str) -> str | None:
    """The kind of field that is called so; None where a pattern does not know it."""
    words = re.sub(r"[\W_]+", " ", name).strip().lower()
    return (
        _KIND_OF.get(words)
        or _KIND_OF.get(words.removesuffix("es"))
        or _KIND_OF.get(words.removesuffix("s"))
    )


def fields(text: str, kinds: Iterable[str]) -> dict[str, list[Span]]:
    """The spans of each kind, in order. What is of another kind is none of these, though that
    was not asked for."""
    taken: list[Span] = []
    found: dict[str, list[Span]] = {kind: [] for kind in kinds}
    # Those after the last one asked for take nothing from it.
    last = max((place for place, kind in enumerate(FINDERS) if kind in found), default=-1)
    for kind, find in islice(FINDERS.items(), last + 1):
        own = [span for span in find(text) if _takes(span, taken)]
        if kind in found:
            found[kind] = sorted(own)
    return found


def _takes(span: Span, taken: list[Span]) -> bool:
    """Whether the place of a span was free; then it is taken."""
    is_free = not overlaps(span, taken)
    if is_free:
        insort(taken, span)
    return is_free


def overlaps(span: Span, others: list[Span]) -> bool:
    """Whether one of these, which are in order and apart, shares a character with the span."""
    place = bisect_left(others, span)
    return any(
        one.start < span.end and span.start < one.end
        for one in others[max(0, place - 1) : place + 1]
    )
