"""Calibration: what steps of a known host took gives that host back."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.core.errors import InvalidRequest
from canteen.core.units import Quantity
from canteen.planning import calibration, roofline
from canteen.planning.calibration import Calibration, Point, applied, fit
from canteen.planning.explain import explained
from canteen.planning.result import Here
from canteen.planning.roofline import prior
from canteen.planning.this_host import processor, this_host
from tests.planning.plans import planned

# Of a small model: decode steps of 1, 8 and 32 sequences, and a prompt of 512 tokens in 2 steps.
WORK = [
    ("1", 1.4e8, 2.7e8, 1),
    ("8", 1.5e8, 2.2e9, 1),
    ("32", 1.7e8, 8.6e9, 1),
    ("p", 0, 1.4e11, 2),
]
HOST = this_host(10**9, processor())


def measured(bytes_per_s: float, flops_per_s: float, step_s: float) -> list[Point]:
    return [
        Point(name, read, flops, steps, read / bytes_per_s + flops / flops_per_s + steps * step_s)
        for name, read, flops, steps in WORK
    ]


@given(st.floats(1e9, 1e12), st.floats(1e10, 1e14), st.floats(1e-5, 1e-1))
def test_a_known_host_comes_out_again(
    bytes_per_s: float, flops_per_s: float, step_s: float
) -> None:
    points = measured(bytes_per_s, flops_per_s, step_s)
    found_bytes, found_flops, found_step_s, error = fit(points)

    for point in points:
        told = point.num_steps * found_step_s
        told += point.read_bytes / found_bytes if found_bytes else 0
        told += point.flops / found_flops if found_flops else 0
        assert told == pytest.approx(point.seconds, rel=0.02)
    assert error < 0.02


def test_nothing_fitted_is_negative() -> None:
    # Large batches that take less than small ones: no host is like that.
    odd = [Point("1", 1e8, 1e8, 1, 0.02), Point("32", 1e8, 3e9, 1, 0.01)]
    found_bytes, found_flops, step_s, error = fit(odd)

    assert step_s >= 0
    assert all(one is None or one > 0 for one in (found_bytes, found_flops))
    assert error > 0.1


def test_points_that_nothing_fits_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="nothing fits"):
        fit([Point("none", 0, 0, 0, 1.0)])


def calibrated(error: float = 0.01, host: str = HOST.name) -> Calibration:
    points = tuple(measured(1e10, 1e11, 1e-3))
    return Calibration(host, "m", "2026-11-23", 1e10, 1e11, 1e-3, error, 2e10, None, points)


def test_it_narrows_the_intervals_and_names_itself() -> None:
    _, constants = applied(HOST, calibrated())

    assert constants is not None
    share = constants.bandwidth_share
    assumed = prior(HOST.name, has_experts=False).bandwidth_share
    assert share.central == pytest.approx(0.5)
    assert share.high / share.low < assumed.high / assumed.low
    assert share.grade == "B"
    assert share.inputs[0].method == "calibrated"


def served(power_w: float | None) -> Quantity:
    """The energy of a request on the calibrated host."""
    told = replace(calibrated(), power_w=power_w)
    device, constants = applied(HOST, told)
    made = planned("smollm2:135m", Here(device, constants=constants)).serving
    assert made is not None
    assert made.prediction is not None
    return made.prediction.energy


def test_a_measured_hosts_energy_has_no_bias_of_hosts_that_nobody_measured() -> None:
    _, constants = applied(HOST, calibrated())

    assert constants is not None
    assert constants.energy_bias.central == 1
    assert constants.energy_bias.high < 1.1


def test_a_counters_power_is_that_of_the_package_and_goes_to_the_plug() -> None:
    energy = served(power_w=30.0)

    plugs = [one for one in energy.inputs if one.name == "plug over component meters"]
    assert len(plugs) == 1
    assert energy.central == pytest.approx(served(power_w=15.0).central * 2)


def test_measured_power_narrows_the_energy_to_about_what_the_fit_is_off() -> None:
    measured, modelled = served(power_w=30.0), served(power_w=None)

    assert measured.high / measured.low < 1.3
    assert modelled.high / modelled.low > 1.5


def test_experts_keep_the_bias_of_experts_on_a_calibrated_host() -> None:
    _, constants = applied(HOST, calibrated())

    experts = roofline.fitting(HOST.name, constants, has_experts=True)

    assert experts.energy_bias == prior(HOST.name, has_experts=True).energy_bias
    assert constants is not None
    assert experts.flops_share == constants.flops_share


def test_the_seconds_of_a_step_are_in_the_arithmetic() -> None:
    device, constants = applied(HOST, calibrated())
    lines = explained(planned("smollm2:135m", Here(device, constants=constants)))

    assert any(line.startswith("decode step") and "+ 1 step x 0.001 s = " in line for line in lines)


def test_a_poor_fit_is_not_sure_of_itself() -> None:
    (_, good), (_, poor) = applied(HOST, calibrated(0.01)), applied(HOST, calibrated(0.5))

    assert good is not None
    assert poor is not None
    assert poor.flops_share.high > good.flops_share.high


def test_another_hosts_calibration_is_left_alone() -> None:
    assert applied(HOST, calibrated(host="another")) == (HOST, None)
    assert applied(HOST, None) == (HOST, None)


def test_what_is_stored_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    path.write_bytes(calibration.as_bytes(calibrated()))

    assert calibration.load(path) == calibrated()


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"{", b'{"points": [1]}', b"\xff"])
def test_a_spoiled_file_is_no_calibration(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "calibration.json"
    path.write_bytes(content)

    assert calibration.load(path) is None
    assert calibration.load(tmp_path / "none") is None
