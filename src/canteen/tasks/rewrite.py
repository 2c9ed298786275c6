"""Rewriting: the same said otherwise, with all in it that must stay as it is."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from canteen.core.asking import asked, check
from canteen.core.errors import CanteenError, InvalidRequest
from canteen.tasks.batch import each
from canteen.tasks.inputs import checked
from canteen.tasks.model import Model
from canteen.tasks.preserving import KINDS, Kept, Kind, lost
from canteen.tasks.rewording import (
    CORRECTING,
    PROMPT,
    TRANSLATING,
    Reworded,
    Wish,
    reworded,
)
from canteen.tasks.units import units
from canteen.tasks.words import Change, diff, joined

__all__ = ["PROMPT", "RewriteRequest", "Rewritten", "rewrite", "told"]

TRANSLATED_KINDS: tuple[Kind, ...] = ("numbers", "placeholders", "code")
MOST_OPTION_CHARACTERS = 2_000
# Units of one text that are written at once; several texts may be at work beside it.
MOST_UNITS = 8


@dataclass(frozen=True, slots=True)
class RewriteRequest:
    """A text, and how it is to be rewritten."""

    text: str
    instruction: str | None = asked("What is to be done, in words.")
    tone: str | None = asked("The tone, as formal, friendly or neutral.")
    reading_level: str | None = asked("Who is to understand it, as a child or an expert.")
    grammar_only: bool = asked("Correct grammar and spelling, and change nothing else.", False)
    translate: str | None = asked("The language to translate into.")
    preserve: tuple[Kind, ...] = asked(
        f"What must stay as it is, of {', '.join(KINDS)}; if nothing is said, all of it, and in "
        f"translations {', '.join(TRANSLATED_KINDS)}.",
        (),
    )

    def __post_init__(self) -> None:
        check(self)
        ways = (self.instruction, self.tone, self.reading_level, self.translate)
        for name in ("instruction", "tone", "reading_level", "translate"):
            _check_option(name, getattr(self, name))
        if self.grammar_only and any(ways):
            raise InvalidRequest("grammar_only goes with no other way", param="grammar_only")
        if not self.grammar_only and not any(ways):
            raise InvalidRequest(
                "say how: by instruction, tone, reading_level, grammar_only or translate",
                param="instruction",
            )
        unknown = [one for one in self.preserve if one not in KINDS]
        if unknown:
            raise InvalidRequest(
                f"preserve must be of {', '.join(KINDS)}, not '{unknown[0]}'", param="preserve"
            )

    @property
    def prompt_version(self) -> str:
        """The prompt that most is asked with."""
        if self.grammar_only:
            return CORRECTING.id
        return TRANSLATING.id if self.translate else PROMPT.id

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What must stay. Names and quotes may have other forms in another language."""
        return self.preserve or (TRANSLATED_KINDS if self.translate else KINDS)

    @property
    def wish(self) -> Wish:
        """How one unit is to be rewritten."""
        return Wish(
            self.instruction,
            self.tone,
            self.reading_level,
            self.translate,
            self.grammar_only,
            self.kinds,
        )


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The text, how it differs word by word, and what of the source was to be kept and is `lost`.
    `warnings` tell which sentences were left as they were, and why."""

    text: str
    diff: tuple[Change, ...]
    lost: tuple[Kept, ...] = ()
    warnings: tuple[str, ...] = ()


def _check_option(name: str, value: str | None) -> None:
    if value is None:
        return
    if not value.strip():
        raise InvalidRequest(f"{name} is empty; leave it out", param=name)
    if len(value) > MOST_OPTION_CHARACTERS:
        raise InvalidRequest(
            f"{name} must have at most {MOST_OPTION_CHARACTERS} characters", param=name
        )


async def rewrite(model: Model, request: RewriteRequest) -> Rewritten:
    """Rewrite a text, unit by unit; raises InvalidRequest."""
    source = checked(request.text)
    pieces, changes = list[str](), list[Change]()
    missing, faults, extra = list[Kept](), Counter[str](), dict[str, None]()
    async with aclosing(_parts(model, request.wish, source)) as parts:
        async for start, before, part in parts:
            pieces.append(part.text)
            model.on_text(part.text)
            if before == part.text:
                changes.append(Change("equal", before, before))
            else:
                changes += diff(before, part.text)
                missing += _moved(lost(before, part.text, request.kinds), start)
            faults.update(part.faults)
            extra.update(dict.fromkeys(part.added))
    warnings = [f"{_sentences(count)} as before: {fault}" for fault, count in faults.items()]
    if extra:
        warnings.append(f"the model added what the text does not have: {', '.join(extra)}")
    return Rewritten("".join(pieces), tuple(joined(changes)), tuple(missing), tuple(warnings))


async def _parts(
    model: Model, wish: Wish, source: str
) -> AsyncGenerator[tuple[int, str, Reworded]]:
    """All parts of the source, in order: where each begins, what it was, and what it became."""
    spans = await asyncio.to_thread(lambda: list(units(source)))
    texts = (source[start:end] for start, end in spans)
    at = 0
    async with aclosing(each(texts, partial(reworded, model, wish), MOST_UNITS)) as outcomes:
        for start, end in spans:
            outcome = await anext(outcomes)
            if isinstance(outcome, CanteenError):
                raise outcome
            if at < start:
                yield at, source[at:start], Reworded(source[at:start])
            yield start, source[start:end], outcome
            at = end
    if at < len(source):
        yield at, source[at:], Reworded(source[at:])


def _moved(missing: Iterable[Kept], by: int) -> list[Kept]:
    return [Kept(one.kind, one.text, one.start + by, one.end + by) for one in missing]


def _sentences(count: int) -> str:
    return "1 sentence is" if count == 1 else f"{count} sentences are"


def told(result: Rewritten) -> str:
    """The text, and what to know about it."""
    notes = [f"note: lost of {one.kind}: {one.text}" for one in result.lost]
    notes += [f"note: {one}" for one in result.warnings]
    return "\n".join([result.text, *notes])
