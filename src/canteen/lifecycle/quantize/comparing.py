"""Formats of one model measured beside each other, and the smallest recommended that will do."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Protocol

from canteen.core.errors import CanteenError, EngineError, ModelUnsuitable
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
        """One timed request, with a prompt that depends on the number alone, of a model that has
        answered before since it was loaded."""

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
class Failed:
    """A format that could not be made of this model or loaded, and why."""

    format: str
    why: str


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
    failed: tuple[Failed, ...] = ()
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


@dataclass(frozen=True, slots=True)
class _Made:
    form: Format
    card: ModelCard
    load_bytes: int

    @property
    def perplexity(self) -> float:
        return float(self.card.quality["perplexity_after"])


async def compare(plan: Plan, bench: Bench, tell: Tell) -> Tradeoff:
    """Measure each format; one that cannot be made or loaded is left out.

    Raises why, where that is so of all; ModelUnsuitable where no perplexity of the floats is
    known.
    """
    made, errors = await _made(plan, bench, tell)
    before = _float_perplexity(made)
    samples = await _samples(plan, made, bench, tell)
    judged = await _judged(made, bench, tell) if plan.has_task else {}
    best = judged.get(min(made, key=lambda one: one.perplexity).form.name)
    rows = tuple(
        _row(
            one,
            before,
            samples[one.form.name],
            bench.joules(_charged(samples[one.form.name])),
            _Judged(judged.get(one.form.name), best),
        )
        for one in made
    )
    return Tradeoff(
        plan.model,
        before,
        plan.max_loss,
        rows,
        best.dataset if best else "",
        best.num_items if best else 0,
        tuple(Failed(name, error.message) for name, error in errors.items()),
    )


async def _made(
    plan: Plan, bench: Bench, tell: Tell
) -> tuple[Sequence[_Made], Mapping[str, CanteenError]]:
    """What could be made and loaded, and what went wrong with the others by format."""
    made: list[_Made] = []
    errors: dict[str, CanteenError] = {}
    for form in plan.forms:
        try:
            tell(f"preparing {form.name}")
            card = await bench.prepare(form)
            tell(f"loading {form.name}")
            made.append(_Made(form, card, await bench.load_bytes(card)))
        except (ModelUnsuitable, EngineError) as error:
            tell(f"{form.name} is left out: {error.message}")
            errors[form.name] = error
    if not made:
        raise next(iter(errors.values()))
    return made, errors


async def _judged(made: Iterable[_Made], bench: Bench, tell: Tell) -> Mapping[str, Run]:
    judged = {}
    for one in made:
        tell(f"evaluating {one.form.name}")
        judged[one.form.name] = await bench.evaluate(one.card)
    return judged


@dataclass(frozen=True, slots=True)
class _Judged:
    run: Run | None
    best: Run | None


def _row(
    made: _Made, before: float, timed: Sequence[Sample], joules: Interval, judged: _Judged
) -> Row:
    thousands = sum(one.written_tokens for one in timed) / 1000
    return Row(
        format=made.form.name,
        label=made.form.label,
        disk_bytes=made.card.size_bytes,
        load_bytes=made.load_bytes,
        prefill_tokens_per_s=median(one.prefill_tokens_per_s for one in timed),
        decode_tokens_per_s=median(one.decode_tokens_per_s for one in timed),
        perplexity=made.perplexity,
        loss=made.perplexity / before - 1,
        joules_per_1000_tokens=Interval(
            joules.value / thousands, joules.low / thousands, joules.high / thousands
        ),
        accuracy=judged.run.metrics[_METRIC] if judged.run else None,
        accuracy_change=_change(judged.run, judged.best),
    )


async def _samples(
    plan: Plan, made: Iterable[_Made], bench: Bench, tell: Tell
) -> Mapping[str, Sequence[Sample]]:
    """The formats take turns, so that what else the machine does meets all alike."""
    timed: dict[str, list[Sample]] = {one.form.name: [] for one in made}
    for number in range(1, plan.rounds + 1):
        tell(f"measuring speed, round {number} of {plan.rounds}")
        for one in made:
            timed[one.form.name].append(await bench.sample(one.card, number))
    return timed


def _charged(samples: Sequence[Sample]) -> Charge:
    return sum((one.charge for one in samples), Charge())


def _change(run: Run | None, best: Run | None) -> Interval | None:
    if run is None or best is None or run is best:
        return None
    found = {one.metric: one.difference for one in runs.compare(run, best)}
    return found[_METRIC]


def _float_perplexity(made: Iterable[_Made]) -> float:
    for one in made:
        if "perplexity_before" in one.card.quality:
            return float(one.card.quality["perplexity_before"])
    raise ModelUnsuitable(
        "the float model's perplexity is not known; formats are compared of a model that "
        "generates and came as a GGUF file"
    )
