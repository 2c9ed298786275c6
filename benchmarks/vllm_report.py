"""What `benchmarks.vllm` measured, as rows for LOG.md: ratios to vLLM alone, to its own server, and
to the roofline of the board as the step `ceilings` measured it."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import log, vllm_model
from canteen.planning.config import from_config
from canteen.planning.quantization import weights_format
from canteen.planning.reading import reading
from canteen.planning.roofline import Demand, Reading, decode_step

HEADER = (
    "| date | commit | machine | what | streams x prompt/new tokens | tokens/s | of vLLM alone | "
    "of `vllm serve` | of the roofline | added TTFT, p50 | p99 |",
    "|---|---|---|---|---|---|---|---|---|---|---|",
)
POINT = re.compile(r"(\d+) x \d+/(\d+)")
# What each is compared with: the same engine alone.
ALONE = {"server": "raw", "service": "raw", "fp8 service": "fp8 raw"}
WHATS = ("raw", "server", "service", "fp8 raw", "fp8 service")
# Every device that computes in 8 bits does so twice as fast.
FP8_SPEEDUP = 2.0

Line = Mapping[str, Any]


@dataclass(frozen=True)
class Ceilings:
    """What a board does at most, as it was measured."""

    bytes_per_s: float
    flop_per_s: float
    device: str

    def time_s(self, demand: Demand, speedup: float) -> float:
        """What a demand takes at least."""
        return max(demand.read_bytes / self.bytes_per_s, demand.flops / self.flop_per_s / speedup)


class Report:
    """The lines of a file of one model; what was measured again counts as it was the last time."""

    def __init__(self, lines: Sequence[Line], shape: Mapping[str, Any]) -> None:
        self._last = {(line["what"], line["name"]): line for line in lines}
        self._spec = from_config(vllm_model.config(shape))
        self._ceilings = self._measured()

    def rows(self) -> Iterator[str]:
        """A row for each point, in the order in which they were measured."""
        for what in WHATS:
            for (of, name), line in self._last.items():
                if of == what and POINT.fullmatch(name):
                    yield self._row(line)

    def most_tokens_per_s(self, line: Line) -> float:
        """What the board's ceilings allow at a point: all prompts read, then all sequences
        decoding, with nothing else to wait for. NaN where no ceilings were measured."""
        point = POINT.fullmatch(line["name"])
        if self._ceilings is None or point is None:
            return math.nan
        streams, max_tokens = map(int, point.groups())
        is_fp8 = line["what"].startswith("fp8")
        read = reading(self._spec, weights_format("fp8" if is_fp8 else "bf16", self._spec), "bf16")
        prompt = round(line["prompt_tokens"])
        parts = _demands(read, streams, prompt, max_tokens)
        speedup = FP8_SPEEDUP if is_fp8 else 1.0
        time_s = sum(self._ceilings.time_s(one, speedup) * times for one, times in parts)
        return streams * max_tokens / time_s

    def _row(self, line: Line) -> str:
        what, name = line["what"], line["name"]
        alone = self._last.get((ALONE.get(what, ""), name))
        served = self._last.get(("server", name)) if what == "service" else None
        device = self._ceilings.device if self._ceilings else "-"
        speed = line["tokens_per_s"]
        cells = (
            line["at"][:10],
            log.commit(),
            device,
            what,
            name,
            f"{speed:.0f}",
            _ratio(speed, alone),
            _ratio(speed, served),
            _number(speed / self.most_tokens_per_s(line), ".2f"),
            _added(line, alone, "ttft_p50_s"),
            _added(line, alone, "ttft_p99_s"),
        )
        return f"| {' | '.join(cells)} |"

    def _measured(self) -> Ceilings | None:
        copy, product = (self._last.get(("ceilings", name)) for name in ("copy", "product"))
        if copy is None or product is None:
            return None
        return Ceilings(copy["bytes_per_s"], product["flop_per_s"], copy.get("device", "-"))


def show(path: Path, shape: Mapping[str, Any]) -> None:
    """Print the table; raises SystemExit where nothing was measured yet."""
    if not path.exists():
        raise SystemExit(f"{path} is not there: measure first, or name the lines with --out")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    print("\n".join([*HEADER, *Report(lines, shape).rows()]))


def _demands(
    read: Reading, streams: int, prompt: int, max_tokens: int
) -> list[tuple[Demand, float]]:
    """Of so many requests at once, and how many times each is due."""
    prompts = Demand(read.weights_read(prompt * streams), streams * read.prompt_flops(prompt))
    # The first token of an answer comes with its prompt.
    step = decode_step(read, streams, prompt + max_tokens / 2)
    return [(prompts, 1), (step, max_tokens - 1)]


def _ratio(speed: float, other: Line | None) -> str:
    return _number(speed / other["tokens_per_s"], ".2f") if other else "-"


def _added(line: Line, alone: Line | None, name: str) -> str:
    return _number(1000 * (line[name] - alone[name]), ".1f", " ms") if alone else "-"


def _number(value: float, form: str, unit: str = "") -> str:
    return "-" if math.isnan(value) else f"{value:{form}}{unit}"
