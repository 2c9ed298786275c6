"""Who works on a node: workers, which tell what their steps took, and programs, which are asked."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from canteen.core.engine import StepListener, StepRecord
from canteen.core.footprint import Account
from canteen.metering.attribution import StepCost, Weights, add_step


class Windows(Protocol):
    """What consumers need of their node."""

    def add(self, consumer: "Consumer | Program") -> None: ...

    def remove(self, consumer: "Consumer | Program") -> None: ...

    def read(self) -> None: ...


class Consumer(StepListener):
    """What a worker did since the last reading; the worker tells it, the node asks it."""

    def __init__(self, node: Windows, cost: StepCost) -> None:
        self._node = node
        self._cost = cost
        self._told_s = 0.0
        self._assumed_s = 0.0
        self.is_loading = False
        self.forget()

    @property
    def is_heard(self) -> bool:
        """Whether it has told of work in this window."""
        return self.cpu_s > 0

    @property
    def account(self) -> Account:
        """Where its work is booked."""
        return "load" if self.is_loading else "requests"

    def forget(self) -> None:
        """A new window begins."""
        self.cpu_s = 0.0
        self.stepped_s = 0.0
        self.weights: dict[str, Weights] = {}

    def assume(self, window_s: float) -> None:
        """While it loads it tells nothing: it counts as one busy thread until it does."""
        if self.is_loading and not self.cpu_s:
            self.cpu_s = window_s
            self._assumed_s += window_s

    def loading(self) -> None:
        """The worker was started."""
        self._node.add(self)
        self.is_loading = True
        self._told_s = self._assumed_s = 0.0

    def loaded(self, cpu_s: float) -> None:
        """The model is there."""
        self.cpu_s = max(0.0, cpu_s - self._assumed_s)
        self._told_s = cpu_s
        self._node.read()
        self.is_loading = False

    def step(self, record: StepRecord) -> None:
        """A step was done."""
        self.cpu_s += max(0.0, record.cpu_s - self._told_s)
        self._told_s = record.cpu_s
        self.stepped_s += record.duration_s
        add_step(self.weights, self._cost, record.work, record.num_requests)

    def lost(self) -> None:
        """The worker has ended, and with it what its last steps were for."""
        self.weights.clear()
        self._node.remove(self)
        self.is_loading = False
        self.forget()


class Program:
    """A program that tells nothing and is looked at. `clock` tells the processor seconds that it
    has used since it began, None where it cannot. Where it never could, it counts as one busy
    thread. What it used after the last look is not seen."""

    account: Account = "requests"
    is_loading = False
    is_heard = True
    stepped_s = 0.0

    def __init__(self, node: Windows, clock: Callable[[], float | None]) -> None:
        self._node = node
        self._clock = clock
        self._told_s = None if clock() is None else 0.0
        self.cpu_s = 0.0
        node.add(self)

    @property
    def weights(self) -> dict[str, Weights]:
        """For which requests it worked in the window."""
        return {}

    def forget(self) -> None:
        """A new window begins."""
        self.cpu_s = 0.0

    def assume(self, window_s: float) -> None:
        """Look how much it has used."""
        if self._told_s is None:
            self.cpu_s = window_s
            return
        told_s = self._clock() or 0.0
        self.cpu_s = max(0.0, told_s - self._told_s)
        self._told_s = max(self._told_s, told_s)

    def ended(self) -> None:
        """The program is no more."""
        self._node.remove(self)


class Helper(Program):
    """A program that brings or prepares a model: what it uses is for loading, whoever waits."""

    account: Account = "load"
    is_heard = False


class Trainer(Program):
    """A program that trains: what it uses is for one request."""

    def __init__(self, node: Windows, clock: Callable[[], float | None], request_id: str) -> None:
        self._request_id = request_id
        super().__init__(node, clock)

    @property
    def weights(self) -> dict[str, Weights]:
        """All of it."""
        return {self._request_id: Weights(decode_s=self.cpu_s)} if self.cpu_s else {}


def process_cpu_s(pid: int) -> float | None:
    """Processor seconds of a process and of its children that have ended; None where the system
    does not tell, or the process is no more."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name before the last bracket may hold anything; user, system, and the same of children.
    ticks = told.rpartition(")")[2].split()[11:15]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
