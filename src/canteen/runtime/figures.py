"""What models were measured to take: memory at its highest, and the time to load."""

import asyncio
import json
import logging
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from canteen.core.model import ModelCard
from canteen.runtime import blobs

logger = logging.getLogger(__name__)

# Growth below this is no reason to write the file again.
NOTABLE_GROWTH = 0.01

# The model of a worker that was never measured. Fitted to two: 461 MB for a generator of 140 MB,
# 117 MB for an embedder of 46 MB, both just loaded, 22 MB for a worker without weights.
WORKER_BYTES = 50_000_000
ENGINE_BYTES = 200_000_000
BYTES_PER_WEIGHT_BYTE = 1.5


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of a model's worker: highest resident bytes, seconds of its last load."""

    memory_bytes: int = 0
    load_s: float = 0.0

    def __post_init__(self) -> None:
        if self.memory_bytes < 0 or not 0 <= self.load_s < math.inf:
            raise ValueError("nothing takes as much")


class Figures:
    """What is known of each model, by its weights and engine; remembered in `path`, if given.

    `kv_cache_bytes` is what a generator is allowed for its KV cache.
    """

    def __init__(self, path: Path | None = None, kv_cache_bytes: int = 0) -> None:
        self._path = path
        self._kv_cache_bytes = kv_cache_bytes
        self._measured = _read(path) if path else {}
        self._is_saved = True
        self._saving = asyncio.Lock()

    def memory_bytes(self, card: ModelCard) -> int:
        """What the model counts for: its highest measured figure, before that an estimate."""
        return self._of(card).memory_bytes or self._estimated_bytes(card)

    def is_measured(self, card: ModelCard) -> bool:
        """Whether `memory_bytes` was measured."""
        return self._of(card).memory_bytes > 0

    def told(self, card: ModelCard) -> str:
        """How a model with weights comes to `memory_bytes`: terms that add up to it."""
        needed_bytes = self.memory_bytes(card)
        if self.is_measured(card):
            return f"{_mb(needed_bytes)} is the most that it was measured to take"
        weights_bytes = int(card.size_bytes * BYTES_PER_WEIGHT_BYTE)
        cache_bytes = needed_bytes - ENGINE_BYTES - weights_bytes
        return (
            f"not measured yet: engine {_mb(ENGINE_BYTES)}, {BYTES_PER_WEIGHT_BYTE} times the "
            f"weights {_mb(weights_bytes)}, KV cache {_mb(cache_bytes)}"
        )

    def load_s(self, card: ModelCard) -> float:
        """Seconds its last load took; 0 before the first."""
        return self._of(card).load_s

    def record_load(self, card: ModelCard, load_s: float) -> None:
        """Remember how long a load took."""
        self._measured[_key(card)] = replace(self._of(card), load_s=load_s)
        self._is_saved = False

    def record_memory(self, card: ModelCard, memory_bytes: int) -> bool:
        """Remember resident bytes if they are the highest yet; whether they are, notably."""
        before = self._of(card)
        if memory_bytes <= before.memory_bytes * (1 + NOTABLE_GROWTH):
            return False
        self._measured[_key(card)] = replace(before, memory_bytes=memory_bytes)
        self._is_saved = False
        return True

    async def save(self) -> None:
        """Have what was recorded in the file."""
        async with self._saving:
            if self._path is None or self._is_saved:
                return
            self._is_saved = True
            made = {key: asdict(measured) for key, measured in self._measured.items()}
            text = json.dumps(made, indent=1)
            try:
                await asyncio.to_thread(blobs.write_whole, self._path, text.encode())
            except OSError as exc:
                # They are measured again after the next start.
                logger.warning("measured figures cannot be kept", extra={"reason": str(exc)})
            except RuntimeError:
                # The interpreter is ending and starts no threads any more.
                logger.debug("measured figures came too late to be kept")

    def _of(self, card: ModelCard) -> Measured:
        return self._measured.get(_key(card), Measured())

    def _estimated_bytes(self, card: ModelCard) -> int:
        """Modelled, not measured: the worker, its library, the weights and copies that loading
        makes of them, and the KV cache as large as it is allowed to become.
        """
        if card.upstream:
            return 0
        if not card.size_bytes:
            return WORKER_BYTES
        cache_bytes = self._kv_cache_bytes if card.kind == "generator" else 0
        weights_bytes = int(card.size_bytes * BYTES_PER_WEIGHT_BYTE)
        return ENGINE_BYTES + weights_bytes + cache_bytes


def _mb(num_bytes: int) -> str:
    return f"{num_bytes // 1_000_000} MB"


def _key(card: ModelCard) -> str:
    return f"{card.engine} {card.folder or card.name}"


def _read(path: Path) -> dict[str, Measured]:
    """The figures of a file; those that are not there, or make no sense, are measured again."""
    try:
        return {
            key: Measured(int(one["memory_bytes"]), float(one["load_s"]))
            for key, one in json.loads(path.read_bytes()).items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError) as exc:
        logger.warning("measured figures cannot be read", extra={"reason": str(exc)})
        return {}
