"""A Ray cluster of two nodes on this machine: a program to be told what happens to them.

The head, which runs nothing, and the nodes `one` and `two` with a place each. It says its address
and does what it reads: `kill NAME`, or `add NAME`; at the end of its input all nodes end.
"""

import json
import os
import subprocess
import sys
from types import TracebackType
from typing import Any

PLACES = 1


class RayNodes:
    """The program, started for the time of a block; `address` is where to join it."""

    def __enter__(self) -> "RayNodes":
        self._program = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_worker_niceness": "0"},
        )
        self.address = str(self._read())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._program.communicate(timeout=60)

    def do(self, what: str) -> None:
        """Have something happen; returns when it has."""
        assert self._program.stdin is not None
        print(what, file=self._program.stdin, flush=True)
        self._read()

    def _read(self) -> Any:
        assert self._program.stdout is not None
        while not (line := self._program.stdout.readline()).startswith("{"):
            assert line, "the cluster has ended"
        return json.loads(line)["said"]


def main() -> None:
    """Be the cluster."""
    from canteen.core.telemetry_off import switch_off

    switch_off(os.environ, sys.modules)
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "node_name": "head", "include_dashboard": False},
        shutdown_at_exit=True,
    )
    nodes = {name: cluster.add_node(num_cpus=PLACES, node_name=name) for name in ("one", "two")}
    _say(cluster.address)
    for line in sys.stdin:
        what, name = line.split()
        if what == "kill":
            cluster.remove_node(nodes.pop(name), allow_graceful=False)
        else:
            nodes[name] = cluster.add_node(num_cpus=PLACES, node_name=name)
        _say(what)
    cluster.shutdown()


def _say(what: str) -> None:
    sys.stdout.write(json.dumps({"said": what}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
