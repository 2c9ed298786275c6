"""Reserving and settling from an event loop, all that waits in one transaction: by the loop itself
where the database is at hand and free, which takes it less time than to wake a thread; else by a
thread, which may wait."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from canteen.core.errors import CanteenError
from canteen.metering.keys.holds import Holds, Operation, Outcome, Reserve, Settle

logger = logging.getLogger(__name__)

# Others hold a gateway for dead that does not say for a minute that it lives.
BEAT_S = 5.0
# So long what nobody waits for may wait for something that somebody does.
SOON_S = 0.01
# So many slips are done in one transaction.
_MOST = 256

_Said = list[Outcome | None] | CanteenError


@dataclass(frozen=True, slots=True)
class _Slip:
    """Operations, and who waits for what comes of them, if anybody does."""

    operations: Sequence[Operation]
    done: "asyncio.Future[list[Outcome | None]] | None" = None


class Cashier:
    """Does operations in the order in which they come. What is settled is tried again until the
    database takes it; what cannot be reserved is refused."""

    def __init__(self, holds: Holds) -> None:
        self._holds = holds
        self._slips: deque[_Slip] = deque()
        self._bell = threading.Event()
        # Who has it takes slips and does them.
        self._turn = threading.Lock()
        self._has_beaten = False
        self._again: list[Operation] = []
        self._is_closing = False
        self._thread: threading.Thread | None = None

    async def reserve(self, *reserves: Reserve) -> list[Outcome]:
        """Hold what requests may take; raises EngineError where the database cannot be used."""
        if not reserves:
            return []
        done = None
        try:
            done = await self._ask(reserves)
        finally:
            if done is None:
                # Nobody is there any more to settle what may be held already.
                for one in reserves:
                    self.settle_later(Settle(one, 0.0, {}))
        return [one for one in done if one is not None]

    async def settle(self, settle: Settle) -> None:
        """Book what a request took, and wait until it is booked."""
        await self._ask([settle])

    def settle_later(self, settle: Settle) -> None:
        """Book what a request took, soon: with what is asked for next, if that comes sooner."""
        self._slips.append(_Slip([settle]))
        asyncio.get_running_loop().call_later(SOON_S, self._do_soon)

    def close(self) -> None:
        """Do what waits, and say that this gateway holds nothing any more."""
        self._is_closing = True
        if self._thread is not None:
            self._bell.set()
            self._thread.join()
            self._thread = None

    def _ask(self, operations: Sequence[Operation]) -> "asyncio.Future[list[Outcome | None]]":
        done = asyncio.get_running_loop().create_future()
        self._slips.append(_Slip(operations, done))
        self._do_soon()
        return done

    def _do_soon(self) -> None:
        if self._slips and not self._do_at_once():
            self._ring()

    def _do_at_once(self) -> bool:
        """Do all that waits, if that is possible without waiting for anybody; what goes wrong is
        for the thread to see to."""
        if not self._has_beaten or self._again or not self._turn.acquire(blocking=False):
            return False
        try:
            slips = list(self._slips)
            outcomes = self._holds.apply_at_once(_operations(slips))
            if outcomes is None:
                return False
            for _ in slips:
                self._slips.popleft()
            _tell(_shared(slips, outcomes), asyncio.get_running_loop())
            return True
        finally:
            self._turn.release()

    def _ring(self) -> None:
        self._bell.set()
        if self._thread is None and not self._is_closing:
            self._thread = threading.Thread(target=self._work, name="cashier", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        beaten_s = float("-inf")
        while not self._is_closing or self._slips:
            if time.monotonic() - beaten_s > BEAT_S:
                self._beat()
                beaten_s = time.monotonic()
            self._bell.wait(0.0 if self._slips else BEAT_S)
            self._bell.clear()
            with self._turn:
                self._do([self._slips.popleft() for _ in range(min(len(self._slips), _MOST))])
        try:
            self._holds.leave()
        except CanteenError:
            logger.warning("what this gateway holds is given back by the next one")

    def _do(self, slips: Sequence[_Slip]) -> None:
        operations = [*self._again, *_operations(slips)]
        if not operations:
            return
        num_again, self._again = len(self._again), []
        try:
            outcomes = self._holds.apply(operations)[num_again:]
        except CanteenError as error:
            # An answer is no worse for what is booked later.
            self._again = [one for one in operations if isinstance(one, Settle)]
            _tell([(slip, _failed(slip, error)) for slip in slips])
            return
        _tell(_shared(slips, outcomes))

    def _beat(self) -> None:
        try:
            self._holds.beat()
            self._has_beaten = True
        except CanteenError as error:
            logger.error("budgets cannot be kept now: %s", error.message)


def _failed(slip: _Slip, error: CanteenError) -> _Said:
    is_settled = all(isinstance(one, Settle) for one in slip.operations)
    return [None] * len(slip.operations) if is_settled else error


def _operations(slips: Iterable[_Slip]) -> list[Operation]:
    return [one for slip in slips for one in slip.operations]


def _shared(
    slips: Iterable[_Slip], outcomes: Iterable[Outcome | None]
) -> list[tuple[_Slip, _Said]]:
    """To each slip what came of its operations."""
    left = iter(outcomes)
    return [(slip, [next(left) for _ in slip.operations]) for slip in slips]


def _tell(
    told: Sequence[tuple[_Slip, _Said]], here: asyncio.AbstractEventLoop | None = None
) -> None:
    """Wake who waits, all of a loop at once, those of the loop that is `here` at once; a loop that
    is over has nobody who does."""
    waiting: dict[asyncio.AbstractEventLoop, list[tuple[_Slip, _Said]]] = {}
    for slip, said in told:
        if slip.done is not None:
            waiting.setdefault(slip.done.get_loop(), []).append((slip, said))
    for loop, those in waiting.items():
        if loop is here:
            _wake(those)
        elif not loop.is_closed():
            loop.call_soon_threadsafe(_wake, those)


def _wake(told: Sequence[tuple[_Slip, _Said]]) -> None:
    for slip, said in told:
        done = slip.done
        if done is None or done.done():
            continue
        if isinstance(said, CanteenError):
            done.set_exception(said)
        else:
            done.set_result(said)
