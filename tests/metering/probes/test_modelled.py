"""Energy where nothing counts it."""

from canteen.metering.probes.declared import Declared
from canteen.metering.probes.modelled import Modelled
from tests.metering.probes.hardware import JOULE, Time


def test_idle_power_runs_all_the_time_and_busy_threads_add_their_part() -> None:
    clock = Time()
    model = Modelled(20.0, 100.0, 8, JOULE, clock)

    clock.now_s = 10.0

    assert model.read(0.0).energy_uj == 200_000_000
    assert model.read(3.0).energy_uj == 230_000_000
    assert model.source == "modelled: 20 W idle, 100 W busy, from processor time"


def test_a_machine_busy_on_all_threads_draws_full_power() -> None:
    clock = Time()
    model = Modelled(20.0, 100.0, 8, JOULE, clock)

    clock.now_s = 10.0

    assert model.read(80.0).energy_uj == 1_000_000_000


def test_a_declared_power_runs_all_the_time() -> None:
    clock = Time()
    meter = Declared(35.0, JOULE, clock)

    clock.now_s = 2.0

    assert meter.read(1.0).energy_uj == 70_000_000
    assert meter.source == "declared: 35 W"
