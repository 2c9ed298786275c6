"""A plan for people: 80 columns, aligned, each figure with its interval."""

from collections.abc import Iterable, Iterator, Sequence

from canteen.cli.figures import digits, interval
from canteen.cli.options import by_options
from canteen.cli.plan_lines import row, told, wrapped
from canteen.core.footprint import Footprint
from canteen.planning.article import Claim
from canteen.planning.carrying import Carried
from canteen.planning.fleet import Fleet
from canteen.planning.memory import MemoryPlan
from canteen.planning.request import PlanRequest
from canteen.planning.result import Choice, Learning, Plan, Serving
from canteen.planning.tensors import num_parameters

__all__ = ["article", "explained", "lines", "told"]

GB = 1e9
# The cheapest of the machines that carry a load, and no more.
_SHOWN = 5
_BAR = 36
# A device time that is told in years too.
_LEAST_YEARS = 0.01
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_IN_SHORT = {"yes": "yes", "within margin": "perhaps", "no": "no", None: ""}
_VERDICTS = {"yes": "it fits", "within margin": "it may fit", "no": "it does not fit"}


def lines(plan: Plan) -> Iterator[str]:
    """The plan."""
    spec = plan.subject.spec
    parameters = _count(num_parameters(spec))
    yield from wrapped(f"{spec.name} in {plan.form.name} on {plan.place.name}", "")
    yield from wrapped(f"{parameters} parameters; {plan.subject.source}", "  ")
    yield ""
    if plan.serving is not None:
        yield from _serving(plan, plan.serving)
    if plan.learning is not None:
        yield from _learning(plan, plan.learning)
    for note in plan.notes:
        yield from wrapped(f"Note: {by_options(note, PlanRequest)}", "", "      ")


def article(claims: Sequence[Claim]) -> Iterator[str]:
    """The article's numbers, each with what gives it and whether it stands."""
    for claim in claims:
        yield from wrapped(claim.claim, "")
        for when, figures in (("then", claim.then), ("today", claim.today)):
            for one in figures:
                yield from wrapped(f"{when:5}  {one.name}: {told(one.result)}", "  ", 9 * " ")
                yield from wrapped(f"= {one.formula}", 9 * " ", 11 * " ")
        yield from wrapped(f"so     {claim.standing}", "  ", 9 * " ")
        yield ""


def explained(steps: Iterable[str]) -> Iterator[str]:
    """Lines of arithmetic."""
    for step in steps:
        yield from wrapped(step, "", "  ") or [""]


def _serving(plan: Plan, serving: Serving) -> Iterator[str]:
    yield from _memory(serving.memory)
    yield from _requests(plan, serving)
    yield from _batches(serving)
    yield from _table(serving.choices)
    yield from _load(serving)


def _requests(plan: Plan, serving: Serving) -> Iterator[str]:
    request, prediction, cost = plan.request, serving.prediction, serving.cost
    if prediction is None:
        return
    yield (
        f"Requests of {request.prompt_tokens:,} + {request.completion_tokens:,} tokens, "
        f"{prediction.batch} at once"
    )
    yield row("first token", told(prediction.ttft))
    yield row("per further token", told(prediction.tpot))
    yield row("prefill", told(prediction.prefill_speed))
    yield row("decode", told(prediction.decode_speed))
    yield ""
    if cost is not None:
        yield f"Money, where that goes on for {request.utilization:.0%} of the time"
        yield row("machine", told(cost.per_hour))
        if cost.idle.central:
            yield row("of it unused", told(cost.idle))
        yield row("request", told(cost.per_request))
        yield row("written", told(cost.per_mtok))
        yield ""
    if serving.footprint is not None:
        yield f"Each of these requests, in {plan.site.name}"
        yield from _drunk(serving.footprint, "Wh", "L", "g")


def _batches(serving: Serving) -> Iterator[str]:
    if len(serving.batches) < 2:
        return
    yield f"{'At once':>8}  {'decode, tokens/s':24} {'per token, ms':18} USD a million tokens"
    for one in serving.batches:
        tpot = interval(one.prediction.tpot * 1000)
        price = "" if one.cost is None else interval(one.cost.per_mtok)
        speed = interval(one.prediction.decode_speed)
        yield f"{one.prediction.batch:8,}  {speed:24} {tpot:18} {price}".rstrip()
    yield ""


def _drunk(drunk: Footprint, power: str, volume: str, mass: str) -> Iterator[str]:
    yield row("energy", f"{told(drunk.energy.to(power))}, building included")
    yield row("water on site", told(drunk.water_site.to(volume)))
    yield row("water for power", told(drunk.water_source.to(volume)))
    yield row("carbon of power", f"{told(drunk.carbon_operational.to(mass))} CO2e")
    if drunk.carbon_embodied is not None:
        yield row("carbon of making", f"{told(drunk.carbon_embodied.to(mass))} CO2e")
    yield ""


def _memory(held: MemoryPlan) -> Iterator[str]:
    whole = max(held.available_bytes or 0, held.total_bytes)
    parts = {
        "weights": held.weights_bytes,
        "KV cache": held.kv_total_bytes,
        "buffers, runtime": held.compute_bytes + held.overhead_bytes,
    }
    yield "Memory"
    for name, size in parts.items():
        if size:
            yield row(name, f"{size / GB:9.2f} GB  {_bar(size / whole)}").rstrip()
    yield row("together", f"{held.total_bytes / GB:9.2f} GB  {_of_available(held)}").rstrip()
    if not held.weights.is_exact:
        yield row("", "the weights are an estimate")
    if held.kv_bytes_per_token:
        room = "" if held.max_sequences is None else f"; room for {held.max_sequences:,}"
        yield row(
            "sequences",
            f"{held.sequences.num:,} of {held.sequences.context:,} tokens of "
            f"{held.kv_bytes_per_token:,} B{room}",
        )
    yield ""


def _bar(share: float) -> str:
    """A share of all there is as a bar."""
    whole, eighths = divmod(max(1, round(share * _BAR * 8)), 8)
    return f"{'█' * whole}{_EIGHTHS[eighths]}".rstrip()


def _of_available(held: MemoryPlan) -> str:
    if held.available_bytes is None:
        return ""
    return f"of {held.available_bytes / GB:.2f} GB: {_VERDICTS[held.fits or 'no']}"


def _table(choices: Sequence[Choice]) -> Iterator[str]:
    has_cache = any(one.memory.kv_bytes_per_token for one in choices)
    heads = f"{'Weights in':10} {'GB':>8} {'together':>8}  {'fits':7}"
    yield f"{heads} {'room for':>8}  decode, tokens/s" if has_cache else heads.rstrip()
    for one in choices:
        held = one.memory
        room = "" if held.max_sequences is None else f"{held.max_sequences:,}"
        speed = "" if one.decode_speed is None else interval(one.decode_speed)
        yield (
            f"{one.name:10} {held.weights_bytes / GB:8.2f} {held.total_bytes / GB:8.2f}  "
            f"{_IN_SHORT[held.fits]:7} {room:>8}  {speed}"
        ).rstrip()
    yield ""


def _load(serving: Serving) -> Iterator[str]:
    if serving.carried is not None:
        yield from _carried(serving.carried)
    if serving.fleets:
        yield from _fleets("The cheapest machines for this load", serving.fleets[:_SHOWN])
    elif serving.unfit:
        yield "No known machine carries this load"
        for one in serving.unfit[:_SHOWN]:
            yield from wrapped(f"{one.machine.name}: {one.reason}", "  ", "    ")
        yield ""
    if serving.colocation is not None:
        both = serving.colocation
        yield from _fleets(
            "A model in each application, or one service", (both.inside, both.shared)
        )
        yield f"  A model in each costs {digits(both.price_ratio)} times as much."
        yield ""
    if serving.offer is not None:
        offer = serving.offer
        yield f"{offer.provider}/{offer.model} asks {told(offer.cost)} a request."
    if serving.break_even is not None:
        batch = serving.batches[-1].prediction.batch
        yield from wrapped(f"With {batch:,} at once: {serving.break_even.verdict}", "")
        yield ""


def _carried(one: Carried) -> Iterator[str]:
    yield f"{one.requests_per_s:g} requests/s, coming at random, on this machine"
    yield row("busy", f"{interval(one.utilization * 100)} %")
    if one.ttft is None or one.e2e is None:
        yield "  More than it can do: requests wait without end."
    else:
        for name, times in (("first token", one.ttft), ("whole answer", one.e2e)):
            yield row(
                name, f"{digits(times.p50_s)} s in half, {digits(times.p95_s)} s in 95 of 100"
            )
    yield ""


def _fleets(title: str, fleets: Iterable[Fleet]) -> Iterator[str]:
    yield f"{title:44} {'USD/h':>10} {'copies':>7} {'batch':>7} {'used':>6}"
    for one in fleets:
        price, used = one.price.central, one.utilization.central
        where = f", {one.machine.region}" if one.machine.region else ""
        yield (
            f"  {f'{one.num_machines:,} x {one.machine.name}{where}':42} "
            f"{price:>10,.{2 if price < 10_000 else 0}f} {one.num_replicas:7,} "
            f"{one.prediction.batch:7,} {used:>6.{2 if used < 0.01 else 0}%}"
        )
    yield ""


def _learning(plan: Plan, learning: Learning) -> Iterator[str]:
    held, setup, done = learning.memory, learning.setup, learning.training
    what = {"full": "all parameters", "lora": "LoRA", "qlora": "QLoRA"}[setup.method]
    yield f"Training {what}, ZeRO {setup.zero}: memory of each of {plan.place.num:,} devices"
    parts = {
        "weights": held.weights_bytes + held.frozen_bytes,
        "gradients": held.gradients_bytes,
        "optimizer": held.optimizer_bytes,
        "activations": held.activations_bytes,
        "runtime": held.overhead_bytes,
    }
    there = plan.place.memory_bytes
    one_bytes = 0 if there is None else there // plan.place.num
    for name, size in parts.items():
        share = size / max(one_bytes, held.total_bytes)
        yield row(name, f"{size / GB:9.2f} GB  {_bar(share)}")
    of = f"of {one_bytes / GB:.2f} GB: {_VERDICTS[learning.fits]}" if learning.fits else ""
    yield row("together", f"{held.total_bytes / GB:9.2f} GB  {of}").rstrip()
    yield ""
    if done is not None:
        yield f"The run, in {plan.site.name}"
        yield row("compute", f"{done.flops.central:.3g} FLOP")
        yield row("device time", told(done.device_time))
        if done.gpu_years.central >= _LEAST_YEARS:
            yield row("", told(done.gpu_years))
        yield row("calendar", told(done.calendar_time))
        if plan.place.price is not None:
            yield row("money", told(done.cost))
    if learning.footprint is not None:
        yield from _drunk(learning.footprint, "MWh", "L", "t")


def _count(number: int) -> str:
    scale, word = (1e9, "billion") if number >= 1e9 else (1e6, "million")
    return f"{digits(number / scale)} {word}"
