"""Programs that speak in lines of JSON on standard output, whatever their libraries print."""

import os
import sys
from collections.abc import Callable

from canteen.core.telemetry_off import switch_off

# Takes the arguments and how to write; returns the exit status.
Main = Callable[[list[str], Callable[[str], object]], int]


def run(main: Main) -> None:
    """Run it with the arguments of this process, and exit with its status."""
    switch_off(os.environ, sys.modules)
    # The libraries print to standard output as they please: it becomes standard error for them.
    protocol = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    sys.exit(main(sys.argv[1:], protocol.write))
