"""What a job that makes a model takes on this machine: its arithmetic, and all around it.

A plan of training is of the arithmetic alone, which a large run hardly differs from. A small one is
mostly something else: docs/methodology/energy.md.
"""

from canteen.core.training_run import TrainingRun
from canteen.core.units import Quantity, total
from canteen.factors.table import load
from canteen.planning.result import Plan
from canteen.planning.tensors import num_parameters

# A pass forward of the three that a step is of, or of the two of LoRA.
_FORWARD = {"full": 1 / 3, "lora": 1 / 2, "qlora": 1 / 2}


def job_time(made: Plan, run: TrainingRun) -> Quantity:
    """Seconds of a whole job by the plan of its training: beside steps and validations it starts a
    program, writes samples and prepares what it made."""
    known = load("jobs").quantities()
    layers = len(made.subject.spec.layers)
    millions = num_parameters(made.subject.spec) / 1e6
    parts = [
        known["making a model"],
        known["making a model, each million parameters"] * millions,
        _passes(made, run),
    ]
    if made.place.device.kind == "cpu" and run.validations:
        written = run.validations * run.sample_tokens
        parts.append(known["a layer in a token of a sample"] * (written * layers))
    return total(tuple(parts))


def _passes(made: Plan, run: TrainingRun) -> Quantity:
    """Steps and validations: by their arithmetic, or what their layers take at least. For GPUs that
    was not measured."""
    assert made.learning is not None
    assert made.learning.training is not None
    method = made.learning.setup.method
    forward = _FORWARD[method]
    read = run.validations * run.validation_tokens
    arithmetic = made.learning.training.device_time.to("s") * (1 + forward * read / run.tokens)
    if made.place.device.kind != "cpu":
        return arithmetic
    batches = run.batches + forward * run.validations * run.validation_batches
    kind = "full" if method == "full" else "lora"
    least = load("jobs").quantities()[f"a layer in a batch, {kind}"]
    layers = least * (batches * len(made.subject.spec.layers))
    return max(arithmetic, layers, key=lambda one: one.central)
