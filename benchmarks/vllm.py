"""The service over vLLM on one GPU: against its ceilings, vLLM alone, and vLLM's own server.

Each step is one command of under nine minutes on an H200, and appends JSON lines to `--out`:

    ceilings  a copy within the device, a bf16 product, a layer's products at 1 to 256 rows
    raw       vLLM alone, 1 to 256 sequences, 128/128 and 1024/256 tokens
    service   Canteen over the same engine at the same points; Poisson arrivals at 50, 75 and 90 %
    server    `vllm serve` at the same points
    cancels   128 callers who leave in the middle; then all places and most of the cache are asked
              for, and each answer must begin before any ends: nothing is held for those who left
    energy    what the boards' counter counted (with canteen-llm[nvidia], whose pynvml reads it)
              against what the receipts say, and the node's accounts
    fp8       vLLM alone and Canteen with fp8 weights, which no processor has
    report    measures nothing: the lines of `--out` as rows for LOG.md, with ratios to vLLM alone,
              to its server and to the roofline, and the time to the first token that we add

The model has the shape of Llama-3.1-8B and weights that vLLM makes up: good for speed, never for
quality. `--tiny` is a model of two layers and few points, to try the program itself anywhere.
"""

import argparse
import asyncio
import json
import os
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from benchmarks import vllm_model, vllm_report
from benchmarks.servers import Server, canteen, free_port, running
from canteen.bench.client import Client
from canteen.bench.figures import Figures, Outcome, Run
from canteen.bench.load import Load, poisson
from canteen.bench.loops import closed_loop, open_loop
from canteen.engines import chat_template, environment
from canteen.runtime.catalog import Catalog
from canteen.runtime.pull import Puller

MODEL = "bench"
ROOT = Path(__file__).parents[1]
SHARES = (0.5, 0.75, 0.9)
# What the gateway knows of; what vLLM itself still holds shows in who has to wait.
RUNNING = "vllm:num_requests_running"
# With the marks and the template around it, the text of a request takes a tenth more.
FILLED_SHARE = 0.85
FILLING_TOKENS = 256

QUIET = {"VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "ERROR", "HF_HUB_OFFLINE": "1"}


@dataclass(frozen=True)
class Size:
    """How large all is."""

    shape: dict[str, Any]
    streams: Sequence[int]
    loads: Sequence[Load]
    options: dict[str, str]
    kv_cache_gb: int
    poisson_s: float
    copy_bytes: int
    side: int
    num_leaving: int
    requests_each: int = 2

    @property
    def max_num_seqs(self) -> int:
        """As many as ever run."""
        return max(self.streams)

    @property
    def filling(self) -> Load:
        """What fills the cache when as many ask for it as ever run."""
        head_size = self.shape["hidden_size"] // self.shape["num_attention_heads"]
        numbers = self.shape["num_hidden_layers"] * self.shape["num_key_value_heads"] * head_size
        # Keys and values, of two bytes each.
        cache_tokens = (self.kv_cache_gb << 30) // (4 * numbers)
        share = int(FILLED_SHARE * cache_tokens / self.max_num_seqs)
        longest = min(share, vllm_model.CONTEXT_LENGTH // 2)
        return Load(longest - FILLING_TOKENS, FILLING_TOKENS)


GPU = Size(
    shape=vllm_model.LLAMA_8B,
    streams=(1, 8, 32, 64, 128, 256),
    loads=(Load(128, 128), Load(1024, 256)),
    options={"load_format": "dummy", "max_num_batched_tokens": "8192"},
    kv_cache_gb=64,
    poisson_s=30.0,
    copy_bytes=4 << 30,
    side=8192,
    num_leaving=128,
)
TINY = Size(
    shape=vllm_model.TINY,
    streams=(1, 4),
    loads=(Load(32, 16),),
    options={"load_format": "dummy", "enforce_eager": "true", "dtype": "bfloat16"},
    kv_cache_gb=1,
    poisson_s=3.0,
    copy_bytes=64 << 20,
    side=256,
    num_leaving=4,
)


class Bench:
    """Steps over one size, with vLLM's Python in `home`."""

    def __init__(self, size: Size, home: Path, out: Path) -> None:
        self._size = size
        self._home = home
        self._out = out
        self._folder = vllm_model.write(home / "published", size.shape)

    def ceilings(self) -> None:
        """See the module."""
        hidden, inner = self._size.shape["hidden_size"], self._size.shape["intermediate_size"]
        heads, kv = (
            self._size.shape["num_attention_heads"],
            self._size.shape["num_key_value_heads"],
        )
        attention = hidden + 2 * hidden * kv // heads
        shapes = [(hidden, attention), (hidden, hidden), (hidden, 2 * inner), (inner, hidden)]
        told = {"do": "ceilings", "size": self._size.copy_bytes, "side": self._size.side}
        self._in_vllm("ceilings", told | {"rows": list(self._size.streams), "shapes": shapes})

    def raw(self, what: str = "raw", **more: str) -> None:
        """See the module."""
        prompts = Prompts(self._folder)
        points = [
            {
                "name": name,
                "streams": streams,
                "max_tokens": load.max_tokens,
                "prompts": [prompts.of(load, number) for number in numbers],
            }
            for name, streams, numbers, load in self._points()
        ]
        told = {
            "do": "raw",
            "folder": str(self._folder),
            "max_num_seqs": self._size.max_num_seqs,
            "kv_cache_gb": self._size.kv_cache_gb,
            "options": {**self._size.options, **more},
            "points": points,
        }
        self._in_vllm(what, told)

    def service(self, what: str = "service", **more: str) -> None:
        """See the module."""
        with self._canteen(**more) as server:
            most_per_s = asyncio.run(self._closed(what, server))
            for share in SHARES:
                figures = asyncio.run(self._arriving(server, share * most_per_s))
                self._say(what, f"Poisson, {share:.0%} of {most_per_s:.3g}/s", told_of(figures))

    def server(self) -> None:
        """See the module."""
        port = free_port()
        options = [
            f"--{name.replace('_', '-')}" + ("" if text == "true" else f"={text}")
            for name, text in self._size.options.items()
        ]
        command = [
            environment.program("vllm", self._home).python,
            # What `vllm serve` runs; the build for processors lacks that command.
            "-m",
            "vllm.entrypoints.openai.api_server",
            f"--model={self._folder}",
            f"--port={port}",
            f"--served-model-name={MODEL}",
            f"--max-num-seqs={self._size.max_num_seqs}",
            f"--kv-cache-memory-bytes={self._size.kv_cache_gb << 30}",
            "--max-model-len=-1",
            *options,
        ]
        with running(command, f"http://127.0.0.1:{port}", "/health", QUIET) as server:
            asyncio.run(self._closed("server", server))

    def fp8(self) -> None:
        """See the module."""
        self.raw("fp8 raw", quantization="fp8")
        self.service("fp8 service", quantization="fp8")

    def cancels(self) -> None:
        """See the module."""
        with self._canteen() as server:
            asyncio.run(self._leave(server))
            left_s = time.perf_counter()
            while gauge(server, RUNNING):
                time.sleep(0.001)
            told = {
                "callers": self._size.num_leaving,
                "closed_after_s": time.perf_counter() - left_s,
                **asyncio.run(self._fill(server)),
            }
        self._say("cancels", "all leave at once; then all is asked for", told)
        if told["begun_at_once"] < told["places"]:
            raise SystemExit("some had to wait: vLLM still holds what those who left had")

    def energy(self) -> None:
        """See the module."""
        with self._canteen() as server:
            before = booked_uj(server)
            counted = board_energy_uj()
            asyncio.run(self._closed("energy", server))
            after = booked_uj(server)
            counted_after = board_energy_uj()
        booked = {name: after[name] - before[name] for name in after}
        if counted is not None and counted_after is not None:
            booked["boards_uj"] = counted_after - counted
        self._say("energy", "receipts, accounts, their meter, and the boards' counter", booked)

    def _points(self) -> Iterator[tuple[str, int, range, Load]]:
        """Each with requests of its own, so that no prompt was read before."""
        first = 1
        for load in self._size.loads:
            for streams in self._size.streams:
                name = f"{streams} x {load.prompt_tokens}/{load.max_tokens}"
                numbers = range(first, first + streams * self._size.requests_each)
                yield name, streams, numbers, load
                first = numbers.stop

    async def _closed(self, what: str, server: Server) -> float:
        """All points; the most requests per second of the first load."""
        most_per_s = 0.0
        for name, streams, numbers, load in self._points():
            client = Client(server.url, MODEL, load)
            await client.check()
            run = await closed_loop(client.ask, streams, numbers)
            client.close()
            figures = Figures.of(run)
            if load == self._size.loads[0]:
                most_per_s = max(most_per_s, figures.requests_per_s)
            self._say(what, name, told_of(figures))
        return most_per_s

    async def _arriving(self, server: Server, rate_per_s: float) -> Figures:
        client = Client(server.url, MODEL, self._size.loads[0])
        arrivals = poisson(rate_per_s, self._size.poisson_s, seed=1)
        run = await open_loop(client.ask, arrivals, count(10_000))
        client.close()
        return Figures.of(run)

    async def _leave(self, server: Server) -> None:
        """Ask, and hang up once all answers have had time to begin."""
        load = replace(self._size.loads[0], max_tokens=4096)
        client = Client(server.url, MODEL, load)
        asking = [
            asyncio.ensure_future(client.ask(number, time.perf_counter()))
            for number in range(self._size.num_leaving)
        ]
        await asyncio.wait(asking, timeout=self._size.poisson_s)
        for one in asking:
            one.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*asking)

    async def _fill(self, server: Server) -> dict[str, Any]:
        """Ask for all places and the cache; how many began before anybody came to an end."""
        client = Client(server.url, MODEL, self._size.filling)
        due_s = time.perf_counter()
        numbers = range(20_000, 20_000 + self._size.max_num_seqs)
        outcomes = await asyncio.gather(*(client.ask(number, due_s) for number in numbers))
        client.close()
        figures = Figures.of(Run(outcomes, due_s, max(one.end_s for one in outcomes)))
        return {
            "places": len(outcomes),
            "begun_at_once": begun_at_once(outcomes),
            "ttft_p99_s": figures.ttft.p99,
            "errors": figures.errors,
        }

    @contextmanager
    def _canteen(self, **more: str) -> Iterator[Server]:
        asyncio.run(pulled(self._home, self._folder))
        options = {**self._size.options, **more}
        environ = {
            "CANTEEN_MODEL": MODEL,
            "CANTEEN_EMBEDDER": "echo-embed",
            "CANTEEN_MAX_NUM_SEQS": str(self._size.max_num_seqs),
            "CANTEEN_KV_CACHE_GB": str(self._size.kv_cache_gb),
            "CANTEEN_VLLM": ",".join(f"{name}={text}" for name, text in options.items()),
        }
        with canteen(self._home, **environ) as server:
            yield server

    def _in_vllm(self, what: str, told: dict[str, Any]) -> None:
        """Run a program of ours in vLLM's Python; its lines are figures."""
        program = environment.program("vllm", self._home)
        path = os.pathsep.join([program.environ["PYTHONPATH"], str(ROOT)])
        process = subprocess.Popen(
            [program.python, "-m", "benchmarks.vllm_raw", "-"],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(told))
            process.stdin.close()
            for line in process.stdout:
                if line.startswith("{"):
                    figures = json.loads(line)
                    self._say(what, figures.pop("name"), figures)
        if process.returncode:
            raise SystemExit(f"{what} failed; its messages are above")

    def _say(self, what: str, name: str, figures: dict[str, Any]) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        line = json.dumps({"at": now, "what": what, "name": name, **figures})
        print(line, flush=True)
        with self._out.open("a") as out:
            out.write(line + "\n")


class Prompts:
    """The prompts that a server makes of a load, as token ids."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def of(self, load: Load, number: int) -> list[int]:
        """Those of one request."""
        messages = load.body(MODEL, number)["messages"]
        values = {"messages": messages, "add_generation_prompt": True}
        text = chat_template.applied(vllm_model.TEMPLATE, values)
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids


def begun_at_once(outcomes: Sequence[Outcome]) -> int:
    """How many began before any came to its end, so that all of these were held together."""
    first_end_s = min(one.end_s for one in outcomes)
    return sum(bool(one.text_s) and one.text_s[0] < first_end_s for one in outcomes)


def told_of(figures: Figures) -> dict[str, Any]:
    """What is kept of a run."""
    return {
        "tokens_per_s": figures.output_tokens_per_s,
        "requests_per_s": figures.requests_per_s,
        "prompt_tokens": figures.prompt_tokens,
        "ttft_p50_s": figures.ttft.median,
        "ttft_p99_s": figures.ttft.p99,
        "tpot_p50_s": figures.tpot.median,
        "late_p99_s": figures.late.p99,
        "num_whole": figures.num_whole,
        "errors": figures.errors,
    }


async def pulled(home: Path, folder: Path) -> None:
    """Have the model in the store."""
    puller = Puller(Catalog(home))
    for what, name in ((f"file:{folder}", MODEL), ("builtin:echo-embed", "echo-embed")):
        async for _ in puller.pull(what, name):
            pass


def asked(server: Server, path: str) -> Any:
    """What the service says at a path."""
    with urllib.request.urlopen(server.url + path, timeout=30) as answer:
        return json.load(answer)


def gauge(server: Server, name: str) -> float:
    """What a gauge of /metrics says now, of all models together."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return sum(
        float(line.split()[-1]) for line in lines if line.startswith((f"{name}{{", f"{name} "))
    )


def booked_uj(server: Server) -> dict[str, int]:
    """What all receipts say, the accounts of the node, and its meter, in microjoules."""
    # They are booked each second.
    time.sleep(2)
    told = asked(server, "/v1/footprint?by=account")
    sums = asked(server, "/v1/footprint?by=model")["sums"]
    accounts = {name: value for name, value in told.items() if name.endswith("_uj")}
    return accounts | {"receipts_uj": sum(sum(one["energy_uj"].values()) for one in sums)}


def board_energy_uj() -> int | None:
    """What the boards have counted; None where there are none."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        boards = [
            pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())
        ]
        return sum(1000 * int(pynvml.nvmlDeviceGetTotalEnergyConsumption(one)) for one in boards)
    except pynvml.NVMLError:
        return None


def main() -> None:
    """Do one step, or all of them."""
    steps = ("ceilings", "raw", "service", "server", "cancels", "energy", "fp8")
    as_it_is = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "benchmarks.vllm", description=__doc__, formatter_class=as_it_is
    )
    parser.add_argument("step", choices=(*steps, "all", "report"))
    parser.add_argument("--tiny", action="store_true", help="a model of two layers")
    parser.add_argument("--vllm", type=Path, help="vLLM's environment")
    parser.add_argument("--out", type=Path, default=Path("vllm.jsonl"))
    told = parser.parse_args()
    size = TINY if told.tiny else GPU
    if told.step == "report":
        vllm_report.show(told.out, size.shape)
        return
    if told.vllm is None or not (told.vllm / "bin" / "python").exists():
        parser.error(
            "--vllm names vLLM's environment, which has bin/python in it; canteen engine install "
            "vllm makes one, engines/vllm under CANTEEN_HOME"
        )
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "engines").mkdir()
        (home / "engines" / "vllm").symlink_to(told.vllm.absolute())
        bench = Bench(size, home, told.out)
        for step in steps if told.step == "all" else (told.step,):
            getattr(bench, step)()


if __name__ == "__main__":
    main()
