"""What serving a model takes: memory, time, money, and the choices there are."""

import datetime

from canteen.core.errors import InvalidRequest
from canteen.core.units import Quantity, exact
from canteen.planning import fleet, hosts, memory, money, roofline, saas
from canteen.planning.fleet import Colocation, Fleet, Load, Machine, Unfit
from canteen.planning.memory import ENGINES, EngineMemory, MemoryPlan, Sequences
from canteen.planning.quantization import Format
from canteen.planning.reading import reading
from canteen.planning.request import PlanRequest
from canteen.planning.result import Choice, Cost, Place, Plan, Serving
from canteen.planning.roofline import Host, Prediction, Reading
from canteen.planning.saas import BreakEven, Offer
from canteen.planning.subject import Subject

USUAL_CONTEXT = 4096
USUAL_REGION = "us-east-1"
# What a choice is offered among, from the most bytes to the fewest.
COMPARED = ("bf16", "fp8", "int8", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q3_K_M", "Q2_K")


def serve(made: Plan) -> Serving:
    """What serving takes; what is not known is noted in the plan."""
    request, subject, form = made.request, made.subject, made.form
    weights = subject.weights_in(request.quantization)
    sequences = _sequences(request, subject)
    engine = _engine(made.place, form)
    available = made.place.memory_bytes
    held = memory.plan_memory(subject.spec, weights, sequences, engine, available)
    runs = _host(made.place, form, subject, made.notes)
    steps = reading(subject.spec, form, request.kv_cache)
    choices = _choices(made, sequences)
    if runs is None or not subject.spec.has_cache:
        return Serving(held, None, None, None, choices)
    prediction = roofline.predict(
        steps, runs, request.prompt_tokens, request.completion_tokens, request.num_sequences
    )
    cost = _cost(request, made.place.price, prediction)
    if cost is None:
        made.notes.append("no price is known here; give price_usd_per_h, or an instance")
    load = _load(request)
    fleets, unfit = _fleets(made, steps, load) if request.requests_per_s else ((), ())
    offer = _offer(request, made.day)
    if offer is not None and cost is None:
        made.notes.append("without a price of one's own there is no break-even")
    return Serving(
        held,
        prediction,
        cost,
        made.footprint(prediction.prefill_energy + prediction.decode_energy),
        choices,
        fleets,
        unfit,
        _colocation(made, steps, runs, held, load),
        offer,
        _break_even(request, made.place.price, prediction, offer),
    )


def _sequences(request: PlanRequest, subject: Subject) -> Sequences:
    context = request.context_length or min(USUAL_CONTEXT, subject.spec.context_length)
    return Sequences(context, request.num_sequences, request.kv_cache)


def _engine(place: Place, form: Format) -> EngineMemory:
    """The engine that would run it there."""
    if place.device.kind == "cpu" and form.name in ("int8", "bf16"):
        return ENGINES["openvino"]
    return ENGINES["llamacpp" if form.name.upper() == form.name else "vllm"]


def _host(place: Place, form: Format, subject: Subject, notes: list[str]) -> Host | None:
    has_experts = any(layer.experts for layer in subject.spec.layers)
    constants = place.constants or roofline.prior(place.device.name, has_experts=has_experts)
    try:
        return hosts.host(place.device, place.num, form.compute, constants)
    except InvalidRequest as error:
        notes.append(f"no speed, cost or footprint: {error.message}")
        return None


def _cost(request: PlanRequest, price: Quantity | None, prediction: Prediction) -> Cost | None:
    if price is None:
        return None
    speed = exact(request.completion_tokens, "token") / prediction.device_time
    return Cost(
        price,
        money.per_request(price, prediction.device_time, request.utilization),
        money.per_mtok(price, speed, request.utilization),
    )


def _choices(made: Plan, sequences: Sequences) -> tuple[Choice, ...]:
    """The same in other formats of the weights."""
    found = []
    for name in COMPARED:
        form = made.subject.format(name)
        weights = made.subject.weights_in(name)
        engine = _engine(made.place, form)
        held = memory.plan_memory(
            made.subject.spec, weights, sequences, engine, made.place.memory_bytes
        )
        speed = _speed(made, form) if made.subject.spec.has_cache else None
        found.append(Choice(form.name, held, speed))
    return tuple(found)


def _speed(made: Plan, form: Format) -> Quantity | None:
    request = made.request
    runs = _host(made.place, form, made.subject, [])
    if runs is None:
        return None
    steps = reading(made.subject.spec, form, request.kv_cache)
    return roofline.predict(
        steps, runs, request.prompt_tokens, request.completion_tokens, request.num_sequences
    ).decode_speed


def _load(request: PlanRequest) -> Load:
    return Load(
        request.requests_per_s or 0.0,
        request.prompt_tokens,
        request.completion_tokens,
        request.utilization,
        request.ttft_s,
        request.tpot_s,
    )


def _fleets(made: Plan, steps: Reading, load: Load) -> tuple[tuple[Fleet, ...], tuple[Unfit, ...]]:
    region = made.request.region or USUAL_REGION
    candidates = list(hosts.machines(_served(made), region, made.day))
    if not candidates:
        made.notes.append(f"no machine has a known price in {region} on {made.day}")
    fit, unfit = fleet.cheapest(steps, candidates, load)
    return tuple(fit), tuple(unfit)


def _served(made: Plan) -> hosts.Served:
    return hosts.Served(
        made.form.compute,
        any(layer.experts for layer in made.subject.spec.layers),
        lambda available: _most_sequences(made, available),
    )


def _most_sequences(made: Plan, available: int) -> int:
    """Sequences of the load's lengths beside the model in so many bytes."""
    request, spec = made.request, made.subject.spec
    context = min(request.prompt_tokens + request.completion_tokens, spec.context_length)
    held = memory.plan_memory(
        spec,
        made.subject.weights_in(request.quantization),
        Sequences(context, 1, request.kv_cache),
        available_bytes=available,
    )
    return held.max_sequences or 0


def _colocation(
    made: Plan, steps: Reading, runs: Host, held: MemoryPlan, load: Load
) -> Colocation | None:
    num = made.request.colocate
    if num is None:
        return None
    if not load.requests_per_s:
        raise InvalidRequest(
            "copies and one shared service are compared at a load; give requests_per_s",
            param="colocate",
        )
    price = made.place.price
    if price is None:
        raise InvalidRequest(
            "to compare with one shared service give an instance, or price_usd_per_h",
            param="colocate",
        )
    place = made.place
    machine = Machine(place.name, price, place.num, place.num, runs, held.max_sequences or 0)
    return fleet.colocate(steps, machine, load, num)


def _offer(request: PlanRequest, day: datetime.date) -> Offer | None:
    if request.saas is None:
        return None
    return saas.offer(request.saas, request.prompt_tokens, request.completion_tokens, day)


def _break_even(
    request: PlanRequest, price: Quantity | None, prediction: Prediction, offer: Offer | None
) -> BreakEven | None:
    if price is None or offer is None:
        return None
    return saas.break_even(money.per_request(price, prediction.device_time), offer)
