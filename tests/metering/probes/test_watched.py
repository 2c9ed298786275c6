"""A counter that ticks slowly, freezes, goes back and comes to life again."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from canteen.core.units import Quantity, exact
from canteen.metering.meter import Reading
from canteen.metering.probes.modelled import Modelled
from canteen.metering.probes.rapl import Rapl
from canteen.metering.probes.watched import Watched
from tests.metering.probes.hardware import JOULE, RANGE_UJ, Hand, Time, zone

WATT_S = 1_000_000


class Watch:
    """A counter, watched, beside a model of 10 W idle and 60 W more for a busy thread."""

    def __init__(self, joule: Quantity = JOULE) -> None:
        self.clock = Time()
        self.counter = Hand(joule=joule)
        self.cpu_s = 0.0
        self.meter = Watched(self.counter, Modelled(10.0, 70.0, 1, JOULE, self.clock), self.clock)

    def after(self, seconds: float, energy_uj: int, cpu_s: float = 0.0) -> Reading:
        self.clock.now_s += seconds
        self.counter.energy_uj += energy_uj
        self.cpu_s += cpu_s
        return self.meter.read(self.cpu_s)

    def after_a_minute_of_work(self, power_w: int) -> Reading:
        reading = Reading(0)
        for _ in range(60):
            reading = self.after(1.0, power_w * WATT_S, cpu_s=0.5)
        return reading


def test_what_the_counter_counts_is_what_is_read() -> None:
    watch = Watch()

    assert watch.after(1.0, 40 * WATT_S) == Reading(40 * WATT_S)
    assert watch.after(1.0, 90 * WATT_S) == Reading(130 * WATT_S)
    assert (watch.meter.name, watch.meter.source) == ("hand", "a hand")


def test_between_two_ticks_it_goes_on_at_the_last_power_for_one_tick_at_most() -> None:
    watch = Watch()
    watch.after(0.1, 4 * WATT_S)

    assert watch.after(0.05, 0).energy_uj == 6 * WATT_S
    assert watch.after(0.05, 0).energy_uj == 8 * WATT_S
    assert watch.after(5.0, 0).energy_uj == 8 * WATT_S


def test_it_never_goes_back_where_it_went_on_too_far() -> None:
    watch = Watch()
    watch.after(0.1, 4 * WATT_S)
    watch.after(0.1, 0)

    assert watch.after(0.1, 1 * WATT_S).energy_uj == 8 * WATT_S
    assert watch.after(0.1, 6 * WATT_S).energy_uj == 11 * WATT_S


def test_a_counter_that_stands_still_for_a_minute_of_work_is_left_for_the_model() -> None:
    watch = Watch()
    watch.after(1.0, 40 * WATT_S, cpu_s=0.5)

    reading = watch.after_a_minute_of_work(power_w=0)

    # A tick at 40 W was shown already; the rest of the minute at 10 + 0.5 * 60 W is a gap.
    assert reading == Reading((40 + 60 * 40) * WATT_S, (60 * 40 - 4) * WATT_S)
    assert watch.meter.name == "modelled"
    assert watch.after(1.0, 0, cpu_s=1.0).energy_uj == reading.energy_uj + 70 * WATT_S


def test_a_counter_may_stand_still_while_nothing_runs() -> None:
    watch = Watch()

    for _ in range(600):
        watch.after(1.0, 0)

    assert watch.meter.name == "hand"


def test_a_counter_that_goes_back_is_left_at_once() -> None:
    watch = Watch()
    watch.after(1.0, 40 * WATT_S)

    reading = watch.after(1.0, -1000, cpu_s=0.5)

    assert watch.meter.name == "modelled"
    assert reading == Reading(80 * WATT_S, 40 * WATT_S)


def test_a_counter_that_jumps_by_a_power_it_cannot_have_is_left_at_once() -> None:
    watch = Watch()
    watch.after(1.0, 40 * WATT_S)

    reading = watch.after(1.0, 1200 * WATT_S, cpu_s=0.5)

    assert watch.meter.name == "modelled"
    assert reading == Reading(80 * WATT_S, 40 * WATT_S)


def test_much_after_a_long_time_is_no_jump() -> None:
    watch = Watch()

    assert watch.after(50.0, 40_000 * WATT_S) == Reading(40_000 * WATT_S)


def test_a_package_that_was_set_back_is_no_wrap_and_books_nothing_of_it(tmp_path: Path) -> None:
    clock = Time()
    path = zone(tmp_path, "intel-rapl:0", "package-0", 200_000 * WATT_S)
    meter = Watched(Rapl(JOULE, tmp_path), Modelled(10.0, 70.0, 1, JOULE, clock), clock)

    clock.now_s += 1.0
    path.write_text(str(10 * WATT_S))

    assert meter.read(0.0) == Reading(10 * WATT_S, 10 * WATT_S)
    assert meter.name == "modelled"


def test_a_package_that_wraps_goes_on(tmp_path: Path) -> None:
    clock = Time()
    path = zone(tmp_path, "intel-rapl:0", "package-0", RANGE_UJ - 30 * WATT_S)
    meter = Watched(Rapl(JOULE, tmp_path), Modelled(10.0, 70.0, 1, JOULE, clock), clock)

    clock.now_s += 1.0
    path.write_text(str(20 * WATT_S))

    assert meter.read(0.0) == Reading(50 * WATT_S)
    assert meter.name == "rapl"


def test_a_counter_that_cannot_be_read_is_one_that_stands_still() -> None:
    watch = Watch()
    watch.counter.is_away = True

    watch.after_a_minute_of_work(power_w=40)

    assert watch.meter.name == "modelled"


def test_a_counter_that_moves_again_for_a_minute_of_work_is_believed_again() -> None:
    watch = Watch()
    frozen = watch.after_a_minute_of_work(power_w=0)
    modelled = watch.after_a_minute_of_work(power_w=25)

    assert modelled.energy_uj - frozen.energy_uj == 60 * 40 * WATT_S
    assert watch.meter.name == "hand"
    assert watch.after(1.0, 25 * WATT_S).energy_uj == modelled.energy_uj + 25 * WATT_S


def test_a_counter_that_comes_back_with_an_incredible_power_is_not_believed() -> None:
    watch = Watch()
    watch.after_a_minute_of_work(power_w=0)

    watch.after_a_minute_of_work(power_w=5000)

    assert watch.meter.name == "modelled"


def test_the_model_counts_as_the_dead_counter_would_have() -> None:
    clock = Time()
    counter = Hand(joule=Quantity(1.25, 1.2, 1.3, "J", "C"))
    model = Modelled(10.0, 70.0, 1, Quantity(1, 0.5, 2, "J", "C"), clock)
    meter = Watched(counter, model, clock)
    assert (meter.boundary, meter.grade, meter.joule) == ("cpu", "A", counter.joule)

    counter.energy_uj -= 1
    meter.read(0.0)
    clock.now_s += 5.0

    assert meter.read(0.0) == Reading(40 * WATT_S)
    assert (meter.boundary, meter.grade) == ("cpu", "C")
    # Of one that is told, at the plug, as uncertain as the model.
    assert meter.joule == Quantity(1.25, 0.625, 2.5, "J", "C")


STEPS = st.lists(
    st.tuples(
        st.floats(0, 90),
        st.one_of(st.integers(-10, 10**8), st.integers(-(10**12), 10**12)),
        st.floats(0, 30),
    ),
    max_size=40,
)


@given(STEPS, st.sampled_from([1.0, 1.06, 3.7]))
def test_it_never_goes_back_whatever_the_counter_does(
    steps: list[tuple[float, int, float]], at_plug: float
) -> None:
    watch = Watch(exact(at_plug, "J"))
    last = Reading(0)

    for seconds, energy_uj, cpu_s in steps:
        reading = watch.after(seconds, energy_uj, cpu_s)

        assert reading.energy_uj - last.energy_uj >= reading.gap_uj - last.gap_uj >= 0
        last = reading
