"""One plan from all parts of the planner: what is asked for, and nothing that nobody knows."""

import datetime
from dataclasses import replace

from canteen.core.errors import InvalidRequest
from canteen.core.units import Quantity, exact
from canteen.factors import instances, places
from canteen.factors.hardware import device
from canteen.factors.instances import Instance
from canteen.factors.places import Site
from canteen.factors.site import electricity_price, hardware_life
from canteen.planning import hosts, money
from canteen.planning.learning import learn
from canteen.planning.money import Owned
from canteen.planning.request import PlanRequest
from canteen.planning.result import Here, Place, Plan
from canteen.planning.roofline import fitting
from canteen.planning.serving import serve
from canteen.planning.subject import Subject


def plan(request: PlanRequest, subject: Subject, here: Here, today: datetime.date) -> Plan:
    """Plan. Raises InvalidRequest for what cannot be planned, with what to do."""
    day = request.day(today)
    notes = [subject.spec.assumed] if subject.spec.assumed else []
    if day > today:
        notes.append(f"no price after {today} is known; those of today are taken for {day}")
    place = _place(request, here, day, notes)
    site = places.site(place.region, place.provider, day)
    if request.hardware_usd is not None:
        owned = _owned(request, place, site)
        place = replace(place, owned=owned, price=money.owned_price(owned))
    form = subject.format(request.quantization)
    made = Plan(request, day, subject, form, place, site, notes=notes)
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


def _owned(request: PlanRequest, place: Place, site: Site) -> Owned:
    """Hardware of one's own; its electricity is that of hardware that is always at work."""
    assert request.hardware_usd is not None
    constants = fitting(place.device.name, place.constants, has_experts=False)
    runs = hosts.host(place.device, place.num, "bf16", constants)
    paid = request.electricity_usd_per_kwh
    return Owned(
        capex=exact(request.hardware_usd, "USD"),
        life=place.device.life or hardware_life(),
        power=(runs.power * runs.plug_factor).to("kW"),
        pue=site.pue,
        electricity=electricity_price() if paid is None else exact(paid, "USD/kWh"),
        upkeep=exact(request.upkeep_usd_per_h or 0.0, "USD/h"),
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
