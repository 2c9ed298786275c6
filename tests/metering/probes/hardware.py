"""Make-believe hardware whose energy a test turns by hand."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from canteen.core.footprint import Counted
from canteen.core.units import Quantity, exact
from canteen.metering.probes.counter import Counter, Unavailable
from canteen.metering.probes.nvml import Nvml
from canteen.metering.probes.perf import Perf
from canteen.metering.probes.rapl import Rapl

JOULE = exact(1, "J")
RANGE_UJ = 262_143_328_850


class Time:
    """A clock."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Hand:
    """A counter that a test turns."""

    name: str = "hand"
    source: str = "a hand"
    boundary: Counted = "cpu"
    joule: Quantity = JOULE
    most_w: float = 1000.0
    tick_s: float = 0.1
    energy_uj: int = 5000
    is_away: bool = False

    def read_uj(self) -> int:
        if self.is_away:
            raise Unavailable("absent", "away")
        return self.energy_uj


@dataclass
class Machine:
    """A counter that is opened on it, and how to make it use energy."""

    open_counter: Callable[[], Counter]
    use: Callable[[int], None]


def spinning(machine: Machine, clock: Time, energy_uj: int) -> Callable[[], None]:
    """A quarter of a second that uses so much."""

    def spin() -> None:
        machine.use(energy_uj)
        clock.now_s += 0.25

    return spin


def zone(root: Path, folder: str, name: str, energy_uj: int = 1000) -> Path:
    """A domain of a powercap tree; its `energy_uj` file."""
    (root / folder).mkdir(parents=True)
    (root / folder / "name").write_text(f"{name}\n")
    (root / folder / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
    (root / folder / "energy_uj").write_text(f"{energy_uj}\n")
    return root / folder / "energy_uj"


def rapl(folder: Path) -> Machine:
    """One package, soon to wrap."""
    path = zone(folder, "intel-rapl:0", "package-0", RANGE_UJ - 1_000_000)

    def use(energy_uj: int) -> None:
        path.write_text(str((int(path.read_text()) + energy_uj) % RANGE_UJ))

    return Machine(lambda: Rapl(JOULE, folder), use)


def power_pmu(folder: Path, *events: str) -> Path:
    """The kernel's description of these events, which count microjoules."""
    (folder / "events").mkdir(parents=True)
    (folder / "type").write_text("31\n")
    (folder / "cpumask").write_text("0\n")
    for number, name in enumerate(events, 1):
        (folder / "events" / name).write_text(f"event=0x{number:02x}\n")
        (folder / "events" / f"{name}.scale").write_text("1e-6\n")
    return folder


def perf(folder: Path) -> Machine:
    """Two packages that count."""
    root = power_pmu(folder / "power", "energy-pkg", "energy-cores")
    (root / "cpumask").write_text("0,8\n")
    counts = {0: 0, 8: 0}

    def use(energy_uj: int) -> None:
        counts[8] += energy_uj

    return Machine(lambda: Perf(JOULE, root, lambda kind, config, cpu: lambda: counts[cpu]), use)


class Driver:
    """What is used of nvidia-ml-py, on boards of 700 W; energies in millijoules."""

    class NVMLError(Exception):
        pass

    class NVMLError_NoPermission(NVMLError):
        pass

    def __init__(self, *energies_mj: int, error: Exception | None = None) -> None:
        self.energies_mj = list(energies_mj)
        self.error = error

    def nvmlInit(self) -> None:
        if self.error is not None:
            raise self.error

    def nvmlDeviceGetCount(self) -> int:
        return len(self.energies_mj)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetPowerManagementLimit(self, handle: int) -> int:
        return 700_000

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:
        return self.energies_mj[handle]


def nvml(folder: Path) -> Machine:
    """A board that has run before."""
    driver = Driver(123_456)

    def use(energy_uj: int) -> None:
        driver.energies_mj[0] += energy_uj // 1000

    return Machine(lambda: Nvml(JOULE, driver), use)
