"""What is done on the nodes of a cluster is in their accounts, and in none of this machine."""

from canteen.core.engine import Home, StepRecord, Work
from canteen.core.footprint import Charge, Receipt
from canteen.core.generation import Usage
from canteen.metering.attribution import StepCost, Weights, add_step
from canteen.metering.cluster import Nodes, Replicas
from canteen.metering.meter import Meter
from canteen.metering.terms import Terms
from canteen.metering.till import Order, Till
from tests.metering.accounting import BY_TOKENS, CountingMeter
from tests.metering.books import RATES, TERMS, Books

ONE, TWO = Home("replica 1", "one", 0.5, {}), Home("replica 2", "two", 0.5, {})


class Kept:
    """A ledger that keeps."""

    def __init__(self) -> None:
        self.receipts: list[tuple[Receipt, Terms]] = []

    def add(self, receipt: Receipt, terms: Terms) -> None:
        self.receipts.append((receipt, terms))


class Bench:
    """Two nodes whose meters a test turns by hand, and the till."""

    def __init__(self) -> None:
        self.meters = {"one": CountingMeter(), "two": CountingMeter()}
        books, self.kept = Books(), Kept()
        self.till = Till(lambda: TERMS, accounts=books.accounts, book=self.kept, clock=books.clock)
        self.nodes = Nodes(self._meter, self._terms, self.till)
        self.replicas = Replicas(self.nodes, BY_TOKENS)

    def work(self, home: Home, request_id: str, energy_uj: int, cpu_s: float) -> None:
        """A replica writes a token, and its node's meter counts."""
        self.meters[home.node].energy_uj += energy_uj
        row = Work(request_id, 0, 1, 10)
        self.replicas.step(home.replica, StepRecord(0.1, cpu_s, [row], 1))

    def _meter(self, home: Home) -> Meter:
        meter = self.meters[home.node]
        meter.source = f"the meter of {home.node}"
        return meter

    def _terms(self, meter: Meter) -> Terms:
        return Terms(RATES, meter.source, meter.boundary, meter.grade)


def test_a_request_is_charged_what_the_meter_of_its_node_counts() -> None:
    bench = Bench()
    for request_id, home in (("a", ONE), ("b", TWO)):
        bench.replicas.open(request_id)
        bench.replicas.began(request_id, home)
    bench.work(ONE, "a", 700, cpu_s=1.0)
    bench.work(TWO, "b", 30, cpu_s=1.0)

    charges = [bench.replicas.close(request_id) for request_id in ("a", "b")]

    assert [(charge.node, charge.energy_uj) for charge in charges] == [("one", 700), ("two", 30)]


def test_the_accounts_of_a_node_add_up_to_its_meter() -> None:
    bench = Bench()
    bench.meters["one"].energy_uj = 1000
    bench.replicas.open("a")
    bench.replicas.began("a", ONE)
    bench.work(ONE, "a", 700, cpu_s=1.0)
    charge = bench.replicas.close("a")
    bench.meters["one"].energy_uj += 50
    bench.nodes.tick()

    accounts = bench.nodes.at(ONE).accounts()

    assert accounts.energy_uj["requests"] == charge.energy_uj == 700
    assert sum(accounts.energy_uj.values()) == accounts.meter_uj == 750


def test_what_a_dead_node_had_done_stays_on_the_bill_of_who_went_elsewhere() -> None:
    bench = Bench()
    bench.replicas.open("a")
    bench.replicas.began("a", ONE)
    bench.work(ONE, "a", 700, cpu_s=1.0)

    bench.replicas.began("a", TWO)
    bench.replicas.only([TWO.replica])
    bench.work(TWO, "a", 30, cpu_s=1.0)
    charge = bench.replicas.close("a")

    assert (charge.node, charge.energy_uj) == ("one,two", 730)


def test_who_never_got_to_a_replica_is_charged_nothing() -> None:
    bench = Bench()

    bench.replicas.open("a")

    assert bench.replicas.close("a") == Charge()


def test_a_replica_that_has_just_come_is_not_taken_for_one_that_has_gone() -> None:
    bench = Bench()
    bench.replicas.open("a")
    bench.replicas.began("a", ONE)

    bench.replicas.only([])
    bench.work(ONE, "a", 700, cpu_s=1.0)

    assert bench.replicas.close("a").energy_uj == 700


def test_a_receipt_is_on_the_terms_of_the_node_that_did_the_work() -> None:
    bench = Bench()
    bench.replicas.open("a")
    bench.replicas.began("a", ONE)
    bench.work(ONE, "a", 700, cpu_s=1.0)
    bench.till.open("r", Order("echo", "sha256:0", "echo"))

    bench.nodes.add("r", bench.replicas.close("a"), Usage())
    bench.till.settle("r")

    ((receipt, terms),) = bench.kept.receipts
    assert receipt.charge.node == receipt.node == "one"
    assert terms.source == "the meter of one"
    assert receipt.idle_share_uj == 0


def test_a_step_told_in_parts_costs_its_requests_what_it_costs_them_told_whole() -> None:
    cost = StepCost(fixed_s=0.9)
    rows = [Work(name, 0, 1, 10) for name in "abc"]
    whole: dict[str, Weights] = {}
    add_step(whole, cost, rows)

    parts: dict[str, Weights] = {}
    for row in rows:
        add_step(parts, cost, [row], num_requests=3)

    assert parts == whole
