"""What is done on the nodes of a cluster: the accounts of each, and whose request ran where."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

from canteen.core.engine import ClusterListener, Home, StepRecord
from canteen.core.footprint import Account, Charge
from canteen.core.generation import Usage
from canteen.metering.attribution import StepCost
from canteen.metering.consumer import Consumer
from canteen.metering.meter import Meter
from canteen.metering.node import Node
from canteen.metering.terms import Terms
from canteen.metering.till import Till


class Nodes:
    """A Node for each machine of the cluster that has worked, under its name. `make_meter` gives
    what counts there, `terms` on which terms that is told."""

    def __init__(
        self, make_meter: Callable[[Home], Meter], terms: Callable[[Meter], Terms], till: Till
    ) -> None:
        self._make_meter = make_meter
        self._terms = terms
        self._till = till
        self._nodes: dict[str, Node] = {}

    def at(self, home: Home) -> Node:
        """The accounts of a replica's node; what the gateway does itself is not in them."""
        if home.node not in self._nodes:
            self._nodes[home.node] = Node(self._make_meter(home), cpu_clock=lambda: 0.0)
        return self._nodes[home.node]

    def tick(self) -> None:
        """Book what was counted until now; to be called each second."""
        for node in self._nodes.values():
            node.tick()

    def add(self, receipt_id: str, charge: Charge, usage: Usage) -> None:
        """Put a charge on its bill, on the terms of the node that it names, or of the last."""
        node = self._nodes.get(charge.node.rpartition(",")[2])
        terms = None if node is None else self._terms(node.meter)
        self._till.add(receipt_id, charge, usage, terms)


@dataclass(slots=True)
class _Request:
    """One under way, at `home` once a replica has taken it. What it was charged on nodes that it
    had to leave is in `charge`."""

    account: Account
    charge: Charge = field(default_factory=Charge)
    home: Home | None = None


class Replicas(ClusterListener):
    """The accounts of a model that runs on the cluster, whose steps cost so much."""

    def __init__(self, nodes: Nodes, cost: StepCost) -> None:
        self._nodes = nodes
        self._cost = cost
        self._consumers: dict[str, Consumer] = {}
        self._requests: dict[str, _Request] = {}

    def open(self, request_id: str, account: Account = "requests") -> None:
        """A request is about to be sent to the cluster."""
        self._requests[request_id] = _Request(account)

    def close(self, request_id: str) -> Charge:
        """The request has ended: its charge, which names its node."""
        request = self._requests.pop(request_id)
        self._leave(request_id, request)
        return request.charge

    def began(self, request_id: str, home: Home) -> None:
        """A replica has taken it."""
        request = self._requests[request_id]
        self._leave(request_id, request)
        request.home = home
        self._meet(home)
        self._nodes.at(home).open(request_id, request.account)

    def step(self, replica: str, record: StepRecord) -> None:
        """It has told of a step."""
        self._consumers[replica].step(record)

    def only(self, replicas: Collection[str]) -> None:
        """Those that are not there any more do nothing; one that has just come is not told yet."""
        homes = {one.home.replica for one in self._requests.values() if one.home is not None}
        for replica in self._consumers.keys() - homes - set(replicas):
            self._consumers.pop(replica).lost()

    def _meet(self, home: Home) -> None:
        """Book what loading took, of a replica that is new."""
        if home.replica not in self._consumers:
            consumer = self._nodes.at(home).consumer(self._cost)
            consumer.loading()
            consumer.loaded(home.cpu_s)
            self._consumers[home.replica] = consumer

    def _leave(self, request_id: str, request: _Request) -> None:
        if request.home is not None:
            charge = self._nodes.at(request.home).close(request_id)
            request.charge += replace(charge, node=request.home.node)
            request.home = None
