"""Before a Ray cluster is joined: what Ray is told, and whether a head of one answers."""

import re
import socket
from collections.abc import MutableMapping

from canteen.core.addresses import is_loopback
from canteen.core.errors import EngineError, InvalidRequest

LOCAL = "local"
KNOCK_S = 5.0
# What each side of HTTP/2 says first, which Ray's head speaks: who calls, and a frame of settings.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_ADDRESS = re.compile(r"[^\s/]+:[0-9]{1,5}")


def check_address(address: str) -> None:
    """Raises InvalidRequest for what is neither `local` nor HOST:PORT."""
    if address != LOCAL and not _ADDRESS.fullmatch(address):
        raise InvalidRequest(
            f"{address!r} is no address of a Ray cluster, which is HOST:PORT (this machine must be "
            f"a node of it), or {LOCAL}",
            param="ray",
        )


def tell(address: str, environ: MutableMapping[str, str]) -> None:
    """Have `environ` (os.environ) say how to be a node of it; Ray reads that as it is imported."""
    if address == LOCAL or is_loopback(address.rpartition(":")[0]):
        # What is on one machine need not be heard on the others.
        environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    if address == LOCAL:
        # Else Ray gives its workers the last place at the processors, and so our engines.
        environ.setdefault("RAY_worker_niceness", "0")
    # Else threads of Ray that have not heard of the end start a cluster of their own after it.
    environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")
    environ.setdefault("RAY_SERVE_HANDLE_AUTOSCALING_METRIC_PUSH_INTERVAL_S", "1")


def knock(address: str) -> None:
    """Raises EngineError where no head answers, which Ray itself notices after minutes only."""
    if address == LOCAL:
        return
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=KNOCK_S) as there:
            there.sendall(PREFACE + SETTINGS)
            said = there.recv(len(SETTINGS), socket.MSG_WAITALL)
        answers = len(said) == len(SETTINGS) and said[3] == SETTINGS[3]
    except (OSError, OverflowError):
        answers = False
    if not answers:
        raise EngineError(
            f"no Ray cluster at {address}: no head of one answers there; start one, and this "
            "machine as a node of it, with: ray start"
        )
