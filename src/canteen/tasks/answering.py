"""Answers to a question from the passages that were found: what these bear out, with citations."""

import operator
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Literal

from canteen.core.generation import SamplingParams
from canteen.tasks.facts import Source
from canteen.tasks.model import Model
from canteen.tasks.search import Hit, snippet
from canteen.tasks.sentences import Span, sentences
from canteen.tasks.sieve import LEAST_CHARACTERS, LEAST_SHARE, Sieve
from canteen.tasks.template import Template

PROMPT = Template(
    "answer",
    1,
    system="Answer the question in one to three short sentences, using only the passages. After "
    "each sentence put the number of its passage in brackets, like [1].",
    user="{% for passage in passages %}[{{ loop.index }}] {{ passage }}\n\n{% endfor %}"
    "Question: {{ question }}",
)
NOTHING_FOUND = "Nothing was found."
# More of them distract a small model.
MOST_PASSAGES = 4
MOST_SENTENCES = 3
MAX_TOKENS = 160
# Sentences of a passage that can be cited.
MOST_QUOTES = 64
# Of the context, for the passages.
CONTEXT_SHARE = 0.5
CHARACTERS_A_TOKEN = 3
_CITED = re.compile(r"\s*\[(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\]")
# Marks after the full stop belong to the sentence before it.
_LATE = re.compile(r"([.!?…]+)((?:\s*\[\d[\d,;\s]*\])+)")
_END = re.compile(r"[.!?…]*$")


@dataclass(frozen=True, slots=True)
class Cited:
    """What [`number`] in an answer stands for: `quote` is the document's text from `start` to
    `end`, in the passage that was found as the `number`th."""

    number: int
    document: str
    start: int
    end: int
    quote: str


@dataclass(frozen=True, slots=True)
class Answer:
    """`by` the model; or a quotation, where nothing that the model said held up; or by nobody,
    where nothing was found to answer from. Every citation is of a passage that there is."""

    text: str
    by: Literal["model", "quote", "nobody"]
    citations: tuple[Cited, ...] = ()


async def answer(model: Model, question: str, hits: Sequence[Hit]) -> Answer:
    """A short answer from the best passages."""
    if not hits:
        return Answer(NOTHING_FOUND, "nobody")
    shown = hits[:MOST_PASSAGES]
    texts = await _texts(model, question, shown)
    completion = await model.write(
        PROMPT.messages(passages=texts, question=question),
        SamplingParams(temperature=0.0, max_tokens=MAX_TOKENS),
    )
    is_whole = completion.choices[0].finish_reason != "length"
    kept = _founded(completion.text, [f"{one.title}\n{one.text}" for one in shown], is_whole)
    if not kept:
        return await _quotation(model, question, shown)
    return await _answer(model, kept, shown)


async def _texts(model: Model, question: str, hits: Sequence[Hit]) -> list[str]:
    """The passages as the model reads them; of longer ones what is most about the question."""
    tokens = await model.context_length() * CONTEXT_SHARE - MAX_TOKENS
    room = max(200, int(tokens * CHARACTERS_A_TOKEN) // len(hits))
    texts = []
    for hit in hits:
        start, end = snippet(hit.text, question, room)
        text = hit.text if len(hit.text) <= room else hit.text[start:end]
        is_titled = not hit.title or hit.title in text
        texts.append(text if is_titled else f"{hit.title}: {text}")
    return texts


def _founded(said: str, texts: Sequence[str], is_whole: bool) -> list[tuple[str, list[int]]]:
    """The sentences that the passages bear out, and the numbers of the passages of each."""
    sieve = Sieve(Source("\n\n".join(texts)), MOST_SENTENCES)
    sources = [Source(text) for text in texts]
    said = _LATE.sub(r"\2\1", said)
    spans, found = sentences(said), []
    for place, (start, end) in enumerate(spans, 1):
        sentence = said[start:end]
        num_kept = len(sieve.kept)
        sieve.hear(_CITED.sub("", sentence))
        sieve.close(is_whole=is_whole or place < len(spans))
        if len(sieve.kept) > num_kept:
            found.append((sieve.kept[-1], _numbers(sieve.kept[-1], _cited(sentence), sources)))
    return found


def _cited(sentence: str) -> list[int]:
    return [int(one) for mark in _CITED.findall(sentence) for one in re.findall(r"\d+", mark)]


def _numbers(sentence: str, cited: Sequence[int], sources: Sequence[Source]) -> list[int]:
    """Of the passages that a sentence cites, those that it can rest on; else the likeliest."""
    shares = {number: source.share(sentence) for number, source in enumerate(sources, 1)}
    right = [one for one in dict.fromkeys(cited) if shares.get(one, 0.0) >= LEAST_SHARE]
    return right or [max(shares, key=lambda one: shares[one])]


async def _answer(
    model: Model, kept: Sequence[tuple[str, list[int]]], hits: Sequence[Hit]
) -> Answer:
    """The sentences with their marks; each passage is cited by what is nearest to the first
    sentence that rests on it."""
    pairs = [(place, number) for place, (_, numbers) in enumerate(kept) for number in numbers]
    quotes = _quotes(hits, {number for _, number in pairs})
    near = await _likeness(model, [sentence for sentence, _ in kept], quotes)
    cited: dict[int, Cited] = {}
    for place, number in pairs:
        own = [at for at, quote in enumerate(quotes) if quote.number == number]
        cited.setdefault(number, quotes[max(own, key=near[place].__getitem__)])
    text = " ".join(_marked(sentence, numbers) for sentence, numbers in kept)
    return Answer(text, "model", tuple(cited.values()))


async def _quotation(model: Model, question: str, hits: Sequence[Hit]) -> Answer:
    """The sentence of the passages that is nearest to the question."""
    quotes = _quotes(hits, range(1, len(hits) + 1))
    (near,) = await _likeness(model, [question], quotes)
    best = quotes[max(range(len(quotes)), key=near.__getitem__)]
    return Answer(_marked(" ".join(best.quote.split()), [best.number]), "quote", (best,))


def _quotes(hits: Sequence[Hit], numbers: Container[int]) -> list[Cited]:
    """What can be cited of these passages: their sentences; of one without, its beginning."""
    return [
        Cited(number, hit.document, hit.start + start, hit.start + end, hit.text[start:end])
        for number, hit in enumerate(hits, 1)
        if number in numbers
        for start, end in _sentences(hit.text)
    ]


def _sentences(text: str) -> list[Span]:
    found = [
        span
        for span in sentences(text)
        if span.end - span.start >= LEAST_CHARACTERS and text[span.start] != "#"
    ]
    return found[:MOST_QUOTES] or [snippet(text, "")]


async def _likeness(
    model: Model, said: Sequence[str], quotes: Sequence[Cited]
) -> list[list[float]]:
    """The cosine of each sentence with each quote."""
    vectors = await model.embed([*said, *(one.quote for one in quotes)])
    return [
        [sum(map(operator.mul, one, other)) for other in vectors[len(said) :]]
        for one in vectors[: len(said)]
    ]


def _marked(sentence: str, numbers: Sequence[int]) -> str:
    marks = "".join(f"[{number}]" for number in numbers)
    end = _END.search(sentence)
    assert end is not None
    return f"{sentence[: end.start()]} {marks}{end.group()}"
