"""What serving a model takes: memory, time, money, and the choices there are."""

import datetime

from canteen.core.errors import InvalidRequest
from canteen.core.units import Quantity, exact
from canteen.factors.instances import USUAL_REGION
from canteen.planning import fleet, hosts, memory, money, roofline, saas
from canteen.planning.fleet import Colocation, Fleet, Load, Machine, Unfit
from canteen.planning.memory import ENGINES, EngineMemory, Sequences
from canteen.planning.quantization import Format
from canteen.planning.reading import reading
from canteen.planning.request import PlanRequest
from canteen.planning.result import Batch, Choice, Cost, Place, Plan, Serving
from canteen.planning.roofline import Host, Prediction, Reading
from canteen.planning.saas import BreakEven, Offer
from canteen.planning.subject import Subject

USUAL_CONTEXT = 4096
# At which copies of a model are compared with one service, unless a load is given.
USUAL_REQUESTS_PER_S = 1.0
# Batches that are shown, as far as they fit.
BATCHES = (1, 4, 16, 64, 256)
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
    if not subject.spec.has_cache:
        made.notes.append("it embeds and does not generate, so only its memory is planned")
        return Serving(held, None, None, None, choices)
    load = _load(request)
    fleets, unfit = _fleets(made, steps, load) if request.requests_per_s else ((), ())
    offer = _offer(request, made.day)
    if held.fits == "no":
        made.notes.append("it does not fit, so there is no speed, cost or footprint of it here")
    if runs is None or held.fits == "no":
        if request.colocate is not None:
            raise _incomparable(made.place)
        return Serving(held, None, None, None, choices, fleets, unfit, offer=offer)
    prediction = _predicted(request, steps, runs)
    cost = _cost(request, made.place.price, prediction)
    if cost is None and made.place.instance is None:
        made.notes.append("no price is known of this; give price_usd_per_h, or an instance")
    if offer is not None and cost is None:
        made.notes.append("without a price of one's own there is no break-even")
    return Serving(
        held,
        prediction,
        cost,
        made.footprint(
            prediction.prefill_energy + prediction.decode_energy,
            prediction.device_time * made.place.num,
        ),
        choices,
        fleets,
        unfit,
        _colocation(made, steps, runs, load),
        offer,
        _break_even(made, steps, runs, offer),
        steps,
        runs,
        _batches(made, steps, runs),
    )


def _sequences(request: PlanRequest, subject: Subject) -> Sequences:
    """What the cache is planned for: what is asked, else the usual context, or more where the
    requests are longer. Raises InvalidRequest for requests that a given context does not hold."""
    needed = request.prompt_tokens + request.completion_tokens if subject.spec.has_cache else 1
    context = request.context_length
    if context is None:
        context = max(needed, min(USUAL_CONTEXT, subject.spec.context_length))
    if context < needed:
        raise InvalidRequest(
            f"a context of {context:,} does not hold a request of {request.prompt_tokens:,} + "
            f"{request.completion_tokens:,} tokens; give fewer prompt_tokens and "
            "completion_tokens, or more context_length",
            param="context_length",
        )
    return Sequences(context, request.num_sequences, request.kv_cache)


def _predicted(
    request: PlanRequest, steps: Reading, runs: Host, batch: int | None = None
) -> Prediction:
    return roofline.predict(
        steps,
        runs,
        request.prompt_tokens,
        request.completion_tokens,
        batch or request.num_sequences,
    )


def _batches(made: Plan, steps: Reading, runs: Host) -> tuple[Batch, ...]:
    """The same requests, more and more of them at once."""
    most = _full_batch(made)
    predictions = (
        _predicted(made.request, steps, runs, num)
        for num in sorted({*BATCHES, made.request.num_sequences, most})
        if num <= most
    )
    return tuple(Batch(one, _cost(made.request, made.place.price, one)) for one in predictions)


def _full_batch(made: Plan) -> int:
    """How many requests of these lengths the place holds; one where its memory is not known."""
    available = made.place.memory_bytes
    return 1 if available is None else max(1, _most_sequences(made, available))


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
    is_cpu = made.place.device.kind == "cpu"
    for name in (name for name in COMPARED if not (is_cpu and name == "fp8")):
        form = made.subject.format(name)
        weights = made.subject.weights_in(name)
        engine = _engine(made.place, form)
        held = memory.plan_memory(
            made.subject.spec, weights, sequences, engine, made.place.memory_bytes
        )
        can_write = made.subject.spec.has_cache and held.fits != "no"
        speed = _speed(made, form) if can_write else None
        found.append(Choice(form.name, held, speed))
    return tuple(found)


def _speed(made: Plan, form: Format) -> Quantity | None:
    request = made.request
    runs = _host(made.place, form, made.subject, [])
    if runs is None:
        return None
    steps = reading(made.subject.spec, form, request.kv_cache)
    return _predicted(request, steps, runs).decode_speed


def _load(request: PlanRequest) -> Load:
    return Load(
        request.requests_per_s or USUAL_REQUESTS_PER_S,
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


def _colocation(made: Plan, steps: Reading, runs: Host, load: Load) -> Colocation | None:
    """Copies of the model inside applications against one service, on machines of the place."""
    if made.request.colocate is None:
        return None
    place = made.place
    if place.price is None:
        raise _incomparable(place)
    if made.request.requests_per_s is None:
        made.notes.append("copies and one service are compared at 1 request/s; give requests_per_s")
    holds = _full_batch(made)
    machine = Machine(place.name, place.price, place.num, place.num, runs, holds)
    return fleet.colocate(steps, machine, load, made.request.colocate)


def _incomparable(place: Place) -> InvalidRequest:
    return InvalidRequest(
        f"copies of the model on {place.name} cannot be compared with one shared service: that "
        "needs a place that holds the model, and its price; give an instance with a known price, "
        "or a device and price_usd_per_h",
        param="colocate",
    )


def _offer(request: PlanRequest, day: datetime.date) -> Offer | None:
    if request.saas is None:
        return None
    return saas.offer(request.saas, request.prompt_tokens, request.completion_tokens, day)


def _break_even(made: Plan, steps: Reading, runs: Host, offer: Offer | None) -> BreakEven | None:
    """Against the place at full load: as many requests at once as it holds."""
    price = made.place.price
    if price is None or offer is None:
        return None
    full = _predicted(made.request, steps, runs, _full_batch(made))
    return saas.break_even(money.per_request(price, full.device_time), offer)
