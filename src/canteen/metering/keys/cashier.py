"""Reserving and settling from an event loop: a thread writes all that waits in one transaction."""

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from canteen.core.errors import CanteenError
from canteen.metering.keys.holds import Holds, Operation, Outcome, Reserve, Settle

logger = logging.getLogger(__name__)

# Others hold a gateway for dead that does not say for a minute that it lives.
BEAT_S = 5.0
# So many operations are done in one transaction.
_MOST = 256


@dataclass(frozen=True, slots=True)
class _Slip:
    """An operation, and who waits for it, if anybody does."""

    operation: Operation
    loop: asyncio.AbstractEventLoop | None = None
    done: "asyncio.Future[Outcome | None] | None" = None


class Cashier:
    """Does operations in the order in which they come. What is settled is tried again until the
    database takes it; what cannot be reserved is refused."""

    def __init__(self, holds: Holds) -> None:
        self._holds = holds
        self._slips: queue.SimpleQueue[_Slip | None] = queue.SimpleQueue()
        self._again: list[_Slip] = []
        self._thread: threading.Thread | None = None

    async def reserve(self, *reserves: Reserve) -> list[Outcome]:
        """Hold what requests may take; raises EngineError where the database cannot be used."""
        slips = [self._slip(one) for one in reserves]
        for slip in slips:
            self._put(slip)
        waiting = [slip.done for slip in slips if slip.done is not None]
        done = None
        try:
            done = await asyncio.gather(*waiting)
        finally:
            if done is None:
                # Nobody is there any more to settle what may be held already.
                for one in reserves:
                    self.settle_later(Settle(one, 0.0, {}))
        return [one for one in done if one is not None]

    async def settle(self, settle: Settle) -> None:
        """Book what a request took, and wait until it is booked."""
        slip = self._slip(settle)
        self._put(slip)
        if slip.done is not None:
            await slip.done

    def settle_later(self, settle: Settle) -> None:
        """Book what a request took, soon."""
        self._put(_Slip(settle))

    def close(self) -> None:
        """Do what waits, and say that this gateway holds nothing any more."""
        if self._thread is None:
            return
        self._slips.put(None)
        self._thread.join()
        self._thread = None

    def _slip(self, operation: Operation) -> _Slip:
        loop = asyncio.get_running_loop()
        return _Slip(operation, loop, loop.create_future())

    def _put(self, slip: _Slip) -> None:
        self._slips.put(slip)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="cashier", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        beaten_s, is_closing = float("-inf"), False
        while not is_closing:
            if time.monotonic() - beaten_s > BEAT_S:
                self._beat()
                beaten_s = time.monotonic()
            slips, is_closing = self._taken()
            if slips or self._again:
                self._do(slips)
        try:
            self._holds.leave()
        except CanteenError:
            logger.warning("what this gateway holds is given back by the next one")

    def _taken(self) -> tuple[list[_Slip], bool]:
        """What waits, once anything does, and whether this is the end."""
        try:
            first = self._slips.get(timeout=BEAT_S)
        except queue.Empty:
            return [], False
        slips = []
        while first is not None:
            slips.append(first)
            if len(slips) == _MOST or self._slips.empty():
                return slips, False
            first = self._slips.get()
        return slips, True

    def _do(self, slips: Sequence[_Slip]) -> None:
        slips, self._again = [*self._again, *slips], []
        try:
            outcomes = self._holds.apply([slip.operation for slip in slips])
        except CanteenError as error:
            for slip in slips:
                self._failed(slip, error)
            return
        for slip, outcome in zip(slips, outcomes, strict=True):
            _tell(slip, outcome)

    def _failed(self, slip: _Slip, error: CanteenError) -> None:
        if isinstance(slip.operation, Settle):
            # Its answer is no worse for it.
            self._again.append(_Slip(slip.operation))
            _tell(slip, None)
        else:
            _tell(slip, error)

    def _beat(self) -> None:
        try:
            self._holds.beat()
        except CanteenError as error:
            logger.error("budgets cannot be kept now: %s", error.message)


def _tell(slip: _Slip, outcome: "Outcome | CanteenError | None") -> None:
    """Wake who waits; a loop that is over has nobody who does."""
    if slip.loop is None or slip.loop.is_closed():
        return
    slip.loop.call_soon_threadsafe(_wake, slip, outcome)


def _wake(slip: _Slip, outcome: "Outcome | CanteenError | None") -> None:
    done = slip.done
    assert done is not None
    if done.done():
        return
    if isinstance(outcome, CanteenError):
        done.set_exception(outcome)
    else:
        done.set_result(outcome)
