"""What serving a model takes: memory, time, money, and the choices there are."""

from canteen.core.errors import InvalidRequest
from canteen.core.units import Quantity, exact
from canteen.planning import alternatives, hosts, memory, money, roofline
from canteen.planning.alternatives import full_batch, predicted
from canteen.planning.memory import Sequences
from canteen.planning.quantization import Format
from canteen.planning.reading import reading
from canteen.planning.request import PlanRequest
from canteen.planning.result import NO_PRICE, Batch, Choice, Cost, Place, Plan, Serving
from canteen.planning.roofline import Host, Prediction, Reading
from canteen.planning.saas import Offer
from canteen.planning.subject import Subject

USUAL_CONTEXT = 4096
# Batches that are shown, as far as they fit.
BATCHES = (1, 4, 16, 64, 256)
# What a choice is offered among, from the most bytes to the fewest.
COMPARED = ("bf16", "fp8", "int8", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q3_K_M", "Q2_K")


def serve(made: Plan) -> Serving:
    """What serving takes; what is not known is noted in the plan."""
    request, subject, form = made.request, made.subject, made.form
    weights = subject.weights_in(request.quantization)
    sequences = _sequences(request, subject)
    engine = memory.engine_for(made.place.device.kind, subject.spec, form)
    available = made.place.memory_bytes
    held = memory.plan_memory(subject.spec, weights, sequences, engine, available)
    runs = _host(made.place, form, subject, made.notes)
    if made.place.num > 1:
        made.notes.append(
            f"{made.place.num:,} devices are taken to read and compute as well together as alone; "
            "the links between them make them slower, by how much is not known"
        )
    steps = subject.reading(request.quantization, request.kv_cache)
    choices = _choices(made, sequences)
    if not subject.spec.has_cache:
        made.notes.append("it embeds and does not generate, so only its memory is planned")
        return Serving(held, None, None, None, choices)
    fleets, unfit = alternatives.fleets(made, steps)
    offer = alternatives.offer(made)
    both = alternatives.colocation(made, steps, runs, held)
    if held.fits == "no":
        made.notes.append("it does not fit, so there is no speed, cost or footprint of it here")
    if runs is None or held.fits == "no":
        return Serving(held, None, None, None, choices, fleets, unfit, offer=offer)
    prediction = predicted(request, steps, runs)
    cost = _cost(request, made.place.price, prediction)
    _note_money(made, cost, offer)
    return Serving(
        held,
        prediction,
        cost,
        made.footprint(prediction.energy, prediction.device_time * made.place.num),
        choices,
        fleets,
        unfit,
        both,
        offer,
        alternatives.break_even(made, steps, runs, offer),
        steps,
        runs,
        _batches(made, steps, runs),
        alternatives.carried(made, steps, runs),
    )


def _note_money(made: Plan, cost: Cost | None, offer: Offer | None) -> None:
    if cost is None and made.place.instance is None:
        made.notes.append(NO_PRICE)
    if cost is None and offer is not None:
        made.notes.append("without a price of one's own there is no break-even")


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


def _batches(made: Plan, steps: Reading, runs: Host) -> tuple[Batch, ...]:
    """The same requests, more and more of them at once."""
    most = full_batch(made)
    predictions = (
        predicted(made.request, steps, runs, num)
        for num in sorted({*BATCHES, made.request.num_sequences, most})
        if num <= most
    )
    return tuple(Batch(one, _cost(made.request, made.place.price, one)) for one in predictions)


def _host(place: Place, form: Format, subject: Subject, notes: list[str]) -> Host | None:
    has_experts = any(layer.experts for layer in subject.spec.layers)
    constants = roofline.fitting(place.device.name, place.constants, has_experts=has_experts)
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
        money.idle_price(price, request.utilization),
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
        engine = memory.engine_for(made.place.device.kind, made.subject.spec, form)
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
    return predicted(request, steps, runs).decode_speed
