"""What in a text may be a name, by its capital letters."""

import re
from collections.abc import Iterator

from canteen.tasks.sentences import Span

# A longer run of capitals is a headline.
MOST_WORDS = 8
_WORD = re.compile(r"[^\W\d_](?:[\w&\u0300-\u036f]|['\u2019.-](?=\w))*(?:(?<=\b[^\W\d_a-z])\.)?")
# These stand within names, and neither begin nor end them.
_LINKS = frozenset("of the de la del van von der den da di du le and & for bin al y e".split())  # noqa: SIM905
# Words that are capitals for their place only.
_COMMON = frozenset(
    """
    i a an the this that these those he she it we you they my your his her its our their me him us
    them is are was were be been am do does did have has had will would can could should may might
    must not no yes and or but if so as at by for from in into of off on onto out over to up with
    about after before then than when where why who what which how all any both each few more most
    other some such only own same too very just now here there also let lets please thanks thank hi
    hello hey dear ok okay rt what's i'm i'll i've i'd it's don't didn't can't you're we're
    they're he's she's that's there's monday tuesday wednesday thursday friday saturday sunday
    january february march april may june july august september october november december mr mrs
    ms dr
    """.split()  # noqa: SIM905
)


def is_cased(text: str) -> bool:
    """Whether most of its letters have a small and a large form, so that names stand out."""
    letters = [one for one in text if one.isalpha()]
    return 2 * sum(one.lower() != one.upper() for one in letters) >= len(letters)


def names(text: str) -> Iterator[Span]:
    """Runs of words that begin with a capital, with small links within, apart and in order."""
    for run in _runs(text):
        while run and run[-1][0].lower() in _LINKS | _COMMON:
            run.pop()
        first = next((at for at, one in enumerate(run) if one[0].lower() not in _COMMON), len(run))
        del run[:first]
        if 0 < len(run) <= MOST_WORDS:
            yield Span(run[0].start(), run[-1].end())


def _runs(text: str) -> Iterator[list[re.Match[str]]]:
    run: list[re.Match[str]] = []
    for word in _WORD.finditer(text):
        is_next = bool(run) and text[run[-1].end() : word.start()] in (" ", " & ")
        if not is_next and run:
            yield run
            run = []
        if word[0][0].isupper() or (run and word[0].lower() in _LINKS):
            run.append(word)
        elif run:
            yield run
            run = []
    if run:
        yield run
