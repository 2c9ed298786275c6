"""A plan for people: short lines, aligned, each figure with its interval."""

from collections.abc import Iterable, Iterator, Sequence

from canteen.cli.figures import digits, interval, scaled
from canteen.core.units import Quantity
from canteen.planning.article import Claim
from canteen.planning.fleet import Fleet
from canteen.planning.memory import MemoryPlan
from canteen.planning.result import Choice, Learning, Plan, Serving

GB = 1e9
# The cheapest of the machines that carry a load, and no more.
_SHOWN = 5


def lines(plan: Plan) -> Iterator[str]:
    """The plan."""
    spec = plan.subject.spec
    yield f"{spec.name} in {plan.form.name} on {plan.place.name}"
    yield f"  {plan.subject.source}"
    yield ""
    if plan.serving is not None:
        yield from _serving(plan, plan.serving)
    if plan.learning is not None:
        yield from _learning(plan, plan.learning)
    yield from (f"Note: {note}" for note in plan.notes)


def article(claims: Sequence[Claim]) -> Iterator[str]:
    """The article's numbers, each with what gives it and whether it stands."""
    for claim in claims:
        yield claim.claim
        for when, figures in (("then", claim.then), ("today", claim.today)):
            for one in figures:
                yield f"  {when:5}  {one.name}: {told(one.result)}   ({one.formula})"
        yield f"  so: {claim.standing}"
        yield ""


def told(quantity: Quantity) -> str:
    """A figure with its interval and its unit."""
    small = scaled(quantity) if quantity.unit in ("Wh", "g", "s") else quantity
    if quantity.unit == "L" and quantity.central < 1:
        small = quantity.to("mL")
    return f"{interval(small)} {'' if small.unit == '1' else small.unit}".rstrip()


def _serving(plan: Plan, serving: Serving) -> Iterator[str]:
    request, prediction, cost = plan.request, serving.prediction, serving.cost
    yield from _memory(serving.memory)
    if prediction is not None:
        yield f"Requests of {request.prompt_tokens} + {request.completion_tokens} tokens, " + (
            f"{prediction.batch} at once"
        )
        yield _row("first token", told(prediction.ttft))
        yield _row("per further token", told(prediction.tpot))
        yield _row("prefill", told(prediction.prefill_speed))
        yield _row("decode", told(prediction.decode_speed))
    if cost is not None:
        yield _row("money", f"{told(cost.per_hour)}; {told(cost.per_request)} a request")
        yield _row("", told(cost.per_mtok))
    drunk = serving.footprint
    if drunk is not None:
        yield _row("energy", f"{told(drunk.energy.to('Wh'))} a request, building included")
        yield _row("water", f"{told(drunk.water_site.to('L'))} on site,")
        yield _row("", f"{told(drunk.water_source.to('L'))} for its power")
        yield _row("carbon", f"{told(drunk.carbon_operational.to('g'))} CO2e")
    yield ""
    yield from _table(serving.choices)
    yield from _load(serving)


def _memory(held: MemoryPlan) -> Iterator[str]:
    yield "Memory"
    exact = "" if held.weights.is_exact else "  (about)"
    yield _row("weights", f"{held.weights_bytes / GB:.2f} GB{exact}")
    yield _row(
        "KV cache",
        f"{held.kv_total_bytes / GB:.2f} GB for {held.sequences.num} x "
        f"{held.sequences.context:,} tokens, {held.kv_bytes_per_token:,} B a token",
    )
    yield _row("buffers, runtime", f"{(held.compute_bytes + held.overhead_bytes) / GB:.2f} GB")
    yield _row("together", f"{held.total_bytes / GB:.2f} GB{_of_available(held)}")
    if held.max_sequences is not None:
        yield _row("most sequences", f"{held.max_sequences:,}")
    yield ""


def _of_available(held: MemoryPlan) -> str:
    if held.available_bytes is None:
        return ""
    verdict = {"yes": "it fits", "within margin": "it may fit", "no": "it does not fit"}
    return f" of {held.available_bytes / GB:.2f} GB: {verdict[held.fits or 'no']}"


def _table(choices: Iterable[Choice]) -> Iterator[str]:
    heads = f"{'Weights in':12} {'GB':>8} {'with KV':>8}  {'fits':14} {'most seq.':>9}"
    yield f"{heads}  decode token/s"
    for one in choices:
        held = one.memory
        most = "" if held.max_sequences is None else f"{held.max_sequences:,}"
        speed = "" if one.decode_speed is None else interval(one.decode_speed)
        yield (
            f"{one.name:12} {held.weights_bytes / GB:8.2f} {held.total_bytes / GB:8.2f}  "
            f"{held.fits or '':14} {most:>9}  {speed}"
        )
    yield ""


def _load(serving: Serving) -> Iterator[str]:
    if serving.fleets:
        yield "The cheapest machines for this load"
        yield from (_fleet(one) for one in serving.fleets[:_SHOWN])
        yield ""
    elif serving.unfit:
        yield "No known machine carries this load:"
        yield from (f"  {one.machine.name}: {one.reason}" for one in serving.unfit[:_SHOWN])
        yield ""
    if serving.colocation is not None:
        both = serving.colocation
        yield "The model inside each application, and one service that all share"
        yield _fleet(both.inside)
        yield _fleet(both.shared)
        yield f"  Inside costs {digits(both.price_ratio)} times as much."
        yield ""
    if serving.offer is not None:
        offer = serving.offer
        yield f"{offer.provider}/{offer.model} asks {told(offer.cost)} a request."
    if serving.break_even is not None:
        yield serving.break_even.verdict
        yield ""


def _fleet(one: Fleet) -> str:
    used = one.utilization
    return (
        f"  {one.num_machines} x {one.machine.name:26} {told(one.price):>14}  "
        f"{one.num_replicas} replicas, batch {one.prediction.batch}, "
        f"{used.central:.2g} of full load"
    )


def _learning(plan: Plan, learning: Learning) -> Iterator[str]:
    held, setup, done = learning.memory, learning.setup, learning.training
    yield f"Training ({setup.method}, ZeRO {setup.zero}), memory of each of {plan.place.num}"
    yield _row("weights", f"{(held.weights_bytes + held.frozen_bytes) / GB:.2f} GB")
    yield _row("gradients", f"{held.gradients_bytes / GB:.2f} GB")
    yield _row("optimizer", f"{held.optimizer_bytes / GB:.2f} GB")
    yield _row("activations", f"{held.activations_bytes / GB:.2f} GB")
    fits = {True: ": it fits", False: ": it does not fit", None: ""}[learning.fits]
    yield _row("together", f"{held.total_bytes / GB:.2f} GB{fits}")
    yield ""
    if done is not None:
        yield "The run"
        yield _row("compute", f"{done.flops.central:.3g} FLOP")
        yield _row("device time", f"{told(done.device_time)}, {told(done.gpu_years)}s")
        yield _row("calendar", f"{told(done.calendar_time)}s")
        if plan.place.price is not None:
            yield _row("money", told(done.cost))
    drunk = learning.footprint
    if drunk is not None:
        yield _row("energy", f"{told(drunk.energy)}, building included")
        yield _row("water", f"{told(drunk.water_site.to('L'))} on site,")
        yield _row("", f"{told(drunk.water_source.to('L'))} for its power")
        yield _row("carbon", f"{told(drunk.carbon_operational.to('t'))} CO2e")
        yield ""


def _row(name: str, value: str) -> str:
    return f"  {name:18} {value}"
