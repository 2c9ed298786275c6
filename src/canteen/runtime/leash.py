"""Runs a module as a program that ends with its parent, keeps its scraps in one folder, and
reports to nobody: `python -m canteen.runtime.leash FOLDER MODULE ARGUMENT…`."""

import os
import runpy
import sys
import tempfile
from threading import Thread

from canteen.core.telemetry_off import switch_off


def main() -> None:
    """Run the module in this process. Standard input is the leash: its end is ours."""
    _, folder, module, *arguments = sys.argv
    switch_off(os.environ, sys.modules)
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    Thread(target=_end_with_parent, daemon=True).start()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
