"""RAPL on make-believe powercap trees."""

from pathlib import Path

import pytest

from canteen.metering.probes.counter import Unavailable
from canteen.metering.probes.rapl import Rapl
from tests.metering.probes.hardware import JOULE, RANGE_UJ, zone


def test_a_counter_that_begins_again_after_its_range_goes_on(tmp_path: Path) -> None:
    path = zone(tmp_path, "intel-rapl:0", "package-0", RANGE_UJ - 30)
    counter = Rapl(JOULE, tmp_path)

    path.write_text("70")

    assert counter.read_uj() == 100


def test_packages_and_their_memory_count_and_what_is_inside_them_does_not(tmp_path: Path) -> None:
    paths = [
        zone(tmp_path, folder, name)
        for folder, name in (
            ("intel-rapl:0", "package-0"),
            ("intel-rapl:0:0", "core"),
            ("intel-rapl:0:1", "dram"),
            ("intel-rapl:1", "package-1"),
            ("intel-rapl:1:0", "uncore"),
            ("intel-rapl:1:1", "dram"),
            ("intel-rapl:2", "psys"),
        )
    ]
    counter = Rapl(JOULE, tmp_path)

    for number, path in enumerate(paths):
        path.write_text(str(1000 + 10**number))

    assert counter.read_uj() == 10**0 + 10**2 + 10**3 + 10**5
    assert counter.source == "RAPL counters: package-0, package-1, dram, dram"


def test_the_platform_counts_where_there_is_no_package(tmp_path: Path) -> None:
    path = zone(tmp_path, "intel-rapl:0", "psys")
    counter = Rapl(JOULE, tmp_path)

    path.write_text("1005")

    assert counter.read_uj() == 5


def test_the_same_package_by_two_roads_counts_once(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0")
    zone(tmp_path, "intel-rapl:1", "package-0")
    zone(tmp_path, "intel-rapl-mmio:0", "package-0")

    assert Rapl(JOULE, tmp_path).source == "RAPL counters: package-0"


def test_a_machine_without_powercap_has_none(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        Rapl(JOULE, tmp_path / "nothing")

    assert caught.value.state == "absent"


def test_a_counter_that_vanishes_says_so(tmp_path: Path) -> None:
    path = zone(tmp_path, "intel-rapl:0", "package-0")
    counter = Rapl(JOULE, tmp_path)
    path.unlink()

    with pytest.raises(Unavailable) as caught:
        counter.read_uj()

    assert caught.value.state == "absent"
