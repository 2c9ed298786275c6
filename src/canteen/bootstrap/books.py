"""The accounts, given the meter, the place and the prices of this machine."""

import socket
from dataclasses import replace
from datetime import date

from canteen.core.units import Boundary, Input, Quantity, exact, sourced
from canteen.engines import devices, environment
from canteen.factors import instances, places, site
from canteen.factors.hardware import Device
from canteen.metering.accounting import Accounting
from canteen.metering.meter import Meter
from canteen.metering.probes.auto import ACCELERATOR, PROCESSOR, choose, with_boards
from canteen.metering.probes.declared import Declared
from canteen.metering.probes.modelled import Modelled
from canteen.metering.rates import Price, rates
from canteen.planning.this_host import hourly_price
from canteen.settings import Settings

_AT_PLUG = Boundary(energy="it", time="active")


def accounting(settings: Settings, host: Device) -> Accounting:
    """The accounts of this machine, which is as `host` says; nothing is started yet."""
    place = places.site(settings.region, settings.provider)
    meter = _meter(settings, host)
    price = _price(settings, host)
    url = settings.database or f"sqlite:///{settings.home / 'canteen.db'}"
    node = settings.node or socket.gethostname()
    return Accounting(meter, lambda joule: rates(joule, place, price), url, node)


def _meter(settings: Settings, host: Device) -> Meter:
    """A counter that lives, or a model of the processor's power."""
    assert host.power_idle is not None
    idle_w, max_w = host.power_idle.central, host.power_max.central
    model: Meter = Modelled(idle_w, max_w, host.num_threads, joule(host.power_max))
    if settings.power_w:
        told = _set(settings.power_w, "W", "power of this machine")
        model = Declared(settings.power_w, joule(told))
    counted = exact(1, "J", _AT_PLUG) * site.meter_to_plug()
    meter = choose(PROCESSOR, counted, model)
    # What was read off the plug has the boards in it.
    if isinstance(meter, Declared) or not _uses_boards(settings):
        return meter
    return with_boards(ACCELERATOR, counted, meter)


def _uses_boards(settings: Settings) -> bool:
    """Whether there are boards that are counted, and an engine that runs on them."""
    if not devices.NVIDIA.exists():
        return False
    return environment.is_there("vllm", settings.home) or bool(devices.gpus())


def joule(power: Quantity) -> Quantity:
    """A joule at the plug, as uncertain as the power it is modelled from."""
    return (power * exact(1 / power.central, "s")).to("J").bounded(_AT_PLUG)


def _price(settings: Settings, host: Device) -> Price:
    """What is set, else what is known of the rented machine, else one's own electricity."""
    electricity = site.electricity_price()
    if settings.electricity_usd_per_kwh:
        electricity = _set(settings.electricity_usd_per_kwh, "USD/kWh", "price of electricity")
    hourly = hourly_price(settings.price_usd_per_h, settings.instance, settings.region)
    hardware = _hardware(settings, host)
    return Price(hourly, electricity, hardware.embodied, hardware.life)


def _hardware(settings: Settings, host: Device) -> Device:
    """What was made for this machine: all devices of the rented one that it is said to be."""
    if not settings.instance:
        return host
    machine = instances.instance(settings.instance)
    kind = machine.hardware
    embodied = kind.embodied and kind.embodied * machine.num_devices
    return replace(kind, embodied=embodied)


def _set(value: float, unit: str, name: str) -> Quantity:
    return sourced(Input(name, value, value, value, unit, "a setting", _today(), "declared"), "D")


def _today() -> str:
    return date.today().isoformat()
