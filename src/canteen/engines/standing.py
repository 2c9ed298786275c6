"""How each engine stands on this machine: installed or not, of use here or not, and why."""

from dataclasses import dataclass
from pathlib import Path

from canteen.engines import environment
from canteen.engines.devices import NVIDIA, gpus
from canteen.engines.registry import ENGINES, is_installed


@dataclass(frozen=True, slots=True)
class Standing:
    """`can_run`: it is installed, and what its build needs is here."""

    name: str
    is_installed: bool
    can_run: bool
    why: str
    about: str


def standings(home: Path) -> list[Standing]:
    """All engines; under `home` are those that have an environment of their own."""
    return [_standing(name, home) for name in ENGINES]


def _standing(name: str, home: Path) -> Standing:
    entry = ENGINES[name]
    is_there = environment.is_there(name, home) if entry.steps_itself else is_installed(name)
    lacks_gpu = name == "vllm" and is_there and _lacks_gpu(home)
    where = _where(name) if is_there or entry.steps_itself else ""
    if lacks_gpu:
        where = "its build needs an NVIDIA GPU, and none is here"
    how = "" if is_there else f"canteen engine install {name.partition('-')[0]}"
    why = ": ".join(filter(None, (where, how)))
    return Standing(name, is_there, is_there and not lacks_gpu, why, entry.about)


def _lacks_gpu(home: Path) -> bool:
    return not (NVIDIA.exists() or environment.is_for_cpus("vllm", home))


def _where(name: str) -> str:
    """What an engine computes on."""
    if name == "vllm":
        has_gpu = NVIDIA.exists()
        return "on the NVIDIA GPU" if has_gpu else "no NVIDIA GPU is here; on a CPU for trials only"
    if name.startswith("openai"):
        return "another service computes"
    if name.startswith("llamacpp") and (found := gpus()):
        return f"on {', '.join(gpu.description for gpu in found)}, and the CPU"
    if name.startswith("llamacpp"):
        return "on the CPU; its build knows no GPU of this machine"
    return "on the CPU"
