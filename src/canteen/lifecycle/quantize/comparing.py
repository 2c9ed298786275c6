"""Formats of one model measured beside each other, and the smallest recommended that will do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Protocol

from canteen.core.errors import ModelUnsuitable
from canteen.core.footprint import Charge
from canteen.core.model import ModelCard
from canteen.lifecycle.evaluate import runs
from canteen.lifecycle.evaluate.runs import Run
from canteen.lifecycle.evaluate.statistics import Interval
from canteen.lifecycle.quantize.formats import Format

# Hears what is being done.
Tell = Callable[[str], object]
_METRIC = "accuracy"


@dataclass(frozen=True, slots=True)
class Sample:
    """One request that was timed: tokens a second read and written, and its part of the meter."""

    prefill_tokens_per_s: float
    decode_tokens_per_s: float
    written_tokens: int
    charge: Charge


class Bench(Protocol):
    """Whoever makes formats and runs them. All of it may raise a CanteenError."""

    async def prepare(self, form: Format) -> ModelCard:
        """The model in a format; what is made for this alone is forgotten later."""

    async def load_bytes(self, card: ModelCard) -> int:
        """Resident memory of the worker's process, just after loading."""

    async def sample(self, card: ModelCard, number: int) -> Sample:
        """One timed request, with a prompt that depends on the number alone."""

    def joules(self, charge: Charge) -> Interval:
        """The energy of a charge."""

    async def evaluate(self, card: ModelCard) -> Run:
        """The task's answers judged."""


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of a format. `loss` is how much more perplexity it has than the float
    model, as a share; `accuracy_change` is against the format of least perplexity."""

    format: str
    label: str
    disk_bytes: int
    load_bytes: int
    prefill_tokens_per_s: float
    decode_tokens_per_s: float
    perplexity: float
    loss: float
    joules_per_1000_tokens: Interval
    accuracy: Interval | None = None
    accuracy_change: Interval | None = None

    def is_within(self, max_loss: float) -> bool:
        """Whether it will do: by perplexity, and where it was asked, not surely worse at the
        task."""
        is_worse = self.accuracy_change is not None and self.accuracy_change.high < 0
        return self.loss <= max_loss and not is_worse


@dataclass(frozen=True, slots=True)
class Tradeoff:
    """All rows, in the order asked for, and the format that is recommended; empty where none
    stays within `max_loss`. `task` names the data set that accuracies are of."""

    model: str
    float_perplexity: float
    max_loss: float
    rows: tuple[Row, ...]
    task: str = ""
    num_examples: int = 0
    recommended: str = field(init=False)

    def __post_init__(self) -> None:
        fitting = [row for row in self.rows if row.is_within(self.max_loss)]
        best = min(fitting, key=lambda row: row.disk_bytes, default=None)
        object.__setattr__(self, "recommended", "" if best is None else best.format)

    @property
    def verdict(self) -> str:
        """The recommendation, in a sentence."""
        if not self.recommended:
            return (
                f"No format stays within {self.max_loss:.1%} of the float model's perplexity; "
                "allow more with --max-loss, or keep int8."
            )
        row = next(one for one in self.rows if one.format == self.recommended)
        return (
            f"{row.format} is the smallest that stays within {self.max_loss:.1%} of the float "
            f"model's perplexity: {row.loss:+.1%}."
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What to compare; `rounds` requests are timed of each format, in turn, and where a task is
    judged, it is by the bench's."""

    model: str
    forms: Sequence[Format]
    max_loss: float
    rounds: int = 5
    has_task: bool = False


async def compare(plan: Plan, bench: Bench, tell: Tell) -> Tradeoff:
    """Measure each format. Raises ModelUnsuitable where no perplexity of the floats is known."""
    cards: dict[str, ModelCard] = {}
    for form in plan.forms:
        tell(f"preparing {form.name}")
        cards[form.name] = await bench.prepare(form)
    before = _float_perplexity(cards)
    loaded: dict[str, int] = {}
    for name, card in cards.items():
        tell(f"loading {name}")
        loaded[name] = await bench.load_bytes(card)
    samples = await _samples(plan, cards, bench, tell)
    judged = await _judged(cards, bench, tell) if plan.has_task else {}
    best = min(cards, key=lambda name: _perplexity(cards[name]))
    rows = tuple(
        _row(
            form,
            cards[form.name],
            before,
            _Measured(
                loaded[form.name],
                samples[form.name],
                bench.joules(_charged(samples[form.name])),
                judged.get(form.name),
                judged.get(best) if form.name != best else None,
            ),
        )
        for form in plan.forms
    )
    run = judged.get(best)
    task, count = ("", 0) if run is None else (run.dataset, run.num_items)
    return Tradeoff(plan.model, before, plan.max_loss, rows, task, count)


async def _judged(cards: Mapping[str, ModelCard], bench: Bench, tell: Tell) -> Mapping[str, Run]:
    judged = {}
    for name, card in cards.items():
        tell(f"evaluating {name}")
        judged[name] = await bench.evaluate(card)
    return judged


@dataclass(frozen=True, slots=True)
class _Measured:
    load_bytes: int
    samples: Sequence[Sample]
    joules: Interval
    run: Run | None
    best: Run | None


def _row(form: Format, card: ModelCard, before: float, measured: _Measured) -> Row:
    timed, joules = measured.samples, measured.joules
    thousands = sum(one.written_tokens for one in timed) / 1000
    return Row(
        format=form.name,
        label=form.label,
        disk_bytes=card.size_bytes,
        load_bytes=measured.load_bytes,
        prefill_tokens_per_s=median(one.prefill_tokens_per_s for one in timed),
        decode_tokens_per_s=median(one.decode_tokens_per_s for one in timed),
        perplexity=_perplexity(card),
        loss=_perplexity(card) / before - 1,
        joules_per_1000_tokens=Interval(
            joules.value / thousands, joules.low / thousands, joules.high / thousands
        ),
        accuracy=measured.run.metrics[_METRIC] if measured.run else None,
        accuracy_change=_change(measured.run, measured.best),
    )


async def _samples(
    plan: Plan, cards: Mapping[str, ModelCard], bench: Bench, tell: Tell
) -> Mapping[str, Sequence[Sample]]:
    """The formats take turns, so that what else the machine does meets all alike."""
    timed: dict[str, list[Sample]] = {name: [] for name in cards}
    for number in range(plan.rounds + 1):
        tell(f"measuring speed, round {number} of {plan.rounds}")
        for name, card in cards.items():
            sample = await bench.sample(card, number)
            # The first one warms up.
            if number:
                timed[name].append(sample)
    return timed


def _charged(samples: Sequence[Sample]) -> Charge:
    return sum((one.charge for one in samples), Charge())


def _change(run: Run | None, best: Run | None) -> Interval | None:
    if run is None or best is None:
        return None
    found = {one.metric: one.difference for one in runs.compare(run, best)}
    return found[_METRIC]


def _perplexity(card: ModelCard) -> float:
    return float(card.quality["perplexity_after"])


def _float_perplexity(cards: Mapping[str, ModelCard]) -> float:
    for card in cards.values():
        if "perplexity_before" in card.quality:
            return float(card.quality["perplexity_before"])
    raise ModelUnsuitable(
        "the float model's perplexity is not known; formats are compared of a model that "
        "generates and came as a GGUF file"
    )
