"""The accounts equal the meter, whatever happens in whatever order."""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from canteen.core.engine import StepRecord, Work
from canteen.core.units import exact
from canteen.metering.attribution import StepCost
from canteen.metering.consumer import Helper
from canteen.metering.node import Node
from canteen.metering.probes.modelled import Modelled
from canteen.metering.probes.watched import Watched
from tests.metering.accounting import BY_TOKENS, Bench
from tests.metering.probes.hardware import Hand, Time

IDS = st.sampled_from("abcdef")
WORKERS = st.integers(0, 1)
ROWS = st.lists(
    st.builds(Work, IDS, st.integers(0, 300), st.integers(0, 3), st.integers(0, 4000)), max_size=6
)
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("spend"), st.integers(0, 10**8), st.floats(0, 3)),
        st.tuples(st.just("gap"), st.integers(0, 10**8)),
        st.tuples(st.just("open"), IDS),
        st.tuples(st.just("close"), IDS),
        st.tuples(st.just("load"), WORKERS),
        st.tuples(st.just("loaded"), WORKERS, st.floats(0, 5)),
        st.tuples(st.just("step"), WORKERS, st.floats(0, 1), ROWS),
        st.tuples(st.just("crash"), WORKERS),
        st.tuples(st.just("help"), st.floats(0, 5)),
        st.tuples(st.just("helped")),
        st.tuples(st.just("tick")),
    ),
    max_size=60,
)


class Story:
    """Events put to a node; those that cannot happen now do not."""

    def __init__(self) -> None:
        self.bench = Bench()
        cost = StepCost(fixed_s=0.01, token_s=1e-4, attention_s=1e-8, cache_s=1e-7)
        self.workers = [self.bench.node.consumer(cost) for _ in range(2)]
        self.state = ["away", "away"]
        self.cpu_s = [0.0, 0.0]
        self.under_way: set[str] = set()
        self.charged_uj = 0
        self.helpers: list[Helper] = []
        self.helped_s = 0.0

    def tell(self, what: str, *details: object) -> None:
        event: Callable[..., None] = getattr(self, what)
        event(*details)

    def spend(self, energy_uj: int, seconds: float) -> None:
        self.bench.spend(energy_uj, seconds)

    def gap(self, energy_uj: int) -> None:
        self.bench.meter.energy_uj += energy_uj
        self.bench.meter.gap_uj += energy_uj

    def open(self, name: str) -> None:
        if name not in self.under_way:
            self.under_way.add(name)
            self.bench.node.open(name)

    def close(self, name: str) -> None:
        if name in self.under_way:
            self.under_way.remove(name)
            self.charged_uj += self.bench.node.close(name).energy_uj

    def load(self, worker: int) -> None:
        if self.state[worker] == "away":
            self.state[worker], self.cpu_s[worker] = "loading", 0.0
            self.workers[worker].loading()

    def loaded(self, worker: int, cpu_s: float) -> None:
        if self.state[worker] == "loading":
            self.state[worker], self.cpu_s[worker] = "ready", cpu_s
            self.workers[worker].loaded(cpu_s)

    def step(self, worker: int, cpu_s: float, rows: list[Work]) -> None:
        if self.state[worker] == "ready":
            self.cpu_s[worker] += cpu_s
            self.workers[worker].step(StepRecord(cpu_s, self.cpu_s[worker], rows))

    def crash(self, worker: int) -> None:
        self.state[worker] = "away"
        self.workers[worker].lost()

    def help(self, cpu_s: float) -> None:
        """Every other one is of a system that does not tell processor time."""
        self.helped_s += cpu_s
        tells = len(self.helpers) % 2 == 0
        if len(self.helpers) < 3:
            self.helpers.append(self.bench.node.helper(lambda: self.helped_s if tells else None))

    def helped(self) -> None:
        if self.helpers:
            self.helpers.pop().ended()

    def tick(self) -> None:
        self.bench.node.tick()


@settings(max_examples=300)
@given(EVENTS)
def test_the_accounts_equal_the_meter_after_any_events(events: list[tuple[object, ...]]) -> None:
    story = Story()

    for what, *details in events:
        story.tell(str(what), *details)

        accounts = story.bench.node.accounts()
        assert sum(accounts.energy_uj.values()) == accounts.meter_uj
        assert sum(accounts.time_us.values()) == accounts.meter_us
        assert min(*accounts.energy_uj.values(), *accounts.time_us.values()) >= 0
        assert accounts.energy_uj["requests"] == story.charged_uj + accounts.open_uj

    for name in list(story.under_way):
        story.close(name)
    accounts = story.bench.accounts()
    assert accounts.meter_uj == story.bench.meter.energy_uj
    assert accounts.energy_uj["requests"] == story.charged_uj


@given(st.lists(st.tuples(st.integers(-(10**10), 10**10), st.floats(0, 90), st.floats(0, 9))))
def test_the_accounts_equal_a_meter_whose_counter_dies_and_comes_back(
    turns: list[tuple[int, float, float]],
) -> None:
    clock = Time()
    counter = Hand(joule=exact(1.06, "J"))
    meter = Watched(counter, Modelled(10.0, 70.0, 1, exact(1, "J"), clock), clock)
    node = Node(meter, clock, lambda: clock.now_s / 4)
    for number, (moved_uj, seconds, cpu_s) in enumerate(turns):
        helper = node.helper(lambda cpu_s=cpu_s: cpu_s)  # type: ignore[misc]
        node.open(str(number))
        clock.now_s += seconds
        counter.energy_uj += moved_uj
        node.close(str(number))
        helper.ended()

        accounts = node.accounts()
        assert sum(accounts.energy_uj.values()) == accounts.meter_uj
        assert sum(accounts.time_us.values()) == accounts.meter_us
        assert min(*accounts.energy_uj.values(), *accounts.time_us.values()) >= 0


def test_nothing_runs_so_all_is_idle() -> None:
    bench = Bench()
    bench.spend(5_000_000)

    assert bench.accounts().energy_uj["idle"] == 5_000_000


def test_loading_is_an_account_of_its_own_and_no_requests_cost() -> None:
    bench = Bench()
    worker = bench.node.consumer(BY_TOKENS)
    bench.spend(1)
    worker.loading()
    bench.node.open("waits for it")
    bench.spend(70, seconds=3)
    worker.loaded(cpu_s=4.0)

    accounts = bench.accounts().energy_uj

    assert accounts["load"] == 70
    assert accounts["idle"] == 1
    assert bench.node.close("waits for it").energy_uj == 0


def test_what_has_ended_is_charged_at_once_and_for_good() -> None:
    bench = Bench()
    worker = bench.node.consumer(BY_TOKENS)
    worker.loading()
    worker.loaded(1.0)
    bench.node.open("a")
    bench.node.open("b")
    bench.spend(100)
    worker.step(StepRecord(1.0, 2.0, [Work("a", 3, 0, 0), Work("b", 0, 1, 9)]))

    charge = bench.node.close("a")

    assert (charge.prefill_uj, charge.decode_uj) == (75, 0)
    assert (charge.prefill_us, charge.decode_us) == (750_000, 0)
    assert bench.node.accounts().open_uj == 25


def test_steps_weigh_in_a_window_as_their_cost_says() -> None:
    bench = Bench()
    worker = bench.node.consumer(StepCost(fixed_s=8.0, token_s=1.0))
    worker.loading()
    worker.loaded(1.0)
    bench.node.open("a")
    bench.node.open("b")
    bench.spend(1000)
    worker.step(StepRecord(0.5, 1.5, [Work("a", 0, 1, 0)]))
    worker.step(StepRecord(0.5, 2.0, [Work("a", 0, 1, 0), Work("b", 0, 1, 0)]))

    assert bench.node.close("a").energy_uj == round(1000 * 14 / 19)
    assert bench.node.close("b").energy_uj == round(1000 * 5 / 19)


def test_workers_share_by_their_processor_time() -> None:
    bench = Bench()
    workers = [bench.node.consumer(BY_TOKENS) for _ in range(2)]
    for worker in workers:
        worker.loading()
        worker.loaded(0.0)
    for name, worker, cpu_s in zip("ab", workers, (0.5, 1.5), strict=True):
        bench.node.open(name)
        worker.step(StepRecord(cpu_s, cpu_s, [Work(name, 0, 1, 0)]))
    bench.spend(1000)
    bench.node.tick()

    assert bench.node.close("a").energy_uj == 250
    assert bench.node.close("b").energy_uj == 750


def test_a_crash_leaves_what_was_not_yet_booked_to_nobody() -> None:
    bench = Bench()
    worker = bench.node.consumer(BY_TOKENS)
    worker.loading()
    worker.loaded(0.0)
    bench.node.open("a")
    bench.spend(10)
    worker.step(StepRecord(1.0, 1.0, [Work("a", 5, 0, 0)]))
    bench.node.tick()
    bench.spend(7)
    worker.step(StepRecord(1.0, 2.0, [Work("a", 0, 1, 5)]))

    worker.lost()

    assert bench.node.close("a").energy_uj == 10
    assert bench.accounts().energy_uj["unattributed"] == 7


def test_a_tick_waits_while_nobody_has_said_for_whom_the_work_is() -> None:
    bench = Bench()
    worker = bench.node.consumer(BY_TOKENS)
    worker.loading()
    worker.loaded(0.0)
    bench.node.open("a")
    bench.spend(400)
    bench.node.tick()
    worker.step(StepRecord(1.0, 1.0, [Work("a", 500, 0, 0)]))

    assert bench.node.close("a").energy_uj == 400


def test_a_request_that_no_step_worked_for_costs_nothing() -> None:
    bench = Bench()
    bench.node.open("refused")
    bench.spend(3)

    assert bench.node.close("refused").energy_uj == 0
    assert bench.accounts().energy_uj["unattributed"] == 3


def test_a_step_after_its_caller_has_gone_is_nobodys_and_the_rest_is_idle() -> None:
    bench = Bench()
    worker = bench.node.consumer(BY_TOKENS)
    worker.loading()
    worker.loaded(0.0)
    bench.node.open("gone")
    bench.node.close("gone")
    bench.spend(100)
    worker.step(StepRecord(0.25, 0.25, [Work("gone", 0, 1, 0)]))

    accounts = bench.accounts().energy_uj

    assert (accounts["unattributed"], accounts["idle"]) == (25, 75)


class Program:
    """A helper's processor time; None where it is not told."""

    def __init__(self, used_s: float | None = 0.0) -> None:
        self.used_s = used_s

    def __call__(self) -> float | None:
        return self.used_s


def test_time_in_which_only_a_helper_works_is_loading() -> None:
    bench, program = Bench(), Program()
    bench.spend(5)
    helper = bench.node.helper(program)
    bench.spend(1000, seconds=2)
    program.used_s = 0.5
    bench.node.tick()
    bench.spend(1000, seconds=2)
    program.used_s = 4.5
    helper.ended()
    bench.spend(7)

    accounts = bench.accounts()

    assert (accounts.energy_uj["load"], accounts.energy_uj["idle"]) == (2000, 12)
    assert accounts.time_us["load"] == 4_000_000


def test_a_helper_shares_with_workers_by_processor_time() -> None:
    bench, program = Bench(), Program()
    worker = bench.node.consumer(BY_TOKENS)
    worker.loading()
    worker.loaded(0.0)
    bench.node.open("a")
    helper = bench.node.helper(program)
    bench.spend(1000)
    program.used_s = 0.75
    worker.step(StepRecord(0.25, 0.25, [Work("a", 5, 0, 0)]))

    assert bench.node.close("a").energy_uj == 250
    helper.ended()
    assert bench.accounts().energy_uj["load"] == 750


def test_what_no_step_told_of_is_not_a_helpers() -> None:
    bench, program = Bench(), Program()
    helper = bench.node.helper(program)
    bench.node.open("given up in its first step")
    bench.spend(1000)
    program.used_s = 0.1
    bench.node.close("given up in its first step")
    helper.ended()

    accounts = bench.accounts().energy_uj

    assert (accounts["load"], accounts["unattributed"]) == (100, 900)


def test_a_helper_of_which_nothing_is_told_counts_as_one_busy_thread() -> None:
    bench = Bench()
    helper = bench.node.helper(Program(None))
    bench.spend(1000)
    helper.ended()

    assert bench.accounts().energy_uj["load"] == 1000


def test_a_helper_that_is_gone_uses_nothing_more() -> None:
    bench, program = Bench(), Program()
    helper = bench.node.helper(program)
    bench.spend(1000)
    program.used_s = 1.0
    bench.node.tick()
    bench.spend(500)
    program.used_s = None
    helper.ended()

    accounts = bench.accounts().energy_uj

    assert (accounts["load"], accounts["idle"]) == (1000, 500)


def test_what_fills_a_gap_of_the_counter_is_nobodys() -> None:
    bench = Bench()
    bench.spend(10)
    bench.meter.energy_uj += 60
    bench.meter.gap_uj += 60

    accounts = bench.accounts().energy_uj

    assert (accounts["unattributed"], accounts["idle"]) == (60, 10)


def test_whoever_does_the_same_pays_the_same_to_a_microjoule() -> None:
    bench = Bench()
    worker = bench.node.consumer(StepCost(0.01, 1e-4, 1e-8, 1e-7))
    worker.loading()
    worker.loaded(0.0)
    names = [f"{number:02}" for number in range(32)]
    for name in names:
        bench.node.open(name)
    for step in range(10):
        bench.spend(333_331, 0.01)
        rows = [Work(name, 0, 1, 100 + step) for name in names]
        worker.step(StepRecord(0.01, 0.01 * (step + 1), rows))
    bench.node.tick()

    charged = [bench.node.close(name).energy_uj for name in names]

    assert max(charged) - min(charged) <= 1
    assert sum(charged) == 3_333_310


def test_what_a_training_program_uses_is_booked_as_training() -> None:
    bench, program = Bench(), Program()
    bench.node.open("job", "train")
    trainer = bench.node.trainer("job", program)
    bench.spend(1000)
    program.used_s = 1.5
    bench.node.tick()
    so_far = bench.node.charged("job").energy_uj
    bench.spend(500)
    program.used_s = 2.0
    trainer.ended()

    charge = bench.node.close("job")

    assert (so_far, charge.energy_uj) == (1000, 1500)
    assert bench.accounts().energy_uj["train"] == 1500


def test_a_training_shares_with_a_worker_by_processor_time() -> None:
    bench, program = Bench(), Program()
    worker = bench.node.consumer(BY_TOKENS)
    worker.loading()
    worker.loaded(0.0)
    bench.node.open("job", "train")
    trainer = bench.node.trainer("job", program)
    bench.node.open("a")
    bench.spend(1000)
    program.used_s = 0.75
    worker.step(StepRecord(0.25, 0.25, [Work("a", 5, 0, 0)]))

    charge = bench.node.close("a")
    trainer.ended()
    bench.node.close("job")

    assert charge.energy_uj == 250
    assert bench.accounts().energy_uj["train"] == 750
