"""Checkpoints: each one file, there whole or not at all."""

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from canteen.core.errors import StorageFull
from canteen.lifecycle import files

KEPT = 2
NAME = re.compile(r"step-(\d{9})\.pt")


class Checkpoints:
    """The checkpoints in a folder, by the step after which each was taken."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for rest in folder.glob("*.part"):
            rest.unlink()

    def steps(self) -> list[int]:
        """The steps of the checkpoints there are, oldest first."""
        found = (NAME.fullmatch(path.name) for path in self._folder.iterdir())
        return sorted(int(match[1]) for match in found if match)

    def save(self, step: int, state: Mapping[str, Any], keep: Collection[int] = ()) -> None:
        """Write one, durably; the KEPT newest stay, and those of the steps in `keep`.

        Raises StorageFull, and leaves the earlier ones, where the disk has no room.
        """
        part = self._folder / f"step-{step:09}.pt.part"
        try:
            _write(state, part)
            part.rename(self._path(step))
            files.sync(self._folder)
        except (OSError, RuntimeError) as exc:
            part.unlink(missing_ok=True)
            if not _is_full(exc):
                raise
            last = self.steps()[-1:]
            kept = f"the one of step {last[0]} is kept" if last else "there is none yet"
            raise StorageFull(
                f"the disk has no room for the checkpoint of step {step}; {kept}; "
                "make room, and resume the job"
            ) from exc
        for old in set(self.steps()[:-KEPT]) - set(keep):
            self._path(old).unlink()

    def load(self, step: int) -> dict[str, Any]:
        """What was saved after `step`, in main memory."""
        import torch

        loaded: dict[str, Any] = torch.load(self._path(step), map_location="cpu", weights_only=True)
        return loaded

    def _path(self, step: int) -> Path:
        return self._folder / f"step-{step:09}.pt"


def _write(state: Mapping[str, Any], path: Path) -> None:
    import torch

    with path.open("wb") as file:
        torch.save(dict(state), file)
        file.flush()
        os.fsync(file.fileno())


def _is_full(exc: OSError | RuntimeError) -> bool:
    """Whether the disk, or the process's share of it, is full."""
    import errno

    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    causes = (exc, exc.__cause__, exc.__context__)
    return any(isinstance(cause, OSError) and cause.errno in full for cause in causes)
