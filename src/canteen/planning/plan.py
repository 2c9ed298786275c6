"""One plan from all parts of the planner: what is asked for, and nothing that nobody knows."""

import datetime

from canteen.core.errors import InvalidRequest
from canteen.core.units import Quantity, exact
from canteen.factors import instances, places
from canteen.factors.hardware import device
from canteen.factors.instances import Instance
from canteen.planning.learning import learn
from canteen.planning.request import PlanRequest
from canteen.planning.result import Here, Place, Plan
from canteen.planning.serving import USUAL_REGION, serve
from canteen.planning.subject import Subject


def plan(request: PlanRequest, subject: Subject, here: Here, today: datetime.date) -> Plan:
    """Plan. Raises InvalidRequest for what cannot be planned, with what to do."""
    day = request.day(today)
    notes: list[str] = []
    place = _place(request, here, day, notes)
    made = Plan(
        request,
        day,
        subject,
        subject.format(request.quantization),
        place,
        places.site(_region(request, place), _provider(request, place), day),
        notes=notes,
    )
    if subject.spec.assumed:
        notes.append(subject.spec.assumed)
    if request.is_training:
        made.learning = learn(made)
    else:
        made.serving = serve(made)
    return made


def _place(request: PlanRequest, here: Here, day: datetime.date, notes: list[str]) -> Place:
    told = request.price_usd_per_h
    price = None if told is None else exact(told, "USD/h")
    if request.instance is not None:
        rented = instances.instance(request.instance)
        num = request.num_devices or rented.num_devices
        if price is None:
            price = _rent(rented, num, request.region or USUAL_REGION, day, notes)
        return Place(rented.name, rented.hardware, num, price, rented)
    if request.device is not None:
        chosen, num = device(request.device), request.num_devices or 1
        if chosen.memory is None:
            notes.append(f"the memory of {chosen.name} is its machine's, and so not known")
        return Place(_times(num, chosen.name), chosen, num, price)
    if request.num_devices is not None:
        raise InvalidRequest("num_devices needs a device or an instance", param="num_devices")
    return Place(here.device.name, here.device, 1, price, constants=here.constants)


def _rent(
    rented: Instance, num: int, region: str, day: datetime.date, notes: list[str]
) -> Quantity | None:
    """The price of as many of these machines as have so many devices."""
    num_machines = -(-num // rented.num_devices)
    try:
        return instances.price(rented, region, day) * num_machines
    except InvalidRequest as error:
        notes.append(error.message)
        return None


def _region(request: PlanRequest, place: Place) -> str:
    return request.region or (USUAL_REGION if place.instance is not None else "")


def _provider(request: PlanRequest, place: Place) -> str:
    return request.provider or (place.instance.provider if place.instance is not None else "")


def _times(num: int, name: str) -> str:
    return name if num == 1 else f"{num} x {name}"
