"""The sentences of a text that are most about what the text is about."""

import heapq
import math
from collections import Counter

from canteen.tasks.facts import stems
from canteen.tasks.sentences import Span, sentences

# Shorter ones are headings and exclamations.
FEW_STEMS = 6
# A first sentence is written to tell what follows.
LEAD = 1.2


def central(text: str, count: int, about: str = "") -> list[Span]:
    """The `count` most central sentences, in the order of the text; those with words that
    `about` has come first."""
    spans = sentences(text)
    said = [stems(text[start:end]) for start, end in spans]
    spread = Counter(stem for one in said for stem in one)
    wanted = stems(about)
    weights = [
        len(one & wanted) + _weight(one, spread) * (LEAD if place == 0 else 1)
        for place, one in enumerate(said)
    ]
    chosen = heapq.nlargest(count, range(len(spans)), key=lambda place: (weights[place], -place))
    return [spans[place] for place in sorted(chosen)]


def _weight(said: set[str], spread: "Counter[str]") -> float:
    """From 0 to 1: how much of it others say too."""
    if not said:
        return 0.0
    common = sum(math.log(spread[stem]) for stem in said) / len(said)
    return common / (1 + common) * min(1.0, len(said) / FEW_STEMS)
