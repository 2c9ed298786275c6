"""This machine as a device: what its processor tells, and what stands in for the rest."""

from pathlib import Path

from canteen.planning.this_host import Processor, processor, this_host

ZEN_5 = """processor	: 0
vendor_id	: AuthenticAMD
cpu family	: 26
model name	: AMD EPYC 9R45
cpu MHz		: 2600.000
siblings	: 4
cpu cores	: 2
flags		: fpu avx2 avx512f avx512_bf16

processor	: 1
vendor_id	: another
"""


def told(tmp_path: Path, text: str) -> Processor:
    path = tmp_path / "cpuinfo"
    path.write_text(text)
    return processor(path)


def test_the_first_processor_is_read(tmp_path: Path) -> None:
    kind = told(tmp_path, ZEN_5)

    assert (kind.vendor, kind.family, kind.mhz) == ("AuthenticAMD", "26", 2600.0)
    assert kind.threads_per_core == 2


def test_power_and_peak_grow_with_the_threads(tmp_path: Path) -> None:
    kind = told(tmp_path, ZEN_5)
    host = this_host(24 * 10**9, kind)

    assert host.power_max.central == 1.872 * kind.num_threads
    assert host.peak["bf16"].to("FLOP/s").central == 128 * 2.6e9 * kind.num_threads / 2
    assert set(host.peak) == {"bf16", "fp32"}


def test_an_unknown_processor_has_wide_bounds(tmp_path: Path) -> None:
    host = this_host(10**9, told(tmp_path, "processor : 0\n"))

    assert host.power_max.high / host.power_max.low == 4
    assert set(host.peak) == {"fp32"}


def test_without_a_cpuinfo_it_is_unknown_too(tmp_path: Path) -> None:
    assert processor(tmp_path / "none").name == "unknown"


def test_this_very_machine_can_be_described() -> None:
    host = this_host(10**9, processor())

    assert host.kind == "cpu"
    assert host.num_threads >= 1
