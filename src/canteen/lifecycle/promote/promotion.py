"""Promoting a model to a name when its gate holds, and not otherwise."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from canteen.core.errors import EngineError, InvalidRequest
from canteen.core.model import ModelCard, Progress, full_name
from canteen.lifecycle.promote import records
from canteen.lifecycle.promote.gate import (
    PERPLEXITY,
    Condition,
    Figure,
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
# Items that may get no answer: some metrics are of the answers alone.
MOST_FAILED = 0.01

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
    One that holds is loaded before anything moves. Raises InvalidRequest, Overloaded or
    EngineError, with nothing moved.
    """
    conditions = parse(wish.gate)
    candidate, before = ports.get(wish.candidate), ports.find(full_name(wish.name))
    _check(wish, conditions, candidate, before)
    _check_comparable(ports, conditions, candidate, before)
    await asyncio.to_thread(ports.check, conditions, candidate)
    record = _begun(wish, candidate, before, clock())
    # A damaged one is told before the work, which is in vain then.
    await asyncio.to_thread(records.load, ports.home, record.name)
    verdicts, runs = await _judged(ports, wish, (candidate, before), tell)
    record = replace(record, verdicts=verdicts, runs=runs)
    holds = all(one.holds for one in verdicts)
    if holds:
        await ports.load(candidate)
    if wish.is_trial:
        return record
    if not holds:
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
    questions = sorted(dict.fromkeys(one.question for one in conditions), key=_effort)
    verdicts: dict[Condition, Verdict] = {}
    runs: list[str] = []
    for place, question in enumerate(questions):
        asking = [one for one in conditions if one.question == question]
        tell(Progress(question.data or "recorded figures", "", place, len(questions)))
        is_compared = question == _NOTHING or any(one.is_relative for one in asking)
        candidate, before = models
        current = await _measured(ports, before, question) if before and is_compared else None
        mine = await _measured(ports, candidate, question)
        # At once, so that what is not known is told before the next question is put.
        verdicts |= {one: _verdict(one, mine, current, wish) for one in asking}
        runs += [one.run for one in (mine, current) if one is not None and one.run]
    return tuple(verdicts[one] for one in conditions), tuple(runs)


def _effort(question: Question) -> tuple[bool, bool]:
    """What is known comes first, and what takes longest last."""
    return question != _NOTHING, not question.is_perplexity


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
    _check_numbers(condition, mine, wish.candidate)
    _check_numbers(condition, other, wish.name)
    verdict = judge(condition, mine, other, is_sure=wish.is_sure)
    asked = [candidate, current] if current and condition.is_relative else [candidate]
    return replace(
        verdict,
        holds=verdict.holds and not any(map(_is_incomplete, asked)),
        num_items=sum(one.num_items for one in asked),
        num_failed=sum(one.num_failed for one in asked),
    )


def _is_incomplete(measured: Measured) -> bool:
    return measured.num_failed > MOST_FAILED * measured.num_items


def _check_numbers(condition: Condition, figure: Figure | None, model: str) -> None:
    if figure and not all(map(math.isfinite, (figure.value, figure.low, figure.high))):
        raise EngineError(
            f"'{condition.metric}' of '{model}' is no number, so '{condition.text}' cannot be "
            "judged; leave it out of the gate",
            code="no_number",
        )


def _unknown(condition: Condition, model: str) -> InvalidRequest:
    return InvalidRequest(
        f"nothing is known of '{condition.metric}' of '{model}', so '{condition.text}' cannot "
        "be judged; leave it out of the gate",
        param="gate",
    )


def _begun(wish: Wish, candidate: ModelCard, before: ModelCard | None, now_s: float) -> Promotion:
    record = begun(full_name(wish.name), candidate, before, now_s)
    return replace(record, by=wish.by, gate=wish.gate, is_sure=wish.is_sure)
