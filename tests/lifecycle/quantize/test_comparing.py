"""What is made of a bench's figures, which format is recommended, and how it is told."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from canteen.core.errors import CanteenError, EngineError, InvalidRequest, ModelUnsuitable
from canteen.core.footprint import Charge
from canteen.core.model import ModelCard
from canteen.lifecycle.evaluate import evaluation
from canteen.lifecycle.evaluate.examples import Classified, Dataset, Outcome, Prediction
from canteen.lifecycle.evaluate.runs import Run, Subject
from canteen.lifecycle.evaluate.statistics import Interval
from canteen.lifecycle.quantize import telling
from canteen.lifecycle.quantize.comparing import Plan, Row, Sample, Tradeoff, compare
from canteen.lifecycle.quantize.formats import FORMATS, Format

INT8 = Row("int8", "int8", 140_000_000, 181_000_000, 2000.0, 120.0, 20.2, 0.01, Interval(9, 5, 14))
INT4 = replace(INT8, format="int4", disk_bytes=90_000_000, perplexity=25.0, loss=0.25)
SURE_TO_BE_WORSE, PERHAPS_WORSE = Interval(-0.1, -0.2, -0.01), Interval(-0.1, -0.2, 0.01)


def tradeoff(*rows: Row, max_loss: float = 0.015) -> Tradeoff:
    return Tradeoff("smollm2:135m", 20.0, max_loss, rows)


def test_the_smallest_within_the_loss_is_recommended() -> None:
    assert tradeoff(INT8, INT4).recommended == "int8"
    assert tradeoff(INT8, INT4, max_loss=0.3).recommended == "int4"


def test_what_is_surely_worse_at_the_task_is_not_recommended() -> None:
    worse = replace(INT4, loss=0.0, accuracy_change=SURE_TO_BE_WORSE)
    alike = replace(INT4, loss=0.0, accuracy_change=PERHAPS_WORSE)

    assert tradeoff(INT8, worse).recommended == "int8"
    assert tradeoff(INT8, alike).recommended == "int4"


def test_nothing_is_recommended_where_every_format_loses_too_much() -> None:
    told = tradeoff(INT4)

    assert told.recommended == ""
    assert "--max-loss" in told.verdict


def test_a_loss_too_small_to_be_told_has_no_sign_of_a_gain() -> None:
    (cells,) = telling.rows(tradeoff(replace(INT8, loss=-0.0001)))

    assert "+0.0%" in cells


def test_a_page_tells_the_table_the_verdict_and_the_drawing() -> None:
    page = telling.html(tradeoff(INT8, INT4))

    assert "<td>int8 *</td>" in page
    assert "<td>+25.0%</td>" in page
    assert "int8 is the smallest that stays within 1.5%" in page
    assert page.count("<svg") == 1


NUM_EXAMPLES = 40
PETS = Dataset(
    "pets",
    "classify",
    tuple(Classified(str(number), f"pet {number}", "cat") for number in range(NUM_EXAMPLES)),
    labels=("cat", "dog"),
)
# Perplexity as served, bytes on disk, and how many of the examples are answered rightly.
FIGURES = {"int8": (20.2, 140, 30), "int4": (25.0, 90, 10), "nf4": (24.0, 91, 30)}
CARD = ModelCard(
    name="tiny:1",
    kind="generator",
    digest="",
    engine="openvino",
    folder="",
    source="",
    format="gguf",
    architecture="llama",
    num_parameters=1,
    context_length=1024,
    size_bytes=0,
    quantization="",
    modified_at="",
)
READ_PER_S = {1: 100.0, 2: 900.0, 3: 200.0}


@dataclass
class KnownBench:
    """A bench of figures that are known; formats in `broken` cannot be made, those in `heavy`
    not be loaded."""

    broken: dict[str, CanteenError] = field(default_factory=dict)
    heavy: dict[str, CanteenError] = field(default_factory=dict)
    quality: dict[str, float] = field(default_factory=lambda: {"perplexity_before": 20.0})

    async def prepare(self, form: Format) -> ModelCard:
        if form.name in self.broken:
            raise self.broken[form.name]
        perplexity, size, _ = FIGURES[form.name]
        quality = {**self.quality, "perplexity_after": perplexity}
        return replace(CARD, name=form.name, size_bytes=size * 1_000_000, quality=quality)

    async def load_bytes(self, card: ModelCard) -> int:
        if card.name in self.heavy:
            raise self.heavy[card.name]
        return 2 * card.size_bytes

    async def sample(self, card: ModelCard, number: int) -> Sample:
        written = 10 * number
        return Sample(
            READ_PER_S[number], READ_PER_S[number] / 10, written, Charge(decode_us=number)
        )

    def joules(self, charge: Charge) -> Interval:
        return Interval(charge.decode_us * 1.0, charge.decode_us * 0.5, charge.decode_us * 2.0)

    async def evaluate(self, card: ModelCard) -> Run:
        right = FIGURES[card.name][2]

        async def ask(examples: Sequence[Classified]) -> Sequence[Outcome]:
            return [Prediction("cat" if int(one.id) < right else "dog") for one in examples]

        return await evaluation.evaluate(PETS, ask, Subject(card.name))


async def measured(
    bench: KnownBench, *names: str, max_loss: float = 0.015, has_task: bool = False
) -> Tradeoff:
    forms = [FORMATS[name] for name in names]
    told: list[str] = []
    return await compare(Plan("tiny:1", forms, max_loss, 3, has_task), bench, told.append)


async def test_figures_are_medians_shares_of_the_float_model_and_energy_by_tokens_written() -> None:
    made = await measured(KnownBench(), "int8", "int4")

    int8, int4 = made.rows
    assert (int8.prefill_tokens_per_s, int8.decode_tokens_per_s) == (200.0, 20.0)
    assert (int8.disk_bytes, int8.load_bytes) == (140_000_000, 280_000_000)
    assert [int8.loss, int4.loss] == pytest.approx([0.01, 0.25])
    # Six joules for sixty tokens.
    energy = int8.joules_per_1000_tokens
    assert (energy.value, energy.low, energy.high) == pytest.approx((100.0, 50.0, 200.0))
    assert made.recommended == "int8"
    assert (int8.accuracy, made.task, made.failed) == (None, "", ())


async def test_the_task_is_told_against_the_format_of_least_perplexity() -> None:
    made = await measured(KnownBench(), "int4", "nf4", "int8", max_loss=0.3, has_task=True)

    int4, nf4, int8 = made.rows
    assert int4.accuracy is not None
    assert int4.accuracy_change is not None
    assert nf4.accuracy_change is not None
    assert int4.accuracy.value == pytest.approx(0.25)
    assert int4.accuracy_change.value == pytest.approx(-0.5)
    assert int4.accuracy_change.high < 0
    assert nf4.accuracy_change.value == 0
    assert int8.accuracy_change is None
    assert (made.task, made.num_examples) == ("pets", NUM_EXAMPLES)
    # The smallest is surely worse at the task.
    assert made.recommended == "nf4"


async def test_a_format_that_cannot_be_made_or_loaded_is_left_out_and_told() -> None:
    bench = KnownBench(
        broken={"int4": ModelUnsuitable("it cannot be brought into int4")},
        heavy={"nf4": EngineError("it takes too much")},
    )

    made = await measured(bench, "int4", "nf4", "int8", has_task=True)

    assert [row.format for row in made.rows] == ["int8"]
    assert made.recommended == "int8"
    assert "int4 is left out: it cannot be brought into int4" in telling.facts(made)
    assert "nf4 is left out: it takes too much" in telling.facts(made)


async def test_where_nothing_can_be_compared_it_is_said_why() -> None:
    nowhere = KnownBench(broken={"int8": ModelUnsuitable("no source files")})
    with pytest.raises(ModelUnsuitable, match="no source files"):
        await measured(nowhere, "int8")
    with pytest.raises(InvalidRequest, match="float model's perplexity is not known"):
        await measured(KnownBench(quality={}), "int8")
