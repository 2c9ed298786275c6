"""An event loop whose clock jumps to the next timer, so that waiting takes no time."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run it on such a loop; fails where everything waits and no timer is left."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(work)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Its time begins at 0 and stands still while there is work."""

    def __init__(self) -> None:
        self._selector_of_time = _Selector(self)
        self.now_s = 0.0
        super().__init__(self._selector_of_time)

    def time(self) -> float:
        return self.now_s


class _Selector(selectors.SelectSelector):
    """Does not wait for the timeout: lets it pass."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise AssertionError("everybody waits, and nothing will ever happen")
        if timeout > 0:
            # The loop calls timers that are due within the clock's resolution.
            self._loop.now_s += timeout + 1e-9
        return super().select(0)
