"""The energy counters of Intel and AMD processors, as the kernel's powercap tree shows them."""

from pathlib import Path

from canteen.core.footprint import Counted
from canteen.core.units import Quantity
from canteen.metering.probes.counter import MOST_W, Unavailable

ROOT = Path("/sys/class/powercap")


class Rapl:
    """The packages and their memory, or the whole platform where that is all there is.

    Domains inside a counted one are left out. So are those of `intel-rapl-mmio`, the same
    counters by another road. Raises Unavailable at the start and in `read_uj`.
    """

    name = "rapl"
    # The registers are updated each millisecond.
    tick_s = 0.001

    def __init__(self, joule: Quantity, root: Path = ROOT) -> None:
        self.joule = joule
        zones = {path: _text(path / "name") for path in sorted(root.glob("intel-rapl:*"))}
        counted = _counted(zones)
        if not counted:
            raise Unavailable("absent", "the kernel shows no RAPL domain")
        self._domains = [_Domain(path) for path in counted]
        self.most_w = MOST_W * len(self._domains)
        self.boundary: Counted = "platform" if zones[counted[0]] == "psys" else "cpu"
        self.source = f"RAPL counters: {', '.join(zones[path] for path in counted)}"

    def read_uj(self) -> int:
        """The sum of the domains since the start."""
        return sum(domain.read_uj() for domain in self._domains)


class _Domain:
    """One counter, which begins again at 0 after its range."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "energy_uj"
        self._range_uj = int(_text(folder / "max_energy_range_uj"))
        self._last_uj = int(_text(self._path))
        self._total_uj = 0

    def read_uj(self) -> int:
        now_uj = int(_text(self._path))
        moved_uj = now_uj - self._last_uj
        self._last_uj = now_uj
        self._total_uj += moved_uj if moved_uj >= 0 else moved_uj + self._range_uj
        return self._total_uj


def _counted(zones: dict[Path, str]) -> list[Path]:
    """A package has its memory beside it in energy, though below it in the tree; cores are in
    it. One that two drivers show under one name is counted once."""
    packages = {name: path for path, name in zones.items() if name.startswith("package")}
    shown = {path.name for path in packages.values()}
    memory = [
        path
        for path, name in zones.items()
        if name == "dram" and path.name.rpartition(":")[0] in shown
    ]
    platform = [path for path, name in zones.items() if name == "psys"]
    return [*packages.values(), *memory] or platform[:1]


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except PermissionError:
        raise Unavailable("forbidden", "only root may read the RAPL counters") from None
    except OSError:
        raise Unavailable("absent", "a RAPL counter cannot be read") from None
