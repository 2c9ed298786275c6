"""A fine-tune that is killed again and again ends as one that nobody touched."""

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader

from .programs import Ended, make_folder, run_program

STEPS = 40
NUM_KILLS = 5
SPEC = {"max_steps": STEPS, "batch_size": 4, "learning_rate": 1e-2, "method": "full", "rank": 4}
SPEC |= {"evaluate_every": 5, "checkpoint_every": 3, "patience": 0}


def killed_again_and_again(folder: Path, seed: int) -> list[Ended]:
    """Runs killed at random steps, and the one that went on to the end."""
    points = sorted(random.Random(seed).sample(range(1, STEPS - 8), NUM_KILLS))
    return [*(run_program(folder, kill_at_step=point) for point in points), run_program(folder)]


def weights(folder: Path) -> dict[str, np.ndarray]:
    reader = GGUFReader(folder / "result" / "model.gguf")
    return {tensor.name: np.asarray(tensor.data, np.float32) for tensor in reader.tensors}


def test_ten_kills_change_no_loss_and_no_weight(tmp_path: Path) -> None:
    folders = [make_folder(tmp_path / name, **SPEC) for name in ("whole", "first", "second")]

    with ThreadPoolExecutor(2) as pool:
        chains = [pool.submit(killed_again_and_again, folders[i], seed=i) for i in (1, 2)]
        whole = run_program(folders[0])
        killed = [chain.result() for chain in chains]

    expected = {line["step"]: line["loss"] for line in whole.named("step")}
    assert sorted(expected) == list(range(1, STEPS + 1))
    for folder, runs in zip(folders[1:], killed, strict=True):
        assert [run.status for run in runs] == [-9] * NUM_KILLS + [0]
        for run in runs:
            for line in run.named("step"):
                assert line["loss"] == pytest.approx(expected[line["step"]], abs=1e-5)
        assert runs[-1].lines[-1]["result"] == pytest.approx(whole.lines[-1]["result"], abs=1e-5)
        assert runs[-1].named("resumed")
        for name, values in weights(folders[0]).items():
            np.testing.assert_allclose(weights(folder)[name], values, atol=1e-5)
