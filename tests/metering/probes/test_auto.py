"""The meter is made of the first counter that is alive, or of the model."""

from pathlib import Path

from canteen.core.footprint import Counted
from canteen.core.units import Quantity
from canteen.metering.probes.auto import choose, examine
from canteen.metering.probes.counter import Counter
from canteen.metering.probes.modelled import Modelled
from canteen.metering.probes.rapl import Rapl
from tests.metering.probes.hardware import JOULE, zone

MODEL = Modelled(10.0, 100.0, 4, JOULE)


class Steady:
    """Counts 50 W, by the clock."""

    name = "steady"
    source = "a steady counter"
    boundary: Counted = "cpu"
    joule = JOULE
    most_w = 100.0
    tick_s = 0.001

    def __init__(self, joule: Quantity) -> None:
        self._model = Modelled(50.0, 50.0, 1, joule)

    def read_uj(self) -> int:
        return self._model.read(0.0).energy_uj


def test_a_frozen_counter_is_not_used_and_said_to_be_frozen(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 0)

    def frozen(joule: Quantity) -> Counter:
        return Rapl(joule, tmp_path)

    (finding,) = examine({"rapl": frozen}, JOULE)

    assert (finding.name, finding.state, finding.counter) == ("rapl", "frozen", None)
    assert choose({"rapl": frozen}, JOULE, MODEL) is MODEL


def test_the_first_live_counter_is_the_meter(tmp_path: Path) -> None:
    def absent(joule: Quantity) -> Counter:
        return Rapl(joule, tmp_path)

    probes = {"rapl": absent, "steady": Steady}

    assert [finding.state for finding in examine(probes, JOULE)] == ["absent", "alive"]
    assert choose(probes, JOULE, MODEL).name == "steady"
