"""One paragraph rewritten: as a whole, else sentence by sentence, else left as it is."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from canteen.core.errors import CanteenError, ModelNotFound
from canteen.core.generation import Message, SamplingParams
from canteen.tasks.batch import each
from canteen.tasks.facts import Source, words
from canteen.tasks.grammar import corrected
from canteen.tasks.model import Model
from canteen.tasks.preserving import Kind, found, lost
from canteen.tasks.sentences import Span, sentences
from canteen.tasks.template import Template

_KEPT = "{% if kept %} These stay exactly as they are: {{ kept | join(' ') }}{% endif %}"
PROMPT = Template(
    "rewrite",
    1,
    user="Rewrite this text{% if wish.tone %} in a {{ wish.tone }} tone{% endif %}"
    "{% if wish.reading_level %} for {{ wish.reading_level }}{% endif %}"
    "{% if wish.instruction %}. {{ wish.instruction }}{% endif %}"
    "{% if kept %}. Keep {{ kept | join(' ') }} exactly as written{% endif %}: {{ text }}",
)
TRANSLATING = Template(
    "rewrite-translate",
    1,
    system="Translate the text into {{ wish.translate }}. Answer with the translation only."
    "{% if wish.tone %} Its tone is {{ wish.tone }}.{% endif %}"
    "{% if wish.reading_level %} It is for {{ wish.reading_level }}.{% endif %}"
    "{% if wish.instruction %} {{ wish.instruction }}{% endif %}" + _KEPT,
    user="{{ text }}",
)
CORRECTING = Template(
    "rewrite-correct",
    1,
    system="You correct grammar and spelling. Repeat the text with its errors corrected and "
    "change nothing else.",
    user="{{ text }}",
)


@dataclass(frozen=True, slots=True)
class Wish:
    """How a text is to be rewritten, and what must stay as it is."""

    instruction: str | None = None
    tone: str | None = None
    reading_level: str | None = None
    translate: str | None = None
    grammar_only: bool = False
    preserve: tuple[Kind, ...] = ()


# Without a turn to follow, a small model talks about the text; these show what a rewriting is.
_SHOWN = (
    (
        Wish(tone="formal"),
        "We got your mail and will get back to you soon.",
        "We have received your message and will reply to you shortly.",
    ),
    (
        Wish(tone="simple", reading_level="a child"),
        "The committee convened in order to deliberate upon the proposal.",
        "The group met to talk about the plan.",
    ),
)
# Sentences of one paragraph that are written at once.
MOST_SENTENCES = 4
LEAST_TOKENS = 48
# Some languages take more tokens than others for the same.
TOKENS_A_BYTE, TOKENS_A_BYTE_TRANSLATED = 0.5, 1.0
# A rewriting that is longer, has fewer of the words, or whose vector is less near by its cosine
# (which is asked for where there is an embedding model) is of something else.
MOST_LONGER = 2.5
LEAST_SHARE = 0.2
LEAST_SIMILARITY = 0.5
_PREAMBLE = re.compile(
    r"""
    (?:(?:sure|certainly|of\ course|okay|ok)\b[^\n:.!]{0,60}[.!,:]\s*)?
    (?:(?:here(?:'s|\u2019s|\ is|\ are)|the\ (?:rewritten|revised|corrected|translated|formal)
        |rewrit(?:e|ten)|revised|corrected|translat(?:ion|ed))\b[^\n:]{0,80}:\s*)?
    """,
    re.VERBOSE | re.IGNORECASE,
)
# What a model says about its answer, in a paragraph after it.
_COMMENT = re.compile(
    r"(?<!\s)[^\S\n]*+\n\s++(?<=\n)(?:note\b|the (?:original|corrected|rewritten)\b|"
    r"this (?:version|rewrit|revis)|i (?:have|hope)\b|i've\b|let me know\b|"
    r"explanation\b|changes\b).*",
    re.IGNORECASE | re.DOTALL,
)
_QUOTES = "\"'\u201c\u201d\u2018\u2019«»„`"


@dataclass(frozen=True, slots=True)
class Reworded:
    """A text rewritten; a fault for each sentence that is as it was, and what was `added`."""

    text: str
    faults: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


async def reworded(model: Model, wish: Wish, source: str) -> Reworded:
    """The paragraph rewritten. Where the model fails at the whole it is tried once more, by
    sentences; those at which it fails again stand as they are."""
    if not wish.grammar_only:
        whole = await _tried(model, wish, source, ())
        if not whole.faults:
            return whole
    spans = sentences(source)
    texts = [source[start:end] for start, end in spans]
    made = list[Reworded]()
    async for outcome in each(texts, partial(_sentence, model, wish), MOST_SENTENCES):
        if isinstance(outcome, CanteenError):
            raise outcome
        made.append(outcome)
    return Reworded(
        _put_together(source, spans, [one.text for one in made]),
        tuple(fault for one in made for fault in one.faults),
        tuple(thing for one in made for thing in one.added),
    )


async def _sentence(model: Model, wish: Wish, source: str) -> Reworded:
    if not any(letter.isalpha() for letter in source):
        return Reworded(source)
    if wish.grammar_only:
        written, _ = await _written(model, wish, source, ())
        return Reworded(await corrected(model, source, [written]))
    kept = [one.text for one in found(source, wish.preserve)]
    made = await _tried(model, wish, source, kept)
    # What a translation lost is told; it would not be one with a sentence of the source in it.
    if not made.faults or (wish.translate and made.faults == (LOST,)):
        return Reworded(made.text, (), made.added)
    return Reworded(source, made.faults[:1])


async def _tried(model: Model, wish: Wish, source: str, kept: Sequence[str]) -> Reworded:
    """What the model makes of a text, with all that is wrong with it."""
    text, is_whole = await _written(model, wish, source, kept)
    added = _added(wish, source, text)
    faults = [] if is_whole else [CUT]
    faults += _degenerate(source, text)
    if not wish.translate and not wish.instruction:
        faults += [INVENTED] if added else []
        faults += [] if await _is_alike(model, source, text) else [STRAYED]
    if lost(source, text, wish.preserve):
        faults.append(LOST)
    return Reworded(text, tuple(faults), tuple(added))


CUT = "the model did not come to an end"
EMPTY = "the model wrote nothing"
LONGER = "what the model wrote is much longer"
REPEATED = "the model repeated itself"
INVENTED = "the model added names or numbers"
STRAYED = "the model wrote about something else"
LOST = "the model left out what was to stay"


def _degenerate(source: str, text: str) -> list[str]:
    if not text:
        return [EMPTY]
    if len(text) > MOST_LONGER * len(source) + LEAST_TOKENS:
        return [LONGER]
    return [REPEATED] if _repeats(text) > _repeats(source) else []


def _repeats(text: str) -> int:
    said = [" ".join(text[start:end].lower().split()) for start, end in sentences(text)]
    doubled = sum(one == other for one, other in pairwise(words(text.lower())))
    return len(said) - len(set(said)) + doubled


async def _is_alike(model: Model, source: str, text: str) -> bool:
    if not text:
        return False
    try:
        one, other = await model.embed([source, text])
    except ModelNotFound:
        # There is no embedder in the store.
        return Source(source).share(text) >= LEAST_SHARE
    return sum(a * b for a, b in zip(one, other, strict=True)) >= LEAST_SIMILARITY


def _added(wish: Wish, source: str, text: str) -> list[str]:
    """Numbers and names that nobody gave; of a translation, whose names are others', numbers."""
    given = Source(f"{source} {wish.instruction or ''}")
    return [one for one in given.lacks(text) if not wish.translate or one[0].isdigit()]


async def _written(model: Model, wish: Wish, source: str, kept: Sequence[str]) -> tuple[str, bool]:
    """What the model answers, without what it says about it, and whether it came to its end."""
    a_byte = TOKENS_A_BYTE_TRANSLATED if wish.translate else TOKENS_A_BYTE
    sampling = SamplingParams(
        temperature=0.0, max_tokens=LEAST_TOKENS + int(len(source.encode()) * a_byte)
    )
    completion = await model.write(_messages(wish, source, kept), sampling)
    answer = cleaned(completion.text, source)
    if completion.choices[0].finish_reason != "length":
        return answer, True
    # A paragraph has an end, where a model goes on with another.
    first, gap, _ = answer.partition("\n\n")
    return (first if gap else answer).strip(), bool(gap)


def _messages(wish: Wish, text: str, kept: Sequence[str]) -> tuple[Message, ...]:
    """What the model is asked, after two examples where it is asked for a tone or a level."""
    if wish.grammar_only:
        return CORRECTING.messages(text=text)
    template = TRANSLATING if wish.translate else PROMPT
    asked = template.messages(wish=wish, text=text, kept=list(dict.fromkeys(kept)))
    if wish.translate or wish.instruction:
        return asked
    return (*(one for shown in _SHOWN for one in _example(*shown)), *asked)


def _example(wish: Wish, text: str, answer: str) -> tuple[Message, ...]:
    return (*PROMPT.messages(wish=wish, text=text, kept=()), Message("assistant", answer))


def cleaned(answer: str, source: str) -> str:
    """The answer without preamble, comments and quotation marks that the source has not."""
    text = _COMMENT.sub("", answer.strip())
    begun = _PREAMBLE.match(source)
    if begun is None or not begun[0]:
        text = _PREAMBLE.sub("", text, count=1)
    text = text.strip()
    if text[:1] and text[:1] in _QUOTES and source[:1] not in _QUOTES:
        text = text.strip(_QUOTES)
    return text


def _put_together(source: str, spans: Sequence[Span], texts: Sequence[str]) -> str:
    """The texts in place of the spans, with what stood between these."""
    pieces, at = list[str](), 0
    for (start, end), text in zip(spans, texts, strict=True):
        pieces += [source[at:start], text]
        at = end
    return "".join([*pieces, source[at:]])
