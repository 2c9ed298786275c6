"""What a rewriting must leave as it is: names, numbers, quotes, placeholders, code."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from canteen.tasks.facts import numerals
from canteen.tasks.sentences import Span, sentences

Kind = Literal["names", "numbers", "quotes", "placeholders", "code"]

KINDS: tuple[Kind, ...] = ("names", "numbers", "quotes", "placeholders", "code")
# Programs count on each one of these; of the others one is as good as two.
COUNTED: tuple[Kind, ...] = ("placeholders", "code")
_CODE = re.compile(
    r"""
    ^(?P<fence>```|~~~)[^\n]*\n.*?(?:^(?P=fence)|\Z)     # a block
  | (?P<ticks>`{1,3}+)[^`\n]++(?P=ticks)                    # in a line
  | \b(?:https?|ftp|mailto)://?[^\s<>"'`{}]*[^\s<>"'`{}.,;:!?)\]]    # an address
  | (?<![\w.+-])[\w.+-]{1,64}+@[\w-]++(?:\.[\w-]++)+
    """,
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)
_PLACEHOLDER = re.compile(
    r"""
    \{\{[^{}\n]*\}\} | \$\{[^{}\n]*\} | \{[^{}\n]*\}       # {{x}} ${x} {x}
  | \{%(?:(?!\{%|%\})[^\n])*+%\}                               # {% x %}
  | %\([\w.]++\)[-+0\#]{0,5}+\d{0,4}+(?:\.\d{1,4}+)?[a-zA-Z]   # %(x)s
  | (?<![\w%])%(?:\d{1,3}+\$)?[-+0\#]{0,5}+\d{0,4}+(?:\.\d{1,4}+)?
    [sdiufFeEgGxXorcpab@](?![a-zA-Z])                          # %s %1$d
  | %[A-Z][A-Z0-9_]++%                                         # %NAME%
  | (?<![\w$])\$[A-Za-z_]\w*                                   # $x
  | </?[A-Za-z][^<>\n]*> | <!--(?:(?!<!--|-->).)*+-->          # <tag>
    """,
    re.VERBOSE,
)
_QUOTE = re.compile(
    r'"([^"\n]+)"|\u201c([^\u201c\u201d]+)\u201d'
    r"|\u201e([^\u201c-\u201e\n]+)[\u201c\u201d]|«([^«»]+)»|「([^「」]+)」"
)
_NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")
_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
_POSSESSIVE = re.compile(r"['\u2019]s$")
_I = frozenset(
    {"I", "I'm", "I've", "I'd", "I'll", "I\u2019m", "I\u2019ve", "I\u2019d", "I\u2019ll"}
)


@dataclass(frozen=True, slots=True)
class Kept:
    """Something to be kept: `text` is the source's from `start` to `end`."""

    kind: Kind
    text: str
    start: int
    end: int


def found(text: str, kinds: Collection[Kind] = KINDS) -> list[Kept]:
    """All that is of these kinds, in order. What is inside code or a placeholder belongs to it."""
    code = [Span(*one.span()) for one in _CODE.finditer(text)]
    slots = [Span(*one.span()) for one in _PLACEHOLDER.finditer(text) if _is_free(one, code)]
    taken = sorted([*code, *slots])
    spans: dict[Kind, Iterator[Span] | list[Span]] = {
        "code": code,
        "placeholders": slots,
        "quotes": (
            Span(*one.span(one.lastindex or 0))
            for one in _QUOTE.finditer(text)
            if _is_free(one, taken)
        ),
        "numbers": (Span(*one.span()) for one in _NUMBER.finditer(text) if _is_free(one, taken)),
        "names": _names(text, taken),
    }
    kept = [
        Kept(kind, text[start:end], start, end) for kind in set(kinds) for start, end in spans[kind]
    ]
    return sorted(kept, key=lambda one: (one.start, -one.end, one.kind))


def lost(before: str, after: str, kinds: Collection[Kind] = KINDS) -> list[Kept]:
    """What of `before` is not in `after`, in order."""
    wanted = found(before, kinds)
    there = Counter((one.kind, one.text) for one in found(after, COUNTED))
    numbers, said = set(numerals(after)), _spaced(after)
    missing = []
    for one in wanted:
        key = (one.kind, one.text)
        if one.kind in COUNTED:
            there[key] -= 1
            is_there = there[key] >= 0
        elif one.kind == "numbers":
            is_there = numbers.issuperset(numerals(one.text))
        else:
            is_there = _spaced(one.text) in said
        if not is_there:
            missing.append(one)
    return missing


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _is_free(one: "re.Match[str]", taken: list[Span]) -> bool:
    """Whether none of these, which are in order and apart, holds it."""
    place = bisect_right(taken, one.start(), key=lambda span: span.start)
    return not place or taken[place - 1].end < one.end()


def _names(text: str, taken: list[Span]) -> Iterator[Span]:
    """Runs of words with capital letters that they do not owe to the beginning of a sentence."""
    words = [_capitals(text, span, taken) for span in sentences(text)]
    inner = {_bare(word) for one in words for word, is_first in one if not is_first}
    for one in words:
        run: list[re.Match[str]] = []
        for word, is_first in one:
            if is_first and not (_bare(word) in inner or _is_acronym(word[0])):
                continue
            if run and text[run[-1].end() : word.start()].strip(" "):
                yield _run(run)
                run = []
            run.append(word)
        if run:
            yield _run(run)


def _capitals(text: str, span: Span, taken: list[Span]) -> list[tuple["re.Match[str]", bool]]:
    """The capitalised words of a sentence, and whether one is its first."""
    return [
        (word, place == 0)
        for place, word in enumerate(_WORD.finditer(text, *span))
        if word[0][0].isupper() and word[0] not in _I and _is_free(word, taken)
    ]


def _is_acronym(word: str) -> bool:
    return len(word) > 1 and word.isupper()


def _bare(word: "re.Match[str]") -> str:
    return _POSSESSIVE.sub("", word[0])


def _run(words: list["re.Match[str]"]) -> Span:
    return Span(words[0].start(), words[-1].start() + len(_bare(words[-1])))
