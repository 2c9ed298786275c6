"""What training a model takes: memory of each device, time, money and energy."""

from canteen.core.units import exact
from canteen.planning import roofline, training
from canteen.planning.memory import Fits, fitting
from canteen.planning.reading import reading
from canteen.planning.result import NO_PRICE, Learning, Plan
from canteen.planning.training_memory import Setup, TrainingMemory, training_memory


def learn(made: Plan) -> Learning:
    """What training takes; what is not known is noted in the plan."""
    request, spec, place = made.request, made.subject.spec, made.place
    setup = Setup(
        method=request.finetune or "full",  # type: ignore[arg-type]
        num_devices=place.num,
        zero=request.zero or 0,
        lora_rank=request.lora_rank or 16,
        sequence_length=request.context_length or min(2048, spec.context_length),
        micro_batch=request.num_sequences,
        recompute=request.recompute or "selective",  # type: ignore[arg-type]
        # As lifecycle/training holds it, for speed.
        frozen="f32" if place.device.kind == "cpu" else "bf16",
    )
    held = training_memory(spec, setup)
    one_bytes = None if place.memory_bytes is None else place.memory_bytes // place.num
    fits = fitting(held.total_bytes, one_bytes)
    if fits == "no":
        made.notes.append("it does not fit a device; all else is told as if it did")
    if fits == "no" and setup.recompute != "full":
        made.notes.append("recompute full keeps few activations, for a third more computing")
    if request.train_tokens is None:
        made.notes.append("give train_tokens for the time, money and energy of it")
        return Learning(setup, held, fits, None, None)
    return _run(made, setup, held, fits)


def _run(made: Plan, setup: Setup, held: TrainingMemory, fits: Fits | None) -> Learning:
    """The training itself: its time, and, where a price is known, its money."""
    place, tokens = made.place, made.request.train_tokens
    assert tokens is not None
    steps = reading(made.subject.spec, made.subject.format("bf16"), "bf16")
    flops = training.training_flops(
        steps,
        tokens,
        setup.sequence_length,
        "full" if setup.method == "full" else "lora",
        recomputes=setup.recompute == "full",
    )
    if place.price is None and place.instance is None:
        made.notes.append(NO_PRICE)
    price = exact(0.0, "USD/h") if place.price is None else place.price * (1 / place.num)
    peak = roofline.peak_of(place.device.peak, "bf16")
    share = training.MFU[place.device.kind]
    on = training.devices(place.num, peak, place.device.power_max, price, share)
    done = training.train(flops, on)
    drunk = made.footprint(done.energy, done.device_time)
    return Learning(setup, held, fits, done, drunk, on)
