"""What there is beside one place: other machines, copies of the model, somebody else's service."""

from canteen.core.errors import InvalidRequest
from canteen.factors.hardware import Device
from canteen.planning import carrying, fleet, hosts, memory, money, roofline, saas
from canteen.planning.carrying import Carried
from canteen.planning.fleet import Colocation, Fleet, Load, Machine, Unfit
from canteen.planning.memory import MemoryPlan, Sequences
from canteen.planning.request import PlanRequest
from canteen.planning.result import Place, Plan
from canteen.planning.roofline import Host, Prediction, Reading
from canteen.planning.saas import BreakEven, Offer

# At which copies of a model are compared with one service, unless a load is given.
USUAL_REQUESTS_PER_S = 1.0


def predicted(
    request: PlanRequest, steps: Reading, runs: Host, batch: int | None = None
) -> Prediction:
    """The requests, `batch` of them at once, or as many as are asked about."""
    return roofline.predict(
        steps,
        runs,
        request.prompt_tokens,
        request.completion_tokens,
        batch or request.num_sequences,
    )


def full_batch(made: Plan) -> int:
    """How many requests of these lengths the place holds; one where its memory is not known."""
    available = made.place.memory_bytes
    return 1 if available is None else max(1, _most_sequences(made, made.place.device, available))


def carried(made: Plan, steps: Reading, runs: Host) -> Carried | None:
    """The load on the one place that is asked about; None where no load is."""
    request = made.request
    if request.requests_per_s is None:
        return None
    alone, full = (predicted(request, steps, runs, num) for num in (1, full_batch(made)))
    return carrying.carry(request.requests_per_s, request.completion_tokens, alone, full)


def fleets(made: Plan, steps: Reading) -> tuple[tuple[Fleet, ...], tuple[Unfit, ...]]:
    """Machines for the load, the cheapest first, and those that cannot carry it; none of both
    where no load is asked about."""
    if made.request.requests_per_s is None:
        return (), ()
    region = made.request.region
    candidates = list(hosts.machines(_served(made), region, made.day))
    if not candidates:
        where = f"in {region}" if region else "anywhere"
        made.notes.append(f"no machine has a known price {where} on {made.day}")
    fit, unfit = fleet.cheapest(steps, candidates, _load(made.request))
    return tuple(fit), tuple(unfit)


def colocation(
    made: Plan, steps: Reading, runs: Host | None, held: MemoryPlan
) -> Colocation | None:
    """Copies of the model inside applications against one service, on machines of the place;
    None where nobody asks. Raises InvalidRequest for a place that has no price, or no room."""
    if made.request.colocate is None:
        return None
    place = made.place
    if place.price is None or runs is None or held.fits == "no":
        raise _incomparable(place)
    if made.request.requests_per_s is None:
        made.notes.append("copies and one service are compared at 1 request/s; give requests_per_s")
    holds = full_batch(made)
    machine = Machine(place.name, place.price, place.num, place.num, runs, holds, place.region)
    return fleet.colocate(steps, machine, _load(made.request), made.request.colocate)


def offer(made: Plan) -> Offer | None:
    """What somebody else asks for a request, where one is named."""
    request = made.request
    if request.saas is None:
        return None
    found = saas.offer(request.saas, request.prompt_tokens, request.completion_tokens, made.day)
    if found.note:
        made.notes.append(found.note)
    return found


def break_even(made: Plan, steps: Reading, runs: Host, there: Offer | None) -> BreakEven | None:
    """Against the place at full load: as many requests at once as it holds."""
    price = made.place.price
    if price is None or there is None:
        return None
    full = predicted(made.request, steps, runs, full_batch(made))
    return saas.break_even(money.per_request(price, full.device_time), there)


def _load(request: PlanRequest) -> Load:
    return Load(
        request.requests_per_s or USUAL_REQUESTS_PER_S,
        request.prompt_tokens,
        request.completion_tokens,
        request.utilization,
        request.ttft_s,
        request.tpot_s,
    )


def _served(made: Plan) -> hosts.Served:
    return hosts.Served(
        made.form.compute,
        any(layer.experts for layer in made.subject.spec.layers),
        lambda kind, available: _most_sequences(made, kind, available),
    )


def _most_sequences(made: Plan, kind: Device, available: int) -> int:
    """Sequences of the load's lengths beside the model in so many bytes of devices of a kind, by
    the same memory as the plan's own."""
    request, spec = made.request, made.subject.spec
    context = min(request.prompt_tokens + request.completion_tokens, spec.context_length)
    held = memory.plan_memory(
        spec,
        made.subject.weights_in(request.quantization),
        Sequences(context, 1, request.kv_cache),
        memory.engine_for(kind.kind, spec, made.form),
        available,
    )
    return held.max_sequences or 0


def _incomparable(place: Place) -> InvalidRequest:
    return InvalidRequest(
        f"copies of the model on {place.name} cannot be compared with one shared service: that "
        "needs a place that holds the model, and its price; give an instance with a known price, "
        "or a device and price_usd_per_h",
        param="colocate",
    )
