"""The memory of all models together: what they count for, and which of them make room."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from canteen.core.errors import ModelUnsuitable
from canteen.core.model import ModelCard
from canteen.runtime.figures import Figures
from canteen.runtime.slot import Slot

MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Budget:
    """At most `total_bytes` for all models, by the figures there are of each. `arithmetic` tells
    how a model comes to what it takes, empty where that is not known."""

    total_bytes: int
    figures: Figures
    arithmetic: Callable[[ModelCard], str] = lambda card: ""

    def check(self, card: ModelCard) -> None:
        """Raises ModelUnsuitable for a model that does not fit even where it is alone."""
        needed_bytes = self.figures.memory_bytes(card)
        if needed_bytes > self.total_bytes:
            told = self.arithmetic(card)
            raise ModelUnsuitable(
                f"model '{card.name}' needs {needed_bytes // MB} MB of memory and all models "
                f"together may take {self.total_bytes // MB} MB; raise CANTEEN_MEMORY_GB, lower "
                f"CANTEEN_KV_CACHE_GB, or choose a smaller model{told and f' ({told})'}",
                param="model",
                code="not_enough_memory",
            )

    def used_bytes(self, slots: Iterable[Slot]) -> int:
        """What those of them that are in memory count for."""
        return sum(self.figures.memory_bytes(slot.card) for slot in slots if slot.is_in_memory)

    def missing_bytes(self, slots: Iterable[Slot], waiting: Slot | None = None) -> int:
        """What is too much when `slots` are in memory and `waiting` comes; 0 or less if it fits."""
        needed_bytes = 0 if waiting is None else self.figures.memory_bytes(waiting.card)
        return self.used_bytes(slots) + needed_bytes - self.total_bytes

    def asleep_bytes(self, slot: Slot) -> int:
        """What a model counts for while it sleeps: its weights are in host memory then, and perhaps
        in pages that no process is seen to have."""
        return slot.load_bytes + slot.card.size_bytes

    def victims(
        self, slots: Iterable[Slot], waiting: Slot, missing_bytes: int, now_s: float
    ) -> list[Slot]:
        """Which of `slots` make room for `waiting`; nobody where all of them do not suffice.

        First come those that may go now, idle ones before the others, of those the ones that sleep,
        and the least recently used before the rest; then those that have some time to stay, by how
        long that is.
        """

        def turn(slot: Slot) -> tuple[float, bool, bool, float]:
            until_s = max(slot.stays_until_s(waiting), now_s)
            return until_s, slot.num_users > 0, slot.resting is None, slot.used_s

        chosen = []
        for slot in sorted(slots, key=turn):
            if missing_bytes <= 0:
                break
            chosen.append(slot)
            missing_bytes -= self.figures.memory_bytes(slot.card)
        return chosen if missing_bytes <= 0 else []

    def shortage(self, slots: Iterable[Slot], waiting: Slot) -> str:
        """Why a model waits, in numbers."""
        there = [slot for slot in slots if slot.is_in_memory]
        names = ", ".join(slot.card.name for slot in there)
        return (
            f"waits for {self.figures.memory_bytes(waiting.card) // MB} MB of memory; "
            f"{self.used_bytes(there) // MB} of {self.total_bytes // MB} MB are taken by {names}"
        )
