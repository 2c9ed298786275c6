"""Where a training runs, in which arithmetic, and what the device could do at most."""

import ctypes
import os
import resource
from importlib.metadata import version
from pathlib import Path
from typing import Any

from canteen.core.errors import InvalidRequest
from canteen.factors.hardware import devices

NO_CUDA = "there is no CUDA device here that torch can use; leave device at auto, or take cpu"


def has_cuda() -> bool:
    """Whether torch would find a CUDA device, asked of the driver: loading torch takes seconds."""
    build = version("torch")
    if "+rocm" in build:
        return Path("/dev/kfd").exists()
    return "+cpu" not in build and _num_cuda_devices() > 0


def _num_cuda_devices() -> int:
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int()
    answers = (driver.cuInit(0), driver.cuDeviceGetCount(ctypes.byref(count)))
    return 0 if any(answers) else count.value


def device_for(asked: str) -> str:
    """`cpu` or `cuda`; raises InvalidRequest where CUDA is asked for and there is none."""
    import torch

    has_cuda = torch.cuda.is_available()
    if asked == "cuda" and not has_cuda:
        raise InvalidRequest(NO_CUDA, param="device")
    return "cuda" if has_cuda and asked != "cpu" else "cpu"


def dtype_for(asked: str, device: str) -> Any:
    """The torch dtype of the passes: bfloat16 where asked for, or where the device computes it."""
    import torch

    if asked == "auto":
        return torch.bfloat16 if _computes_bfloat16(device) else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[asked]


def _computes_bfloat16(device: str) -> bool:
    import torch

    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("amx_bf16", "avx512_bf16"))


def peak_flops(device: str) -> float | None:
    """Dense bfloat16 operations a second of the CUDA device, by its data sheet; None where that
    is not known."""
    import torch

    if device != "cuda":
        return None
    name = torch.cuda.get_device_name()
    known = [one for part, one in devices().items() if part in name and "bf16" in one.peak]
    # An A100 PCIe is not an A100.
    found = max(known, key=lambda one: len(one.name), default=None)
    return None if found is None else found.peak["bf16"].to("FLOP/s").central


def memory_bytes() -> int:
    """What the process holds in main memory; its peak where the system tells no more."""
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
