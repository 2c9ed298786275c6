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
from canteen.planning.serving import serve
from canteen.planning.subject import Subject


def plan(request: PlanRequest, subject: Subject, here: Here, today: datetime.date) -> Plan:
    """Plan. Raises InvalidRequest for what cannot be planned, with what to do."""
    day = request.day(today)
    notes = [subject.spec.assumed] if subject.spec.assumed else []
    if day > today:
        notes.append(f"no price after {today} is known; those of today are taken for {day}")
    place = _place(request, here, day, notes)
    made = Plan(
        request,
        day,
        subject,
        subject.format(request.quantization),
        place,
        places.site(place.region, place.provider, day),
        notes=notes,
    )
    if request.is_training:
        made.learning = learn(made)
    else:
        made.serving = serve(made)
    return made


def _place(request: PlanRequest, here: Here, day: datetime.date, notes: list[str]) -> Place:
    if request.instance is not None:
        return _rented(request, instances.instance(request.instance), day, notes)
    region, provider = request.region or "", request.provider or ""
    price = _told(request)
    if request.device is not None:
        chosen, num = device(request.device), request.num_devices or 1
        if chosen.memory is None:
            notes.append(f"the memory of {chosen.name} is its machine's, and so not known")
        return Place(_times(num, chosen.name), chosen, num, price, region, provider)
    if request.num_devices is not None:
        raise InvalidRequest("num_devices needs a device or an instance", param="num_devices")
    return Place(
        here.device.name,
        here.device,
        1,
        price or here.price,
        region or here.region,
        provider or ("" if region else here.provider),
        constants=here.constants,
    )


def _rented(request: PlanRequest, rented: Instance, day: datetime.date, notes: list[str]) -> Place:
    """As many devices of an instance as are asked for, or all of them; of a part, or of several,
    the price is in proportion."""
    region = instances.region_for(rented, request.region or "")
    num = request.num_devices or rented.num_devices
    price = _told(request)
    if price is None:
        try:
            price = instances.price(rented, region, day) * (num / rented.num_devices)
        except InvalidRequest as error:
            notes.append(error.message)
    name = rented.name
    if num != rented.num_devices:
        name = f"{_times(num, rented.device)} of {rented.name}"
    provider = request.provider or rented.provider
    return Place(name, rented.hardware, num, price, region, provider, rented)


def _told(request: PlanRequest) -> Quantity | None:
    return None if request.price_usd_per_h is None else exact(request.price_usd_per_h, "USD/h")


def _times(num: int, name: str) -> str:
    return name if num == 1 else f"{num:,} x {name}"
