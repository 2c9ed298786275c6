"""Corrections that do no harm: small edits that the model finds far likelier than what stands."""

from collections.abc import Iterable, Sequence

from canteen.core.errors import NotSupported
from canteen.core.generation import ScorePrompt
from canteen.tasks import slips
from canteen.tasks.facts import COMMON, words
from canteen.tasks.model import Model
from canteen.tasks.preserving import found, lost
from canteen.tasks.sentences import Span
from canteen.tasks.slips import Edit
from canteen.tasks.template import Template
from canteen.tasks.words import changed, diff

PROMPT = Template("likely", 1, system="You write without errors.", user="Write a sentence.")
MORE_ROUNDS = 3
# Characters, of a word or two and what was put in before them.
BESIDE = 24
MOST_OPTIONS = 400
# A sentence of the model that differs in a larger share of its words is another sentence.
MOST_CHANGED = 0.35
# Words that begin with as many letters alike are forms of one.
_ALIKE = 4
# How much likelier, in nats, an edit must make a sentence. To leave a word out makes any likelier.
LEAST_GAIN = 3.0
LEAST_GAIN_OF_LESS = 6.0
LEAST_GAIN_OF_SPELLING = 1.0


async def corrected(model: Model, sentence: str, suggestions: Iterable[str]) -> str:
    """The sentence with what is surely wrong in it put right, by small edits or as one of the
    suggestions has it. Where the model cannot score, the first suggestion that is near it."""
    near = [one for one in suggestions if is_near(sentence, one)]
    try:
        best, places = await _better(model, sentence, _edits(sentence), near)
        for _ in range(MORE_ROUNDS if places else 0):
            # One edit may make way for another beside it.
            beside = [edit for edit in _edits(best) if _is_beside(edit, places)]
            better, places = await _better(model, best, beside, [])
            if better == best:
                break
            best = better
    except NotSupported:
        return near[0] if near else sentence
    return best


def is_near(sentence: str, suggestion: str) -> bool:
    """Whether a suggestion may be the sentence corrected."""
    return (
        suggestion != sentence
        and changed(sentence, suggestion) <= MOST_CHANGED
        and not lost(sentence, suggestion)
        and not _leaves_out(sentence, suggestion)
    )


def _leaves_out(sentence: str, suggestion: str) -> bool:
    """Whether a word that says something is gone, with none like it and none in its place."""
    begun = {word[:_ALIKE] for word in words(suggestion.lower())}
    return any(
        sum(word[:_ALIKE] not in begun for word in _telling(one.before)) > len(_telling(one.after))
        for one in diff(sentence, suggestion)
    )


def _telling(text: str) -> list[str]:
    return [word for word in words(text.lower()) if len(word) > _ALIKE and word not in COMMON]


async def _better(
    model: Model, sentence: str, edits: Sequence[Edit], suggestions: Sequence[str]
) -> tuple[str, list[int]]:
    """The likeliest by far: a suggestion, or the sentence with the edits that gain enough; and
    where edits gained anything."""
    edits = edits[: MOST_OPTIONS - len(suggestions)]
    texts = [sentence, *suggestions, *(edit.of(sentence) for edit in edits)]
    if len(texts) == 1:
        return sentence, []
    (logprobs,) = await model.score([ScorePrompt(PROMPT.messages(), tuple(texts))])
    least = [_least_gain(sentence, one) for one in suggestions]
    least += [
        LEAST_GAIN_OF_SPELLING if edit.is_spelling else _least_gain(sentence, edit.of(sentence))
        for edit in edits
    ]
    gains = [one - logprobs[0] - wanted for one, wanted in zip(logprobs[1:], least, strict=True)]
    gained = [one for one in zip(gains[len(suggestions) :], edits, strict=True) if one[0] > 0]
    made = _together(sentence, gained)
    best = max([(0.0, sentence), made, *zip(gains, suggestions, strict=False)])
    return best[1], [edit.start for _, edit in gained]


def _edits(sentence: str) -> list[Edit]:
    if not slips.is_english(sentence):
        return []
    kept = [Span(one.start, one.end) for one in found(sentence)]
    return [one for one in slips.edits(sentence) if not any(_meet(one, span) for span in kept)]


def _meet(edit: Edit, span: Span) -> bool:
    return edit.start < span.end and span.start < edit.end


def _together(sentence: str, gained: Sequence[tuple[float, Edit]]) -> tuple[float, str]:
    """The sentence with the best edits, each some way from the others, and what they gain."""
    total, text, taken = 0.0, sentence, list[Edit]()
    for gain, edit in sorted(gained, key=lambda one: -one[0]):
        if all(_is_apart(sentence, edit, other) for other in taken):
            taken.append(edit)
            total += gain
    for edit in sorted(taken, key=lambda one: -one.start):
        text = edit.of(text)
    return total, text


def _is_beside(edit: Edit, places: Sequence[int]) -> bool:
    return any(abs(edit.start - place) <= BESIDE for place in places)


def _is_apart(sentence: str, one: Edit, other: Edit) -> bool:
    """Whether two words stand between them, so that one hardly bears on the other."""
    first, last = sorted((one, other), key=lambda edit: edit.start)
    return len(sentence[first.end : last.start].split()) > 2


def _least_gain(sentence: str, text: str) -> float:
    is_less = len(text.split()) < len(sentence.split())
    return LEAST_GAIN_OF_LESS if is_less else LEAST_GAIN
