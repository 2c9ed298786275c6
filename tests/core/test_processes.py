"""What is told of other processes."""

import os
import subprocess
import sys

from canteen.core import processes

PARENT = (
    "import subprocess, sys\n"
    "child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE)\n"
    "print(child.pid, flush=True)\n"
    "input()"
)


def test_the_children_of_children_are_descendants_too() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())

        found = processes.descendants(os.getpid())

        parent.communicate(b"\n")
    assert found.index(parent.pid) < found.index(child)


def test_a_process_tells_its_memory_and_time_while_it_is_there() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "sum(range(10**6)); print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        pid = child.pid

        taken = processes.cpu_s(pid), processes.resident_bytes(pid)

        child.communicate(b"\n")
    assert min(taken) > 0
    assert (processes.cpu_s(pid), processes.resident_bytes(pid)) == (0.0, 0)
