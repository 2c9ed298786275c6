"""Energy events on make-believe descriptions of the kernel's."""

import errno
import os
from pathlib import Path

import pytest

from canteen.metering.probes.counter import Unavailable
from canteen.metering.probes.perf import Count, Perf, open_event
from tests.metering.probes.hardware import JOULE, power_pmu

SOFTWARE = 1
CPU_CLOCK = 0


def test_packages_and_memory_count_in_their_own_unit(tmp_path: Path) -> None:
    root = power_pmu(tmp_path, "energy-cores", "energy-pkg", "energy-ram", "energy-psys")
    (root / "events" / "energy-ram.scale").write_text("2e-6\n")
    opened: list[tuple[int, int, int]] = []

    def opener(kind: int, config: int, cpu: int) -> Count:
        opened.append((kind, config, cpu))
        return lambda: 100

    counter = Perf(JOULE, root, opener)

    assert opened == [(31, 2, 0), (31, 3, 0)]
    assert counter.read_uj() == 300
    assert counter.source == "perf energy events: energy-pkg, energy-ram"


def test_the_platform_counts_where_there_is_no_package(tmp_path: Path) -> None:
    root = power_pmu(tmp_path, "energy-cores", "energy-psys")

    counter = Perf(JOULE, root, lambda kind, config, cpu: lambda: config)

    assert counter.read_uj() == 2


@pytest.mark.parametrize(
    ("code", "state"),
    [(errno.EACCES, "forbidden"), (errno.EPERM, "forbidden"), (errno.ENODEV, "absent")],
)
def test_an_event_that_cannot_be_opened_says_why(tmp_path: Path, code: int, state: str) -> None:
    def opener(kind: int, config: int, cpu: int) -> Count:
        raise OSError(code, os.strerror(code))

    with pytest.raises(Unavailable) as caught:
        Perf(JOULE, power_pmu(tmp_path, "energy-pkg"), opener)

    assert caught.value.state == state


def test_a_machine_without_energy_events_has_none(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        Perf(JOULE, tmp_path)

    assert caught.value.state == "absent"


def test_the_kernel_counts_an_event_that_it_has() -> None:
    try:
        count = open_event(SOFTWARE, CPU_CLOCK, 0)
    except OSError as exc:
        pytest.skip(f"the kernel opens no event here: {exc.strerror}")

    first = count()

    assert count() > first > 0
