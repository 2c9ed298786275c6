"""A fine-tune that is killed again and again ends as one that nobody touched."""

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader

from .programs import Ended, make_folder, run_prepared

STEPS = 30
NUM_KILLS = 5
SPEC = {"max_steps": STEPS, "batch_size": 4, "patience": 0}
SPEC |= {"evaluate_every": 5, "checkpoint_every": 3}
METHODS = {"lora": {"rank": 4, "learning_rate": 2e-2}, "full": {"learning_rate": 1e-2}}
# How fast it was is another matter each time.
SPEEDS = ("tokens_per_s", "mfu")


def killed_again_and_again(folder: Path, seed: int) -> list[Ended]:
    """Runs killed at random steps, and the one that went on to the end."""
    points = sorted(random.Random(seed).sample(range(1, STEPS - 8), NUM_KILLS))
    return [*(run_prepared(folder, kill_at_step=point) for point in points), run_prepared(folder)]


def weights(folder: Path) -> dict[str, np.ndarray]:
    reader = GGUFReader(folder / "result" / "model.gguf")
    return {tensor.name: np.asarray(tensor.data, np.float32) for tensor in reader.tensors}


def result(ended: Ended) -> dict[str, Any]:
    told = ended.lines[-1]["result"]
    return {name: value for name, value in told.items() if name not in SPEEDS}


def test_ten_kills_change_no_loss_and_no_weight(tmp_path: Path) -> None:
    folders = {
        (method, name): make_folder(tmp_path / f"{method}-{name}", method=method, **asked, **SPEC)
        for method, asked in METHODS.items()
        for name in ("whole", "killed")
    }

    with ThreadPoolExecutor(2) as pool:
        killing = [
            pool.submit(killed_again_and_again, folders[method, "killed"], seed)
            for seed, method in enumerate(METHODS, 1)
        ]
        wholes = list(pool.map(run_prepared, [folders[method, "whole"] for method in METHODS]))
        chains = [one.result() for one in killing]

    for method, whole, runs in zip(METHODS, wholes, chains, strict=True):
        expected = {line["step"]: line["loss"] for line in whole.named("step")}
        assert sorted(expected) == list(range(1, STEPS + 1))
        assert [run.status for run in runs] == [-9] * NUM_KILLS + [0]
        for run in runs:
            for line in run.named("step"):
                assert line["loss"] == pytest.approx(expected[line["step"]], abs=1e-5)
        assert result(runs[-1]) == pytest.approx(result(whole), abs=1e-5)
        (resumed,) = runs[-1].named("resumed")
        (before,) = (one for one in whole.named("step") if one["step"] == resumed["step"])
        assert resumed["tokens"] == before["tokens"]
        killed = weights(folders[method, "killed"])
        for name, values in weights(folders[method, "whole"]).items():
            np.testing.assert_allclose(killed[name], values, atol=1e-5)
