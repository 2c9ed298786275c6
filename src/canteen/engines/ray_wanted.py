"""A model as it is wanted on a Ray cluster: what it is, what it needs, how often it is there."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Facts = Callable[[], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Needs:
    """What a replica takes of its node, by which Ray finds one. `also` are further resources."""

    num_cpus: float = 1.0
    num_gpus: float = 0.0
    memory_bytes: int = 0
    also: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        also = "".join(f", {amount:g} {name}" for name, amount in self.also.items())
        memory = f"{self.memory_bytes / 1e9:.1f} GB of memory"
        return f"{self.num_cpus:g} CPU, {self.num_gpus:g} GPU, {memory}{also}"


@dataclass(frozen=True, slots=True)
class Scale:
    """How many replicas a model has, and how soon there are more or fewer. A replica that goes may
    finish what it has begun within `drain_s`."""

    min_replicas: int = 1
    max_replicas: int = 8
    upscale_delay_s: float = 5.0
    downscale_delay_s: float = 300.0
    drain_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model for the cluster: the engine with its options, each replica of which has room for
    `num_seqs` requests at a time. `facts` are asked on the node; `home` is the
    gateway's, and where an engine with an environment of its own is looked for there."""

    name: str
    engine: str
    options: dict[str, Any]
    facts: Facts
    num_seqs: int
    needs: Needs = Needs()
    scale: Scale = Scale()
    home: Path = Path()

    @property
    def family(self) -> str:
        """What it is called on the cluster, whatever its engine and options: the same for the same
        gateway, by its home, and model."""
        plain = re.sub(r"[^A-Za-z0-9]+", "-", self.name)
        return f"canteen-{plain}-{_digest(f'{self.home} {self.name}')}-"

    @property
    def app(self) -> str:
        """What it is called there with these, as it may be loaded for a while with others too."""
        return self.family + _digest(f"{self.engine} {sorted(self.options.items())}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
