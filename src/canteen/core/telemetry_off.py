"""Libraries that phone home are told not to, before they load."""

from collections.abc import MutableMapping
from typing import Any

VARIABLES = {
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "NNCF_CI": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "VLLM_DO_NOT_TRACK": "1",
    "VLLM_NO_USAGE_STATS": "1",
}


def switch_off(environ: MutableMapping[str, str], modules: MutableMapping[str, Any]) -> None:
    """Make `environ` and `modules` (os.environ, sys.modules) such that nothing is reported.

    OpenVINO's reporter has no switch but a file in the user's home, and consents where that
    file is missing. A None in `modules` makes its import fail, which its users allow for.
    """
    environ.update(VARIABLES)
    modules["openvino_telemetry"] = None
