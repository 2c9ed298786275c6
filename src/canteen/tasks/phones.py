"""Telephone numbers in a text: groups of digits that can be dialled."""

import re
from collections.abc import Iterator

from canteen.tasks.sentences import Span

# Groups of digits with one mark between them, the first ones perhaps in brackets. Digits are
# taken all at once (`+`): to try each way to part a long row of them would take for ever.
_GROUPS = re.compile(
    r"""
    (?<![\w#$€£¥/+@&=-])(?<![0-9][.,])
    (?:\+[ ]?|00[ ]?)?(?:\([0-9]{1,5}\)|[0-9]{1,14}+)
    (?:(?:[ ]?[-./\u2013][ ]?|[ ]|(?<=\))|(?=\())(?:\([0-9]{1,4}\)|[0-9]{1,12}+)){0,7}
    (?:[ ]?(?:ext\.?|x)[ ]?[0-9]{1,5})?
    (?![\w#@%€$£]|[.,:/-][0-9])
    """,
    re.VERBOSE | re.IGNORECASE,
)
_EXTENSION = re.compile(r"[ ]?(?:ext\.?|x)[ ]?[0-9]{1,5}$", re.IGNORECASE)
# Words that a number follows, or stands before, when it is one to call.
_CUE = re.compile(
    r"""\b(?:tele)?(?:phone|fon|fono|fax|tel|cell(?:ular)?|mobile?|handy|desk|office|hotline|
    call(?:ed|ing)?|dial|text|sms|whatsapp|reach|registered|answering|contact|número|numéro|
    t[ée]l[ée]phone|portable|anrufen|rufnummer|móvil|cellulare)\b""",
    re.VERBOSE | re.IGNORECASE,
)
_OTHER = re.compile(
    r"[0-9]{1,3}(?:[ .][0-9]{3})+|[0-9]+\.[0-9]+(?: [0-9]+\.[0-9]+)+|[0-9]{5}-[0-9]{3,4}"
)
_BEFORE, _AFTER = 20, 12
_LEAST_DIGITS, _MOST_DIGITS = 7, 15


def phones(text: str) -> Iterator[Span]:
    """Numbers with a country's code, in well-known groups, or near a word that says so."""
    for found in _GROUPS.finditer(text):
        if _is_phone(found[0], text, found):
            yield Span(*found.span())


def _is_phone(written: str, text: str, found: re.Match[str]) -> bool:
    number = _EXTENSION.sub("", written)
    digits = sum(one.isdigit() for one in number)
    if not _LEAST_DIGITS <= digits <= _MOST_DIGITS:
        return False
    if number.startswith(("+", "00")) and _is_possible("+" + number.lstrip("+0 ")):
        return True
    return _has_cue(text, found) or _is_grouped(number)


def _is_possible(number: str) -> bool:
    import phonenumbers

    # Many write the trunk's 0 after the country's code.
    for one in (number, re.sub(r"\(0\)|(?<=\()0", "", number)):
        try:
            if phonenumbers.is_possible_number(phonenumbers.parse(one)):
                return True
        except phonenumbers.NumberParseException:
            continue
    return False


def _has_cue(text: str, found: re.Match[str]) -> bool:
    before = text[max(0, found.start() - _BEFORE) : found.start()]
    after = text[found.end() : found.end() + _AFTER]
    return bool(_CUE.search(before) or _CUE.search(after))


def _is_grouped(number: str) -> bool:
    """An area's code first and another group, or three groups; but no thousands, no decimals, no
    scores of a match, and no postal code."""
    groups = re.findall(r"[0-9]+", number)
    if _OTHER.fullmatch(number) or sum(map(len, groups)) < 2 * len(groups):
        return False
    return len(groups) > (1 if number.startswith(("(", "0")) else 2)
