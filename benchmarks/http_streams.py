"""32 chat streams over HTTP: Canteen against llama.cpp's own server, interleaved in one run.

`make bench` installs the peer (the xllamacpp wheel) and prints a row for benchmarks/LOG.md. Both
serve the same GGUF, which Canteen has prepared; the client shares their machine.
"""

import argparse
import asyncio
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from canteen.runtime.catalog import Catalog

MODEL = "smollm2:135m"
MAX_TOKENS = 64
TEXT = (
    "The canteen at the edge of the works fed nine hundred people a day, and whoever came late "
    "found the soup cold and the bread gone. One winter the cook began to write down who ate what, "
    "and found that the night shift went hungry while the day shift left its plates half full. "
    "She moved one pot, and asked for nothing more. Tell what happened next in the spring, when "
    "the new foreman read her book, and say what he asked her, and what she answered him then."
)
PEER = """
import sys, time, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.model_alias = sys.argv[1], [sys.argv[3]]
params.hostnames, params.port = ["127.0.0.1"], int(sys.argv[2])
params.n_parallel, params.n_ctx, params.warmup = int(sys.argv[4]), int(sys.argv[4]) * 512, True
params.cont_batching = True
server = xllamacpp.Server(params)
print("listening on", server.listening_address, flush=True)
time.sleep(3600)
"""


@dataclass(frozen=True)
class Measured:
    """One round of all streams."""

    tokens_per_s: float
    ttft_s: float
    prompt_tokens: int


@dataclass(frozen=True)
class Answer:
    """One stream."""

    ttft_s: float
    prompt_tokens: int
    completion_tokens: int


async def ask(port: int, content: str) -> Answer:
    """One stream over a connection of its own, read by hand: a client library would cost cores."""
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": content}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": MAX_TOKENS,
        "temperature": 0,
        "ignore_eos": True,
    }
    data = json.dumps(body).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
        "Connection: close\r\n\r\n"
    )
    began_s = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.encode() + data)
    first_s, last = 0.0, b""
    async for line in reader:
        if b'"content":"' in line and b'"content":""' not in line and not first_s:
            first_s = time.perf_counter()
        if line.startswith(b"data: {"):
            last = line
    writer.close()
    usage = json.loads(last.removeprefix(b"data: "))["usage"]
    return Answer(first_s - began_s, usage["prompt_tokens"], usage["completion_tokens"])


async def measure(port: int, streams: int, label: str) -> Measured:
    """All streams at once; every prompt begins differently, so that no cache answers."""
    began_s = time.perf_counter()
    answers = await asyncio.gather(
        *(ask(port, f"Story {label}, number {number}. {TEXT}") for number in range(streams))
    )
    elapsed_s = time.perf_counter() - began_s
    return Measured(
        sum(one.completion_tokens for one in answers) / elapsed_s,
        median(one.ttft_s for one in answers),
        sum(one.prompt_tokens for one in answers),
    )


@contextmanager
def running(command: list[str], port: int, ready: str, **environ: str) -> Iterator[None]:
    """A server for the time of the block."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, env={**os.environ, **environ}, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            while not answers(f"http://127.0.0.1:{port}{ready}"):
                if process.poll() is not None:
                    log.seek(0)
                    raise SystemExit(log.read().decode(errors="replace"))
                time.sleep(0.2)
            yield
        finally:
            process.terminate()
            process.wait(30)


def answers(url: str) -> bool:
    """Whether a server answers there with success."""
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except (urllib.error.URLError, ConnectionError):
        return False


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def row(ours: list[Measured], theirs: list[Measured], streams: int, weights: str) -> str:
    """The row for the log: medians, and the median of the rounds' ratios."""
    pairs = list(zip(ours, theirs, strict=True))
    ratio = median(our.tokens_per_s / their.tokens_per_s for our, their in pairs)
    ttft = median(our.ttft_s / their.ttft_s for our, their in pairs)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    cells = [
        f"{datetime.now(UTC):%Y-%m-%d}",
        commit,
        f"{hardware()}, {os.cpu_count()} cores",
        weights,
        f"{streams}",
        f"{median(one.tokens_per_s for one in ours):.0f}",
        f"{median(one.tokens_per_s for one in theirs):.0f}",
        f"{ratio:.2f}",
        f"{median(one.ttft_s for one in ours):.2f} s",
        f"{median(one.ttft_s for one in theirs):.2f} s",
        f"{ttft:.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def hardware() -> str:
    """The processor's name."""
    cpuinfo = Path("/proc/cpuinfo")
    names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
    return names[0].partition(":")[2].strip() if names else platform.processor()


def main() -> None:
    """Run the rounds and print them, then the row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(".cache/home"))
    parser.add_argument(
        "--gguf", type=Path, help="what the peer serves; Canteen's source if left out"
    )
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    catalog = Catalog(options.home.absolute())
    gguf = options.gguf or catalog.blob_path(catalog.get(MODEL).digest)
    our_port, their_port = free_port(), free_port()
    our_command = [sys.executable, "-m", "canteen", "serve", "--port", str(our_port)]
    their_command = [sys.executable, "-c", PEER, str(gguf), str(their_port), MODEL]
    ours: list[Measured] = []
    theirs: list[Measured] = []
    with (
        running(our_command, our_port, "/health/ready", CANTEEN_HOME=str(options.home.absolute())),
        running([*their_command, str(options.streams)], their_port, "/health"),
    ):
        for number in range(-1, options.rounds):
            our = asyncio.run(measure(our_port, options.streams, str(number)))
            their = asyncio.run(measure(their_port, options.streams, str(number)))
            print(f"round {number}: ours {our}, theirs {their}", flush=True)
            if number >= 0:
                ours.append(our)
                theirs.append(their)
    weights = options.gguf.name if options.gguf else "the same GGUF"
    print(row(ours, theirs, options.streams, weights))


if __name__ == "__main__":
    main()
