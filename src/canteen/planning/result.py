"""What a plan is made of: one of serving or of training, and where."""

import datetime
from dataclasses import dataclass, field

from canteen.core.footprint import Footprint
from canteen.core.units import Quantity
from canteen.factors import places, site
from canteen.factors.hardware import Device
from canteen.factors.instances import Instance
from canteen.planning.carrying import Carried
from canteen.planning.fleet import Colocation, Fleet, Unfit
from canteen.planning.memory import Fits, MemoryPlan
from canteen.planning.money import Owned
from canteen.planning.quantization import Format
from canteen.planning.request import PlanRequest
from canteen.planning.roofline import Constants, Host, Prediction, Reading
from canteen.planning.saas import BreakEven, Offer
from canteen.planning.subject import Subject
from canteen.planning.training import Devices, Training
from canteen.planning.training_memory import Setup, TrainingMemory

NO_PRICE = "no price is known of this; give price_usd_per_h, hardware_usd or an instance"


@dataclass(frozen=True, slots=True)
class Here:
    """This machine: its device, where it stands and what it costs (USD/h) as far as that is set,
    and the constants that fit it, if it was calibrated."""

    device: Device
    region: str = ""
    provider: str = ""
    price: Quantity | None = None
    constants: Constants | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """What the model runs on: so many of a device, the price of all in USD/h if known, what that is
    made up of where they are one's own, and where it stands."""

    name: str
    device: Device
    num: int
    price: Quantity | None
    region: str = ""
    provider: str = ""
    instance: Instance | None = None
    constants: Constants | None = None
    owned: Owned | None = None

    @property
    def memory_bytes(self) -> int | None:
        """What models can be in."""
        told = self.device.memory
        return None if told is None else int(told.to("B").central) * self.num


@dataclass(frozen=True, slots=True)
class Cost:
    """Money: of the machine in USD/h, what of it pays for unused time, of a request in USD, of a
    million tokens written."""

    per_hour: Quantity
    idle: Quantity
    per_request: Quantity
    per_mtok: Quantity


@dataclass(frozen=True, slots=True)
class Batch:
    """So many requests at once, and what they cost where a price is known."""

    prediction: Prediction
    cost: Cost | None


@dataclass(frozen=True, slots=True)
class Choice:
    """A format of the weights among others."""

    name: str
    memory: MemoryPlan
    decode_speed: Quantity | None


@dataclass(frozen=True, slots=True)
class Serving:
    """What serving takes. Speed, cost and footprint are None where something is not known, and
    the plan's notes say what. `reading` and `host` are what the speed was computed from."""

    memory: MemoryPlan
    prediction: Prediction | None
    cost: Cost | None
    footprint: Footprint | None
    choices: tuple[Choice, ...] = ()
    fleets: tuple[Fleet, ...] = ()
    unfit: tuple[Unfit, ...] = ()
    colocation: Colocation | None = None
    offer: Offer | None = None
    break_even: BreakEven | None = None
    reading: Reading | None = None
    host: Host | None = None
    batches: tuple[Batch, ...] = ()
    carried: Carried | None = None


@dataclass(frozen=True, slots=True)
class Learning:
    """What training takes, of each device and altogether, and on which devices."""

    setup: Setup
    memory: TrainingMemory
    fits: Fits | None
    training: Training | None
    footprint: Footprint | None
    devices: Devices | None = None


@dataclass(slots=True)
class Plan:
    """The answer: one of `serving` and `learning`, and notes on what was left out or assumed."""

    request: PlanRequest
    day: datetime.date
    subject: Subject
    form: Format
    place: Place
    site: places.Site
    serving: Serving | None = None
    learning: Learning | None = None
    notes: list[str] = field(default_factory=list)

    def footprint(self, energy_it: Quantity, device_time: Quantity) -> Footprint:
        """What an energy at the plug means at the plan's site. `device_time` is the sum over the
        devices, for its part of making them where that is known."""
        made, life = self.place.device.embodied, self.place.device.life
        embodied = None
        if made is not None and life is not None:
            embodied = site.carbon_embodied(device_time, made, life)
        else:
            self.notes.append(f"the carbon of making {self.place.device.name} is not known")
        return Footprint(
            energy=site.facility(energy_it, self.site),
            water_site=site.water_site(energy_it, self.site),
            water_source=site.water_source(energy_it, self.site),
            carbon_operational=site.carbon_operational(energy_it, self.site),
            carbon_embodied=embodied,
        )
