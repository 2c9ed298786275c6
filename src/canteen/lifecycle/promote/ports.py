"""What promotion is given by the rooms that it does not know."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from canteen.core.model import ModelCard
from canteen.lifecycle.promote.gate import Condition, Figure, Question


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures by metric, and the run that they are of, if one was kept."""

    figures: Mapping[str, Figure]
    run: str = ""


class Ports(Protocol):
    """The store, and who measures.

    `get` raises ModelNotFound; `move` is `Catalog.move`. `check` looks whether conditions can be
    measured, and `measure` puts a question to a model; both raise InvalidRequest.
    """

    home: Path

    def get(self, name: str) -> ModelCard: ...

    def find(self, name: str) -> ModelCard | None: ...

    def move(
        self, name: str, card: ModelCard, *, before: ModelCard | None, keep_as: str
    ) -> None: ...

    def remove(self, name: str) -> None: ...

    def check(self, conditions: Sequence[Condition]) -> None: ...

    async def measure(self, card: ModelCard, question: Question) -> Measured: ...

    def is_comparable(self, one: ModelCard, other: ModelCard) -> bool:
        """Whether their perplexities are of the same tokens."""
        ...
