"""Fine-tunes of a tiny model, as the program that a job runs."""

import contextlib
import json
import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.lifecycle.tiny_model import CHATML, TinyModel

ANSWERS = {"a": "yes", "b": "no", "c": "why"}


def chat_lines(count: int = 30) -> Iterator[dict[str, Any]]:
    """Chats whose answer follows from the first letter of the question."""
    for number in range(count):
        letter = "abc"[number % 3]
        asked = f"{letter * (number % 5 + 2)} {number}"
        yield {
            "part": "validation" if number >= count * 0.8 else "train",
            "messages": [{"role": "user", "content": asked}],
            "completion": ANSWERS[letter],
            "place": number + 1,
        }


def make_folder(folder: Path, **spec: Any) -> Path:
    """A job's folder, with all that its program reads."""
    folder.mkdir()
    parent = TinyModel("llama", template=CHATML).write(folder / "parent.gguf")
    lines = "".join(json.dumps(line) + "\n" for line in chat_lines())
    (folder / "examples.jsonl").write_text(lines)
    asked = {"model": "tiny", "name": "tuned", "device": "cpu", "dtype": "float32", **spec}
    told = {"kind": "finetune", "spec": asked, "gguf": str(parent)}
    (folder / "spec.json").write_text(json.dumps(told))
    return folder


@dataclass(frozen=True)
class Ended:
    """What a program said, and how it ended."""

    lines: list[dict[str, Any]]
    status: int

    def named(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line.get("event") == event]


def run_program(folder: Path) -> Ended:
    """Run the program on the folder, to its end."""
    program = subprocess.run(
        [sys.executable, "-m", "canteen.lifecycle.training", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )
    return Ended([json.loads(line) for line in program.stdout.splitlines()], program.returncode)


# For many runs: their processes have everything imported when they begin.
_PREPARED = multiprocessing.get_context("forkserver")
_PREPARED.set_forkserver_preload(["peft", "accelerate", "canteen.lifecycle.training.finetune"])
# To begin a process is to ask how the others ended, and each may be asked only once at a time.
_ONE_AT_A_TIME = threading.Lock()


def run_prepared(folder: Path, kill_at_step: int | None = None) -> Ended:
    """Run what the program runs, to its end or until it is killed after a step."""
    ours, theirs = _PREPARED.Pipe(duplex=False)
    process = _PREPARED.Process(target=_program, args=(str(folder), theirs))
    with _ONE_AT_A_TIME:
        process.start()
    theirs.close()
    lines = []
    with ours, contextlib.suppress(EOFError):
        while True:
            lines.append(json.loads(ours.recv_bytes()))
            if kill_at_step is not None and lines[-1].get("step", 0) >= kill_at_step:
                process.kill()
                break
    with _ONE_AT_A_TIME:
        process.join()
        status = process.exitcode
    assert status is not None
    return Ended(lines, status)


def _program(folder: str, told: Connection) -> None:
    import torch

    from canteen.lifecycle.training.__main__ import main

    torch.set_num_threads(1)
    sys.exit(main([folder], lambda line: told.send_bytes(line.encode())))
