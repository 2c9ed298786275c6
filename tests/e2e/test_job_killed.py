"""A job whose program is killed goes on where it was, and its model is served."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx

from canteen.lifecycle.perplexity import quality_text
from tests import serving
from tests.conftest import Serve

# So many that they take seconds more than anybody takes to see the first of them, and to kill.
NUM_STEPS = 500
SHAPE = (
    *("--vocab-size", "300", "--hidden-size", "64", "--num-layers", "2", "--num-heads", "2"),
    *("--num-kv-heads", "1", "--ff-size", "128", "--context-length", "64", "--batch-size", "4"),
    *("--epochs", "9", "--max-steps", str(NUM_STEPS)),
    *("--checkpoint-every", "5", "--evaluate-every", "250"),
)
WITHIN_S = 120.0


def asked(home: Path, *words: str) -> Any:
    environ = serving.plain_environ(home)
    told = subprocess.run(
        [*serving.CANTEEN, *words, "--json"], env=environ, stdout=subprocess.PIPE, check=True
    )
    return json.loads(told.stdout)


def events(home: Path) -> list[dict[str, Any]]:
    lines = [path.read_text() for path in home.glob("jobs/*/events.jsonl")]
    return [json.loads(line) for line in "".join(lines).splitlines() if line.endswith("}")]


def await_event(home: Path, kind: str) -> None:
    deadline_s = time.monotonic() + WITHIN_S
    while not any(event.get("event") == kind for event in events(home)):
        assert time.monotonic() < deadline_s, events(home)
        time.sleep(0.05)


def test_a_killed_training_goes_on_and_is_served(
    echo_home: Path, tmp_path: Path, serve: Serve
) -> None:
    folder, text = tmp_path / "texts", quality_text()
    folder.mkdir()
    (folder / "one.txt").write_text(text[1000:])
    (folder / "two.txt").write_text(text[:1000])
    corpus = ("--corpus", str(folder), "--held-out", "two.txt")
    command = [*serving.CANTEEN, "train", "--name", "tiny", *corpus, *SHAPE]
    environ = serving.plain_environ(echo_home)
    with subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL) as training:
        await_event(echo_home, "checkpoint")
        os.kill(training.pid, signal.SIGKILL)

    (killed,) = asked(echo_home, "jobs", "list")
    done = asked(echo_home, "jobs", "resume", killed["id"])

    assert (killed["state"], done["state"]) == ("interrupted", "done")
    assert any(event.get("event") == "resumed" for event in events(echo_home))
    steps = [event["step"] for event in events(echo_home) if event.get("event") == "step"]
    assert steps[-1] == NUM_STEPS
    told = asked(echo_home, "show", "tiny")
    assert told["metadata"]["lineage"]["job"] == killed["id"]
    phases = asked(echo_home, "footprint", "--by", "phase")["sums"]
    assert next(one for one in phases if one["phase"] == "train")["energy_uj"] > 0
    receipt = asked(echo_home, "footprint", "--by", "model")["sums"]
    assert any(one["model"] == "tiny:latest" for one in receipt)
    server = serve(echo_home)
    body = {"model": "tiny", "prompt": "The water", "max_tokens": 4}
    answer = httpx.post(f"{server.url}/v1/completions", json=body, timeout=60, trust_env=False)
    assert answer.status_code == 200, answer.text
    url = f"{server.url}/v1/jobs/{killed['id']}"
    job = httpx.get(url, timeout=60, trust_env=False).json()
    assert job["found"]["memory_bytes"] > 0
