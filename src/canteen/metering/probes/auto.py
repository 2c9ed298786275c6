"""Which counters this machine has, and which one the meter is made of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from canteen.core.units import Quantity
from canteen.metering.meter import Meter
from canteen.metering.probes.boards import WithBoards
from canteen.metering.probes.counter import Counter, State, Unavailable, check_alive
from canteen.metering.probes.declared import Declared
from canteen.metering.probes.nvml import HEADROOM, Nvml
from canteen.metering.probes.perf import Perf
from canteen.metering.probes.rapl import Rapl
from canteen.metering.probes.watched import Watched

# By preference. What one counted joule is at the plug is the caller's to say.
Probes = Mapping[str, Callable[[Quantity], Counter]]
PROCESSOR: Probes = {"rapl": Rapl, "perf": Perf}
ACCELERATOR: Probes = {"nvml": Nvml}


@dataclass(frozen=True, slots=True)
class Finding:
    """A probe's state, why it is so in a few words, and the counter if it is alive."""

    name: str
    state: State
    detail: str
    counter: Counter | None = None


def examine(probes: Probes, joule: Quantity) -> list[Finding]:
    """Look at every probe; an existing counter takes a quarter of a second of spinning."""
    return [_examined(name, open_counter, joule) for name, open_counter in probes.items()]


def choose(probes: Probes, joule: Quantity, model: Meter) -> Meter:
    """The first counter that is alive, watched; the model where none is."""
    for name, open_counter in probes.items():
        counter = _examined(name, open_counter, joule).counter
        if counter is not None:
            return Watched(counter, model)
    return model


def with_boards(probes: Probes, joule: Quantity, machine: Meter) -> Meter:
    """The machine's meter, with the first counter of boards that is alive; where that one dies, the
    boards are held to draw half of what they may."""
    for name, open_counter in probes.items():
        counter = _examined(name, open_counter, joule).counter
        if counter is not None:
            half_w = counter.most_w / HEADROOM / 2
            return WithBoards(machine, Watched(counter, Declared(half_w, joule)))
    return machine


def _examined(name: str, open_counter: Callable[[Quantity], Counter], joule: Quantity) -> Finding:
    try:
        counter = open_counter(joule)
        check_alive(counter)
    except Unavailable as exc:
        return Finding(name, exc.state, exc.detail)
    return Finding(name, "alive", counter.source, counter)
