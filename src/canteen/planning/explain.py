"""The arithmetic of a plan line by line, with its numbers and where they are from."""

from collections import Counter
from collections.abc import Iterator

from canteen.core.footprint import Footprint
from canteen.core.units import Input, Quantity
from canteen.planning import roofline
from canteen.planning.kv import element_bytes
from canteen.planning.memory import arithmetic
from canteen.planning.provenance import inputs
from canteen.planning.result import Learning, Plan, Serving
from canteen.planning.roofline import Demand, Host
from canteen.planning.spec import Layer, ModelSpec
from canteen.planning.tensors import num_active_parameters, num_parameters


def explained(plan: Plan) -> list[str]:
    """Each step of the plan with its numbers, then the numbers from outside with their sources."""
    return [*_steps(plan), "", "Numbers from outside:", *(_sourced(one) for one in inputs(plan))]


def _steps(plan: Plan) -> Iterator[str]:
    spec = plan.subject.spec
    count, active = num_parameters(spec), num_active_parameters(spec)
    used = "" if active == count else f", {active:,} of them for each token"
    yield f"{spec.name}: {count:,} parameters{used} ({plan.subject.source})"
    yield from _owned(plan)
    if plan.serving is not None:
        if spec.has_cache:
            yield _cache(spec, plan.serving)
        yield from arithmetic(plan.serving.memory)
        yield from _room(plan.serving)
        yield from _serving(plan, plan.serving)
    if plan.learning is not None:
        yield from _learning(plan, plan.learning)


def _owned(plan: Plan) -> Iterator[str]:
    """What an hour of hardware of one's own costs."""
    owned, price = plan.place.owned, plan.place.price
    if owned is None or price is None:
        return
    yield (
        f"an hour: {_short(owned.capex, 'USD')} / {_short(owned.life, 'year')} + "
        f"{_short(owned.power, 'kW')} x PUE {_short(owned.pue, '1')} x "
        f"{_short(owned.electricity, 'USD/kWh')} + {_short(owned.upkeep, 'USD/h')} upkeep = "
        f"{_short(price, 'USD/h')}"
    )


def _cache(spec: ModelSpec, serving: Serving) -> str:
    each = element_bytes(serving.memory.sequences.kv_type)
    layers = Counter(_cached(layer) for layer in spec.layers)
    parts = " + ".join(f"{num} layers x {what}" for what, num in layers.items())
    told = serving.memory.kv_bytes_per_token
    return f"KV cache of a token: ({parts}) x {each:g} B = {told:,} B"


def _cached(layer: Layer) -> str:
    if layer.latent is not None:
        return f"({layer.latent.kv_rank} + {layer.latent.rope_dim}) latent"
    window = "" if layer.window is None else f", the last {layer.window:,} tokens"
    return f"{layer.num_kv_heads} heads x ({layer.key_dim} + {layer.value_dim}){window}"


def _room(serving: Serving) -> Iterator[str]:
    held = serving.memory
    if held.available_bytes is None:
        return
    yield (
        f"there is {held.available_bytes / 1e9:.2f} GB ({held.engine.usable:.0%} of the memory, "
        f"as {held.engine.name} takes it): fits {held.fits}"
    )
    if held.max_sequences is not None:
        yield (
            f"sequences: ({held.available_bytes / 1e9:.2f} - {held.without_kv_bytes / 1e9:.2f}) "
            f"GB / {held.kv_bytes_per_sequence / 1e9:.3g} GB = {held.max_sequences:,}"
        )


def _serving(plan: Plan, serving: Serving) -> Iterator[str]:
    request, prediction, runs = plan.request, serving.prediction, serving.host
    if prediction is None or runs is None or serving.reading is None:
        return
    prompt, batch = request.prompt_tokens, prediction.batch
    context = prompt + request.completion_tokens / 2
    first = roofline.prefill(serving.reading, runs, prompt)
    step = roofline.decode_step(serving.reading, batch, context)
    yield f"prefill of {prompt:,} tokens: {_time(first, runs)} = {_short(prediction.ttft, 's')}"
    yield (
        f"decode step of {batch} at {context:,.0f} tokens: {_time(step, runs)} = "
        f"{_short(prediction.tpot, 's')}; {batch} / that = "
        f"{_short(prediction.decode_speed, 'token/s')}"
    )
    yield (
        f"a request: prefill + {request.completion_tokens:,} steps / {batch} = "
        f"{_short(prediction.device_time, 's')} of the devices"
    )
    if serving.cost is not None:
        price = _short(serving.cost.per_hour, "USD/h")
        share = f"{request.utilization:g} utilization"
        yield f"money: {price} x that / {share} = {_short(serving.cost.per_request, 'USD')}"
        yield (
            f"a million tokens: that / {request.completion_tokens:,} x 1,000,000 = "
            f"{_short(serving.cost.per_mtok, 'USD/Mtoken')}"
        )
    told, energy = runs.constants, prediction.energy
    yield (
        f"energy: {_power(runs)} x {_short(told.energy_bias, '1')} measured over predicted x "
        f"{_short(runs.plug_factor, '1')} server over devices x "
        f"{_short(prediction.device_time, 's')} = {_short(energy, 'Wh')} at the plug"
    )
    yield from _footprint(plan, energy, "Wh", "mL", "g")
    yield from _making(plan, serving.footprint, prediction.device_time * plan.place.num, "g")


def _footprint(plan: Plan, energy: Quantity, power: str, volume: str, mass: str) -> Iterator[str]:
    part = plan.serving or plan.learning
    if part is None or part.footprint is None:
        return
    drunk, site = part.footprint, plan.site
    plug, whole = _short(energy, power), _short(drunk.energy, power)
    yield f"building: {plug} x PUE {_short(site.pue, '1')} = {whole}"
    yield (
        f"water on site: {plug} x WUE {_short(site.wue, 'L/kWh')} = "
        f"{_short(drunk.water_site, volume)}; PUE has no place here"
    )
    yield (
        f"water for its power: {whole} x EWIF {_short(site.ewif, 'L/kWh')} = "
        f"{_short(drunk.water_source, volume)}"
    )
    yield (
        f"carbon: {whole} x {_short(site.carbon_intensity, 'g/kWh')} = "
        f"{_short(drunk.carbon_operational, mass)}"
    )


def _making(plan: Plan, drunk: Footprint | None, took: Quantity, mass: str) -> Iterator[str]:
    """The carbon of making a device, for the part of its life that is used."""
    made, life = plan.place.device.embodied, plan.place.device.life
    if drunk is None or drunk.carbon_embodied is None or made is None or life is None:
        return
    yield (
        f"carbon of making: {_short(made, 'kg')} a device x {_short(took, 'h')} / "
        f"{_short(life, 'year')} = {_short(drunk.carbon_embodied, mass)}"
    )


def _learning(plan: Plan, learning: Learning) -> Iterator[str]:
    held, done = learning.memory, learning.training
    yield (
        f"each device: weights {held.weights_bytes + held.frozen_bytes:,} B + gradients "
        f"{held.gradients_bytes:,} B + optimizer {held.optimizer_bytes:,} B + activations "
        f"{held.activations_bytes:,} B + runtime {held.overhead_bytes:,} B (an assumption) = "
        f"{held.total_bytes:,} B"
    )
    on = learning.devices
    if done is None or on is None:
        return
    speed = f"{_short(on.peak, 'TFLOP/s')} x {_short(on.flops_share, '1')} training MFU"
    yield (
        f"{done.flops.central:.3g} FLOP / ({speed}) = {_short(done.device_time, 'h')} of a device "
        f"= {_short(done.gpu_years, 'year')} of 8,766 h"
    )
    yield (
        f"calendar: that / {on.num:,} devices x {_short(on.restarts, '1')} for restarts and "
        f"evaluations = {_short(done.calendar_time, 'day')}"
    )
    if plan.place.price is not None:
        price = _short(on.price, "USD/h")
        yield f"money: {price} of a device x its hours = {_short(done.cost, 'USD')}"
    power = f"{_short(on.power_max, 'W')} x {_short(on.power_share, '1')} of it"
    yield (
        f"energy: its hours x {power} x {_short(on.plug_factor, '1')} server over devices = "
        f"{_short(done.energy, 'MWh')} at the plug"
    )
    yield from _footprint(plan, done.energy, "MWh", "L", "t")
    yield from _making(plan, learning.footprint, done.device_time, "t")


def _power(runs: Host) -> str:
    """What the devices draw at work."""
    told = runs.constants
    if told.power is not None:
        return f"{_short(told.power, 'W')} measured at work"
    return f"{_short(runs.power_max, 'W')} x {_short(told.power_share, '1')} of it"


def _time(demand: Demand, runs: Host) -> str:
    """A demand over what the host does, in numbers."""
    told, parts = runs.constants, []
    if demand.read_bytes:
        parts.append(
            f"{demand.read_bytes / 1e9:.3g} GB / ({_short(runs.bandwidth, 'TB/s')} x "
            f"{_short(told.bandwidth_share, '1')})"
        )
    if demand.flops:
        parts.append(
            f"{demand.flops / 1e12:.3g} TFLOP / ({_short(runs.peak, 'TFLOP/s')} x "
            f"{_short(told.flops_share, '1')} MFU)"
        )
    if told.step_s.central:
        parts.append(f"{demand.num_steps:g} step x {_short(told.step_s, 's')}")
    return " + ".join(parts)


def _short(quantity: Quantity, unit: str) -> str:
    told = quantity.to(unit)
    name = "" if unit == "1" else f" {unit}"
    number = f"{told.central:,.0f}" if 1e4 <= told.central < 1e12 else f"{told.central:,.4g}"
    return f"{number}{name}"


def _sourced(one: Input) -> str:
    bounds = "" if one.low == one.high else f" [{one.low:g}, {one.high:g}]"
    unit = "" if one.unit == "1" else f" {one.unit}"
    return f"{one.name}: {one.value:g}{bounds}{unit} ({one.source}, {one.as_of})"
