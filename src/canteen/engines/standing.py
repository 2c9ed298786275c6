"""How each engine stands on this machine: installed or not, of use here or not, and why."""

from dataclasses import dataclass
from pathlib import Path

from canteen.engines.devices import gpus
from canteen.engines.registry import ENGINES, is_installed

NVIDIA = Path("/dev/nvidia0")
VLLM = "vllm"
VLLM_ABOUT = "models of transformers on NVIDIA GPUs"


@dataclass(frozen=True, slots=True)
class Standing:
    """`can_run`: it would run a model on this machine now."""

    name: str
    is_installed: bool
    can_run: bool
    why: str
    about: str


def standings(vllm_environment: Path) -> list[Standing]:
    """All engines; vLLM lives in an environment of its own."""
    found = [_of_entry(name) for name in ENGINES if name != VLLM]
    return [*found, _vllm(vllm_environment)]


def _of_entry(name: str) -> Standing:
    entry = ENGINES[name]
    if not is_installed(name):
        why = f"canteen engine install {name.partition('-')[0]}"
        return Standing(name, False, False, why, entry.about)
    return Standing(name, True, True, _where(name), entry.about)


def _where(name: str) -> str:
    """What an installed engine computes on."""
    if name.startswith("openai"):
        return "another service computes"
    if name.startswith("llamacpp") and (found := gpus()):
        return f"on {', '.join(gpu.description for gpu in found)}, and the CPU"
    if name.startswith("llamacpp"):
        return "on the CPU; its build knows no GPU of this machine"
    return "on the CPU"


def _vllm(environment: Path) -> Standing:
    is_there = (environment / "bin" / "python").exists()
    has_gpu = NVIDIA.exists()
    if not has_gpu:
        why = "there is no NVIDIA GPU here; on a CPU it is for trials"
    else:
        why = "on the NVIDIA GPU" if is_there else "there is an NVIDIA GPU for it here"
    if not is_there:
        why += ": canteen engine install vllm"
    return Standing(VLLM, is_there, is_there, why, VLLM_ABOUT)
