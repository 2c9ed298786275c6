"""The energy counters of NVIDIA's accelerators, through the library of their driver."""

from typing import Any

from canteen.core.footprint import Counted
from canteen.core.units import Quantity
from canteen.metering.probes.counter import Unavailable

# Measured on A100 and H100 (arXiv 2312.02741): the sensors are read each 100 ms.
TICK_S = 0.1
# Boards may be above their power limit for a moment.
HEADROOM = 1.5


class Nvml:
    """All boards that the driver shows. It counts boards, not the server that holds them.

    `library` is the module `pynvml` of nvidia-ml-py. Raises Unavailable at the start and in
    `read_uj`.
    """

    name = "nvml"
    boundary: Counted = "gpu"
    tick_s = TICK_S

    def __init__(self, joule: Quantity, library: Any = None) -> None:
        self.joule = joule
        self._library = library or _library()
        try:
            self._library.nvmlInit()
            num_boards = self._library.nvmlDeviceGetCount()
            indices = range(num_boards)
            self._boards = [self._library.nvmlDeviceGetHandleByIndex(index) for index in indices]
            limits_mw = map(self._library.nvmlDeviceGetPowerManagementLimit, self._boards)
            self.most_w = HEADROOM * sum(limits_mw) / 1000
        except self._library.NVMLError as exc:
            raise _unavailable(exc) from None
        if not self._boards:
            raise Unavailable("absent", "the driver shows no accelerator")
        self.source = f"NVML total energy of {num_boards} board{'s' * (num_boards > 1)}"
        self.read_uj()

    def read_uj(self) -> int:
        """The sum of the boards since their driver was loaded."""
        read_mj = self._library.nvmlDeviceGetTotalEnergyConsumption
        try:
            return sum(1000 * int(read_mj(board)) for board in self._boards)
        except self._library.NVMLError as exc:
            raise _unavailable(exc) from None


def _library() -> Any:
    try:
        import pynvml
    except ImportError:
        raise Unavailable(
            "absent", "nvidia-ml-py is not installed (pip install 'canteen-llm[nvidia]')"
        ) from None
    return pynvml


def _unavailable(exc: Exception) -> Unavailable:
    """NVMLError has a class for each code."""
    is_forbidden = type(exc).__name__ == "NVMLError_NoPermission"
    return Unavailable("forbidden" if is_forbidden else "absent", f"NVML says: {exc}")
