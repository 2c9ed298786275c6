"""Answers to a question from the passages that were found: what these bear out, with citations."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from canteen.core.generation import SamplingParams
from canteen.tasks.facts import Source
from canteen.tasks.model import Model
from canteen.tasks.search import Hit, snippet
from canteen.tasks.sentences import sentences
from canteen.tasks.sieve import LEAST_SHARE, Sieve
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
    return _answer(kept, shown) if kept else _quotation(question, shown[0])


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


def _answer(kept: Sequence[tuple[str, list[int]]], hits: Sequence[Hit]) -> Answer:
    citations: dict[int, Cited] = {}
    for sentence, numbers in kept:
        for number in numbers:
            citations.setdefault(number, _cite(number, hits[number - 1], sentence))
    text = " ".join(_marked(sentence, numbers) for sentence, numbers in kept)
    return Answer(text, "model", tuple(citations.values()))


def _quotation(question: str, hit: Hit) -> Answer:
    cited = _cite(1, hit, question)
    return Answer(_marked(" ".join(cited.quote.split()), [1]), "quote", (cited,))


def _cite(number: int, hit: Hit, sentence: str) -> Cited:
    start, end = hit.snippet(sentence)
    quote = hit.text[start - hit.start : end - hit.start]
    return Cited(number, hit.document, start, end, quote)


def _marked(sentence: str, numbers: Sequence[int]) -> str:
    marks = "".join(f"[{number}]" for number in numbers)
    end = _END.search(sentence)
    assert end is not None
    return f"{sentence[: end.start()]} {marks}{end.group()}"
