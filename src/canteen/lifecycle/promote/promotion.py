"""Promoting a model to a name when its gate holds, and not otherwise."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from canteen.core.errors import InvalidRequest
from canteen.core.model import ModelCard, Progress, full_name
from canteen.lifecycle.promote import records
from canteen.lifecycle.promote.gate import (
    PERPLEXITY,
    Condition,
    Question,
    Verdict,
    exact,
    judge,
    parse,
)
from canteen.lifecycle.promote.moving import begun, is_same, moved
from canteen.lifecycle.promote.ports import Measured, Ports
from canteen.lifecycle.promote.records import Promotion

# Where the record of the preparation has what a gate can ask for.
_RECORDED = {"perplexity": "perplexity_after", "decode_tokens_per_s": "decode_tokens_per_s"}
_NOTHING = Question("")

Tell = Callable[[Progress], object]


@dataclass(frozen=True, slots=True)
class Wish:
    """Which model is to be called what, if the gate holds, and who says so. `is_sure`: the whole
    interval must hold; `is_trial`: say what would be done."""

    candidate: str
    name: str
    gate: str
    by: str = ""
    is_sure: bool = False
    is_trial: bool = False


async def promote(
    ports: Ports, wish: Wish, tell: Tell, clock: Callable[[], float] = time.time
) -> Promotion:
    """Measure the candidate, and let the name hold it if all conditions hold.

    What happened is kept, and returned: its state is promoted, refused or (of a trial) tried.
    Raises InvalidRequest, Overloaded or EngineError, with nothing moved.
    """
    conditions = parse(wish.gate)
    candidate, before = ports.get(wish.candidate), ports.find(full_name(wish.name))
    _check(wish, conditions, candidate, before)
    _check_comparable(ports, conditions, candidate, before)
    await asyncio.to_thread(ports.check, conditions)
    record = _begun(wish, candidate, before, clock())
    verdicts, runs = await _judged(ports, wish, (candidate, before), tell)
    record = replace(record, verdicts=verdicts, runs=runs)
    if wish.is_trial:
        return record
    if not all(one.holds for one in verdicts):
        record = replace(record, state="refused")
        records.save(record, ports.home)
        return record
    if ports.get(wish.candidate) != candidate:
        raise InvalidRequest(
            f"'{wish.candidate}' was changed while it was evaluated, and nothing was moved; "
            "promote it again",
            param="candidate",
        )
    return await asyncio.to_thread(moved, ports, record, candidate, before)


def _check(
    wish: Wish, conditions: Sequence[Condition], candidate: ModelCard, before: ModelCard | None
) -> None:
    if before is None:
        for one in conditions:
            if one.is_relative:
                judge(one, exact(0), None)
        return
    if is_same(candidate, before):
        raise InvalidRequest(
            f"'{before.name}' is {candidate.name} already; there is nothing to promote",
            param="candidate",
        )
    if candidate.kind != before.kind:
        raise InvalidRequest(
            f"'{before.name}' is a model that is {_does(before)}, and '{candidate.name}' is one "
            f"that is {_does(candidate)}; give it a name of its own",
            param="name",
        )


def _does(card: ModelCard) -> str:
    return "asked to write" if card.kind == "generator" else "asked to embed"


def _check_comparable(
    ports: Ports, conditions: Sequence[Condition], candidate: ModelCard, before: ModelCard | None
) -> None:
    compares = any(one.is_relative and one.metric == PERPLEXITY for one in conditions)
    if before is not None and compares and not ports.is_comparable(candidate, before):
        raise InvalidRequest(
            f"the perplexities of '{candidate.name}' and '{before.name}' are of other tokens, "
            "since their tokenizers differ, and cannot be compared; give a bound without x, or "
            "another metric",
            param="gate",
        )


async def _judged(
    ports: Ports, wish: Wish, models: tuple[ModelCard, ModelCard | None], tell: Tell
) -> tuple[tuple[Verdict, ...], tuple[str, ...]]:
    """The verdicts in the gate's order, and the runs that they rest on.

    What the name holds now answers a data set only where a condition compares with it.
    """
    conditions = parse(wish.gate)
    candidate, before = models
    questions = list(dict.fromkeys(one.question for one in conditions))
    found: dict[Question, tuple[Measured, Measured | None]] = {}
    for place, question in enumerate(questions):
        asking = [one for one in conditions if one.question == question]
        tell(Progress(question.data or "recorded figures", "", place, len(questions)))
        current = None
        if before is not None and (question == _NOTHING or any(one.is_relative for one in asking)):
            current = await _measured(ports, before, question)
        found[question] = (await _measured(ports, candidate, question), current)
    verdicts = tuple(_verdict(one, *found[one.question], wish) for one in conditions)
    both = [one for pair in found.values() for one in pair if one is not None]
    return verdicts, tuple(one.run for one in both if one.run)


async def _measured(ports: Ports, card: ModelCard, question: Question) -> Measured:
    if question != _NOTHING:
        return await ports.measure(card, question)
    told = {name: card.quality.get(key) for name, key in _RECORDED.items()}
    told["bytes"] = card.quality.get("bytes_after") or card.size_bytes or None
    return Measured({name: exact(float(one)) for name, one in told.items() if one is not None})


def _verdict(
    condition: Condition, candidate: Measured, current: Measured | None, wish: Wish
) -> Verdict:
    mine = candidate.figures.get(condition.metric)
    other = current.figures.get(condition.metric) if current else None
    if mine is None:
        raise _unknown(condition, wish.candidate)
    if condition.is_relative and other is None:
        raise _unknown(condition, wish.name)
    return judge(condition, mine, other, is_sure=wish.is_sure)


def _unknown(condition: Condition, model: str) -> InvalidRequest:
    return InvalidRequest(
        f"nothing is known of '{condition.metric}' of '{model}', so '{condition.text}' cannot "
        "be judged; leave it out of the gate",
        param="gate",
    )


def _begun(wish: Wish, candidate: ModelCard, before: ModelCard | None, now_s: float) -> Promotion:
    record = begun(full_name(wish.name), candidate, before, now_s)
    return replace(record, by=wish.by, gate=wish.gate, is_sure=wish.is_sure)
