"""Checkpoints are there whole or not at all."""

from pathlib import Path

import pytest

from canteen.core.errors import StorageFull
from canteen.lifecycle.training.checkpoints import Checkpoints


def test_the_two_newest_are_kept_and_those_asked_for(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)

    for step in (1, 2, 3, 4, 5):
        checkpoints.save(step, {"step": step}, {2})

    assert checkpoints.steps() == [2, 4, 5]
    assert Checkpoints(tmp_path).load(5) == {"step": 5}


def test_what_a_kill_left_half_written_is_no_checkpoint(tmp_path: Path) -> None:
    Checkpoints(tmp_path).save(1, {})
    (tmp_path / "step-000000002.pt.part").write_bytes(b"PK")

    assert Checkpoints(tmp_path).steps() == [1]
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000001.pt"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_keeps_the_checkpoint_before(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {"step": 1})
    (tmp_path / "step-000000002.pt.part").symlink_to("/dev/full")

    with pytest.raises(StorageFull, match="the one of step 1 is kept"):
        checkpoints.save(2, {"step": 2})

    assert checkpoints.steps() == [1]
    assert checkpoints.load(1) == {"step": 1}
