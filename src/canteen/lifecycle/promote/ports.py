"""What promotion is given by the rooms that it does not know."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from canteen.core.model import ModelCard
from canteen.lifecycle.promote.gate import Condition, Figure, Question


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures by metric, and the run that they are of, if one was kept; `num_failed` of its items
    got no answer."""

    figures: Mapping[str, Figure]
    run: str = ""
    num_items: int = 0
    num_failed: int = 0


class Ports(Protocol):
    """The store, and who measures.

    `get` raises ModelNotFound; `move` is `Catalog.move`. `check` looks whether conditions can be
    measured of a model, and `measure` puts a question to it; both raise InvalidRequest. `load`
    raises what keeps it from being served.
    """

    home: Path

    def get(self, name: str) -> ModelCard: ...

    def find(self, name: str) -> ModelCard | None: ...

    def move(
        self, name: str, card: ModelCard, *, before: ModelCard | None, keep_as: str
    ) -> None: ...

    def remove(self, name: str) -> None: ...

    def check(self, conditions: Sequence[Condition], card: ModelCard) -> None: ...

    async def measure(self, card: ModelCard, question: Question) -> Measured: ...

    async def load(self, card: ModelCard) -> None: ...

    def is_comparable(self, one: ModelCard, other: ModelCard) -> bool:
        """Whether their perplexities are of the same tokens."""
        ...
