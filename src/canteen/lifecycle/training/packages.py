"""Whether what a training needs is there, seen without loading any of it."""

from collections.abc import Callable
from importlib.util import find_spec

from canteen.core.errors import NotSupported
from canteen.lifecycle.training import hardware
from canteen.lifecycle.training.specs import Finetune, Train

# It brings the versions that were tried; nothing is said of where else the project may be had.
INSTALL = "in the clone of Canteen, pip install -c constraints.txt -e '.[train]'"
_ALWAYS = ("torch", "transformers", "accelerate")


def check(
    spec: Finetune | Train,
    find: Callable[[str], object] = find_spec,
    has_cuda: Callable[[], bool] = hardware.has_cuda,
) -> None:
    """Raises NotSupported, which says what to install, or that there is no CUDA device where one
    is asked for."""
    method = spec.method if isinstance(spec, Finetune) else "full"
    needed = _ALWAYS if method == "full" else (*_ALWAYS, "peft")
    if missing := [name for name in needed if find(name) is None]:
        raise NotSupported(f"training needs {', '.join(missing)}: {INSTALL}")
    if method == "qlora":
        _check_qlora(spec.device, find, has_cuda)
    elif spec.device == "cuda" and not has_cuda():
        raise NotSupported(hardware.NO_CUDA, param="device")


def _check_qlora(device: str, find: Callable[[str], object], has_cuda: Callable[[], bool]) -> None:
    if device == "cpu":
        raise NotSupported("qlora needs a CUDA device; on the processor take lora", param="method")
    if find("bitsandbytes") is None:
        raise NotSupported(
            "qlora needs bitsandbytes: pip install bitsandbytes; or take lora", param="method"
        )
    if not has_cuda():
        raise NotSupported(
            "qlora needs a CUDA device that torch can use, and there is none here; take lora",
            param="method",
        )
