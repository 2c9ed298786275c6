"""Reading receipts again, by many at once."""

import subprocess
import sys

# The first to be read, by eight threads together, in a process that has read none before.
PROGRAM = """
import sys, threading
import msgspec
from canteen.core.units import exact
from canteen.metering.lookup import rates_of
from canteen.metering.rates import Rates

text = msgspec.json.encode(Rates(*[exact(1.0)] * 4)).decode()
start = threading.Barrier(8)

def read(padding):
    start.wait()
    rates_of(text + " " * padding)

sys.setswitchinterval(1e-6)
threads = [threading.Thread(target=read, args=(padding,)) for padding in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_the_first_receipts_can_be_read_by_many_at_once() -> None:
    statuses = {subprocess.run([sys.executable, "-c", PROGRAM]).returncode for _ in range(3)}

    assert statuses == {0}
