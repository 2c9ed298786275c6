"""What a training has taken so far, to be told while it goes on."""

import contextlib
from collections.abc import Callable, Iterator

from canteen.core.footprint import Charge, Footprint
from canteen.metering.consumer import process_cpu_s
from canteen.metering.node import Node


class Tab:
    """A training under way, whose receipt has this id. `tokens` are those it has learned from,
    and are told by whoever runs it."""

    def __init__(
        self, node: Node, receipt_id: str, footprint: Callable[[Charge], Footprint]
    ) -> None:
        self._node = node
        self._receipt_id = receipt_id
        self._footprint = footprint
        self.tokens = 0

    @contextlib.contextmanager
    def watch(self, pid: int) -> Iterator[None]:
        """While the program runs that trains."""
        trainer = self._node.trainer(self._receipt_id, lambda: process_cpu_s(pid))
        try:
            yield
        finally:
            trainer.ended()

    def footprint(self) -> Footprint:
        """Of what was booked until now, at most a second ago."""
        return self._footprint(self._node.charged(self._receipt_id))
