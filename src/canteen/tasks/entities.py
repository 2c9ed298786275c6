"""Entities of the caller's types: names typed by their embeddings, or lists that a model writes.

On tweets and on filled templates, asked for people, places and organizations, names typed by the
default embedder came out well ahead of lists from a language model of 135 M parameters, and of
labels scored by it, in a small part of the time. A larger model may turn that round.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from canteen.core.generation import Grammar
from canteen.tasks.grounding import Source
from canteen.tasks.model import GREEDY, Model
from canteen.tasks.names import names
from canteen.tasks.sentences import Span
from canteen.tasks.template import Template
from canteen.tasks.windows import read

LISTS = Template(
    "extract",
    1,
    system="You find things in a text. Copy each letter by letter; leave out what is not there.\n"
    "{% for name, about in types.items() %}\n{{ name }}{% if about %}: {{ about }}{% endif %}\n"
    "{% endfor %}",
    user="Text: {{ text }}",
)
MOST_OF_A_TYPE = 24
MOST_CHARACTERS = 120
MOST_TOKENS = 1_500
# What a name may be when it is of none of the caller's types: a word, or one of these, less
# those that mean nearly the same as a type of the caller's.
WORDS = (
    "a common word",
    "an action or a feeling",
    "a job title",
    "a greeting",
    "a day or a date",
)
OTHERS = (
    "person: names of people",
    "place: cities, countries and addresses",
    "organization: companies and institutions",
    "product: things that are sold",
    "work: titles of books, films and songs",
    "event: festivals, wars and games",
)
SAME = 0.55
# By how much a type must be nearer than common words are on average.
MARGIN = 0.03
_ABOUT = {
    "person": "names of people",
    "people": "names of people",
    "location": "cities, countries and other places",
    "place": "cities, countries and other places",
    "organization": "companies and other organizations",
    "organisation": "companies and other organizations",
    "company": "companies and other organizations",
}
_EMBEDDED_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Claim:
    """A quote said to be of a type, and where it stands; None where it does not."""

    type: str
    quote: str
    span: Span | None


async def entities(
    model: Model, text: str, types: Mapping[str, str], method: str
) -> tuple[list[Claim], list[Span]]:
    """What is said to be of the types, and the parts of the text that nothing valid came of."""
    if method == "embedding":
        return await typed_names(model, text, types), []

    async def lists(window: Span) -> list[Claim]:
        return await written_lists(model, text, window, types)

    of_windows, unread = await read(model, text, lists)
    return [claim for claims in of_windows for claim in claims], unread


async def typed_names(model: Model, text: str, types: Mapping[str, str]) -> list[Claim]:
    """The names in a text that are nearer to a type than to common words and to other types."""
    spans = await asyncio.to_thread(lambda: list(names(text)))
    quotes = list(dict.fromkeys(text[span.start : span.end] for span in spans))
    if not quotes:
        return []
    type_of = dict(zip(quotes, await _types_of(model, quotes, types), strict=True))
    claims = []
    for span in spans:
        quote = text[span.start : span.end]
        if found := type_of[quote]:
            claims.append(Claim(found, quote, span))
    return claims


async def _types_of(
    model: Model, quotes: Sequence[str], types: Mapping[str, str]
) -> list[str | None]:
    import numpy as np

    asked = [_described(name, about) for name, about in types.items()]
    # All texts of a batch are compared with the same.
    key = ("extract", *asked)
    fixed = np.array(await model.once(key, lambda: model.embed((*asked, *WORDS, *OTHERS))))
    wanted, words, others = np.split(fixed, [len(asked), len(asked) + len(WORDS)])
    others = others[(others @ wanted.T).max(axis=1) < SAME]
    found: list[str | None] = []
    for place in range(0, len(quotes), _EMBEDDED_AT_ONCE):
        vectors = np.array(await model.embed(quotes[place : place + _EMBEDDED_AT_ONCE]))
        near = vectors @ wanted.T
        least = (vectors @ words.T).mean(axis=1) + MARGIN
        if len(others):
            least = np.maximum(least, (vectors @ others.T).max(axis=1))
        best = near.argmax(axis=1)
        found += [
            tuple(types)[at] if row[at] > bar else None
            for row, at, bar in zip(near, best, least, strict=True)
        ]
    return found


def _described(name: str, about: str) -> str:
    about = about or _ABOUT.get(name.lower(), "")
    return f"{name}: {about}" if about else name


async def written_lists(
    model: Model, text: str, window: Span, types: Mapping[str, str]
) -> list[Claim]:
    """What a language model lists of each type, at all its places in the window."""
    one_type = {
        "type": "array",
        "maxItems": MOST_OF_A_TYPE,
        "items": {"type": "string", "minLength": 1, "maxLength": MOST_CHARACTERS},
    }
    schema = {
        "type": "object",
        "properties": dict.fromkeys(types, one_type),
        "required": list(types),
        "additionalProperties": False,
    }
    completion = await model.write(
        LISTS.messages(types=types, text=text[window.start : window.end]),
        replace(GREEDY, max_tokens=MOST_TOKENS),
        Grammar("json_schema", json.dumps(schema)),
    )
    return list(_claims(json.loads(completion.text), Source(text, *window)))


def _claims(lists: Mapping[str, Any], source: Source) -> Iterator[Claim]:
    for name, quotes in lists.items():
        for quote in dict.fromkeys(quotes):
            places = source.places(quote)
            for span in places:
                yield Claim(name, source.text[span.start : span.end], span)
            if not places:
                yield Claim(name, quote, None)
