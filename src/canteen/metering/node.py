"""The accounts of a node: every microjoule that its meter counts is booked once, and stays so."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import get_args

from canteen.core.footprint import Account, Charge
from canteen.metering.attribution import StepCost, Weights, apportion
from canteen.metering.consumer import Consumer, Helper, Program, Trainer
from canteen.metering.meter import Meter

ACCOUNTS: tuple[Account, ...] = get_args(Account)


@dataclass(frozen=True, slots=True)
class Accounts:
    """Integers that add up: energies to `meter_uj`, times to `meter_us`, to the last unit.

    `open_uj` is the part of the requests' energy whose requests have not ended, `boards_uj` the
    part of the meter's that boards took.
    """

    energy_uj: Mapping[Account, int]
    time_us: Mapping[Account, int]
    meter_uj: int
    meter_us: int
    open_uj: int
    boards_uj: int = 0


@dataclass(slots=True)
class _Open:
    """A request under way."""

    account: Account
    charge: Charge = field(default_factory=Charge)


class Node:
    """Splits what the meter counts among requests, loading, idling and nobody.

    A window is the time between two readings. One is closed when a request ends, so that its
    charge is final at once; when work begins or ends altogether, so that a window is all idle or
    all busy; and by `tick`. Inside a window the consumers share by their processor time, and
    inside a consumer the requests by what their steps took. The gateway's own work is shared
    like the rest. All calls are made from one thread.
    """

    def __init__(
        self,
        meter: Meter,
        clock: Callable[[], float] = time.monotonic,
        cpu_clock: Callable[[], float] = time.process_time,
    ) -> None:
        self.meter = meter
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._open: dict[str, _Open] = {}
        self._consumers: list[Consumer | Program] = []
        self._workers_cpu_s = 0.0
        self._energy_uj: dict[Account, int] = dict.fromkeys(ACCOUNTS, 0)
        self._time_us: dict[Account, int] = dict.fromkeys(ACCOUNTS, 0)
        self._began_s = self._read_s = clock()
        self._began = self._last = meter.read(cpu_clock())
        self._last_us = 0

    def consumer(self, cost: StepCost) -> Consumer:
        """A listener for one worker, whose steps cost so much."""
        return Consumer(self, cost)

    def helper(self, clock: Callable[[], float | None]) -> Helper:
        """A program that brings a model has begun, and has used so much processor time."""
        return Helper(self, clock)

    def trainer(self, request_id: str, clock: Callable[[], float | None]) -> Trainer:
        """A program that trains for a request has begun, and has used so much."""
        return Trainer(self, clock, request_id)

    def charged(self, request_id: str) -> Charge:
        """What a request that is under way has been charged so far."""
        return self._open[request_id].charge

    def open(self, request_id: str, account: Account = "requests") -> None:
        """A request is about to be sent to a worker; what it costs is booked to an account."""
        if not self._is_busy:
            self.read()
        self._open[request_id] = _Open(account)

    def close(self, request_id: str) -> Charge:
        """The request has ended, one way or another: its charge, which is final."""
        is_last = len(self._open) == 1 and not self._is_loading
        if is_last or any(request_id in consumer.weights for consumer in self._consumers):
            self.read()
        return self._open.pop(request_id).charge

    def tick(self) -> None:
        """Book what was counted until now; to be called each second.

        While requests are under way and no step has told yet for whom, it waits.
        """
        if not self._open or any(consumer.is_heard for consumer in self._consumers):
            self.read()

    def accounts(self) -> Accounts:
        """The accounts at the last reading."""
        return Accounts(
            energy_uj=dict(self._energy_uj),
            time_us=dict(self._time_us),
            meter_uj=self._last.energy_uj - self._began.energy_uj,
            meter_us=self._last_us,
            open_uj=sum(
                request.charge.energy_uj
                for request in self._open.values()
                if request.account == "requests"
            ),
            boards_uj=self._last.boards_uj - self._began.boards_uj,
        )

    def add(self, consumer: Consumer | Program) -> None:
        """A worker or helper has been started."""
        if not self._is_busy:
            self.read()
        self._consumers.append(consumer)

    def remove(self, consumer: Consumer | Program) -> None:
        """A worker or helper has ended."""
        if consumer in self._consumers:
            self.read()
            self._consumers.remove(consumer)

    def read(self) -> None:
        """Close the window: book what was counted in it. What is busy now was so all through."""
        now_s = self._clock()
        window_s, self._read_s = now_s - self._read_s, now_s
        for consumer in self._consumers:
            consumer.assume(window_s)
        self._workers_cpu_s += sum(consumer.cpu_s for consumer in self._consumers)
        last, last_us = self._last, self._last_us
        self._last = self.meter.read(self._cpu_clock() + self._workers_cpu_s)
        self._last_us = int(1e6 * (now_s - self._began_s))
        gap_uj = self._last.gap_uj - last.gap_uj
        energy_uj = self._last.energy_uj - last.energy_uj - gap_uj
        self._book("unattributed", gap_uj, 0)
        if self._is_busy:
            self._book_busy(energy_uj, self._last_us - last_us)
        else:
            self._book_rest("idle", energy_uj, self._last_us - last_us)
        for consumer in self._consumers:
            consumer.forget()

    @property
    def _is_loading(self) -> bool:
        return any(consumer.is_loading for consumer in self._consumers)

    @property
    def _is_busy(self) -> bool:
        return bool(self._open) or self._is_loading

    def _book(self, account: Account, energy_uj: int, time_us: int) -> None:
        self._energy_uj[account] += energy_uj
        self._time_us[account] += time_us

    def _book_rest(self, account: Account, energy_uj: int, time_us: int) -> None:
        """A window in which no worker did anything for a request, but for the steps that nobody
        waited for any more. If helpers did, it is for loading: all of it where nobody waited, else
        as long as they kept a processor busy."""
        in_vain_s = sum(consumer.stepped_s for consumer in self._consumers)
        helped_s = sum(one.cpu_s for one in self._consumers if isinstance(one, Helper))
        if helped_s and account == "idle":
            account = "load"
        took: tuple[tuple[Account, float], ...] = (("unattributed", in_vain_s), ("load", helped_s))
        left_uj, left_us = energy_uj, time_us
        for worked, took_s in took:
            took_us = min(int(1e6 * took_s), left_us)
            took_uj = energy_uj * took_us // time_us if time_us else 0
            self._book(worked, took_uj, took_us)
            left_uj, left_us = left_uj - took_uj, left_us - took_us
        self._book(account, left_uj, left_us)

    def _book_busy(self, energy_uj: int, time_us: int) -> None:
        working = [consumer for consumer in self._consumers if consumer.cpu_s > 0]
        if all(isinstance(consumer, Helper) for consumer in working):
            self._book_rest("unattributed", energy_uj, time_us)
            return
        weights = [consumer.cpu_s for consumer in working]
        energies_uj, times_us = apportion(energy_uj, weights), apportion(time_us, weights)
        for consumer, part_uj, part_us in zip(working, energies_uj, times_us, strict=True):
            if consumer.account == "load":
                self._book("load", part_uj, part_us)
            else:
                self._charge(consumer.weights, part_uj, part_us)

    def _charge(self, weights: Mapping[str, Weights], energy_uj: int, time_us: int) -> None:
        """Among requests; what those took that have ended is nobody's."""
        taken = sorted(weights.items())
        parts = [part_s for _, one in taken for part_s in (one.prefill_s, one.decode_s)]
        if not any(parts):
            self._book("unattributed", energy_uj, time_us)
            return
        energies_uj, times_us = apportion(energy_uj, parts), apportion(time_us, parts)
        for index, (request_id, _) in enumerate(taken):
            both = slice(2 * index, 2 * index + 2)
            charge = Charge(*energies_uj[both], *times_us[both])
            account: Account = "unattributed"
            if request_id in self._open:
                request = self._open[request_id]
                request.charge += charge
                account = request.account
            self._book(account, charge.energy_uj, charge.device_us)
