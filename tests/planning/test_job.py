"""What a whole job takes: of a small one mostly what is not arithmetic."""

import pytest

from canteen.core.training_run import TrainingRun
from canteen.planning.job import job_time
from canteen.planning.result import Here, Plan
from canteen.planning.this_host import Processor, this_host
from tests.planning.plans import planned

FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
HERE = Here(this_host(32_000_000_000, Processor("Xeon", "GenuineIntel", "6", 2500, 2, 2, FLAGS)))
SMALL = TrainingRun(tokens=900, batches=4)


def on_two_threads(tokens: int, model: str = "smollm2:135m") -> Plan:
    return planned(model, HERE, finetune="lora", train_tokens=tokens)


def test_a_few_steps_take_as_long_as_starting_and_preparing() -> None:
    time = job_time(on_two_threads(SMALL.tokens), SMALL)

    assert time.unit == "s"
    # benchmarks/LOG.md: nearly idle, and loaded.
    assert time.low < 117 < time.central < 160 < time.high


def test_many_tokens_take_their_arithmetic() -> None:
    made = on_two_threads(10_000_000)
    assert made.learning is not None
    assert made.learning.training is not None

    time = job_time(made, TrainingRun(tokens=10_000_000, batches=9_000))

    alone = made.learning.training.device_time.to("s").central
    assert alone < time.central < 1.02 * alone


def test_many_small_steps_take_what_their_layers_take_at_least() -> None:
    made = on_two_threads(4_000)

    few, many = (job_time(made, TrainingRun(4_000, batches)) for batches in (400, 4_000))

    assert many.central - few.central == pytest.approx(3_600 * 30 * 0.04)


def test_validations_and_samples_take_time() -> None:
    made = on_two_threads(SMALL.tokens)
    checked = TrainingRun(900, 4, validations=4, validation_tokens=9_000, validation_batches=40)
    sampled = TrainingRun(900, 4, validations=4, sample_tokens=40)

    times = [job_time(made, run).central for run in (SMALL, checked, sampled)]

    assert times[0] < times[1]
    assert times[2] - times[0] == pytest.approx(4 * 40 * 30 * 0.0025)


def test_the_least_of_a_step_is_not_known_of_gpus() -> None:
    made = planned("smollm2:135m", finetune="lora", train_tokens=4_000)

    few, many = (job_time(made, TrainingRun(4_000, batches)) for batches in (4, 4_000))

    assert few == many
