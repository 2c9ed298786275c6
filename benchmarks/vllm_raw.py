"""vLLM alone, and the machine under it: runs in vLLM's own Python, told what to do as JSON.

`python -m benchmarks.vllm_raw '{"do": "raw", …}'` prints JSON lines.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from time import perf_counter
from typing import Any

from canteen.bench.figures import Figures, Outcome
from canteen.bench.loops import closed_loop
from canteen.core.telemetry_off import switch_off
from canteen.engines.vllm_config import engine_arguments

REPEATS = 20


async def raw(told: dict[str, Any]) -> None:
    """Closed loops straight on the engine, over prompts of token ids."""
    from vllm.v1.engine.async_llm import AsyncLLM

    arguments = engine_arguments(
        Path(told["folder"]), told["max_num_seqs"], told["kv_cache_gb"], told["options"]
    )
    engine = AsyncLLM.from_engine_args(arguments)
    warm = Asking(engine, told["points"][0]["prompts"][:1], 8)
    await closed_loop(warm.ask, 1, range(1))
    for point in told["points"]:
        asking = Asking(engine, point["prompts"], point["max_tokens"])
        run = await closed_loop(asking.ask, point["streams"], range(len(point["prompts"])))
        say(point["name"], Figures.of(run))
    engine.shutdown()


class Asking:
    """Greedy answers of a fixed length, token by token as they come."""

    def __init__(self, engine: Any, prompts: Sequence[Sequence[int]], max_tokens: int) -> None:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        self._engine = engine
        self._prompts = prompts
        self._params = SamplingParams(
            max_tokens=max_tokens,
            temperature=0.0,
            ignore_eos=True,
            output_kind=RequestOutputKind.DELTA,
        )

    async def ask(self, number: int, due_s: float) -> Outcome:
        """See canteen.bench.loops."""
        from vllm import TokensPrompt

        prompt = TokensPrompt(prompt_token_ids=list(self._prompts[number]))
        text_s: list[float] = []
        num_tokens = 0
        given = self._engine.generate(prompt, self._params, f"{perf_counter()}-{number}")
        async with aclosing(given) as outputs:
            async for output in outputs:
                text_s.append(perf_counter())
                num_tokens += len(output.outputs[0].token_ids)
        return Outcome(
            due_s, due_s, perf_counter(), text_s, len(self._prompts[number]), 0, num_tokens
        )


def say(name: str, figures: Figures) -> None:
    """Print the figures of a point."""
    told = {
        "name": name,
        "tokens_per_s": figures.output_tokens_per_s,
        "prompt_tokens": figures.prompt_tokens,
        "ttft_p50_s": figures.ttft.median,
        "ttft_p99_s": figures.ttft.p99,
        "tpot_p50_s": figures.tpot.median,
        "num_whole": figures.num_whole,
    }
    print(json.dumps(told), flush=True)


def ceilings(told: dict[str, Any]) -> None:
    """A copy within the device, a large product, and the model's own products of M rows."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    size = told["size"]
    source = torch.empty(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    took_s = timed(lambda: target.copy_(source))
    board = torch.cuda.get_device_name() if device == "cuda" else "a processor"
    copied = {"name": "copy", "device": board, "bytes_per_s": 2 * size / took_s}
    print(json.dumps(copied), flush=True)
    side = told["side"]
    square = torch.randn(side, side, dtype=torch.bfloat16, device=device)
    took_s = timed(lambda: square @ square)
    print(json.dumps({"name": "product", "flop_per_s": 2 * side**3 / took_s}), flush=True)
    for rows in told["rows"]:
        products(told["shapes"], rows, device)


def products(shapes: Sequence[tuple[int, int]], rows: int, device: str) -> None:
    """One layer's products, with as many rows as sequences decode."""
    import torch

    pairs = [
        (
            torch.randn(rows, inner, dtype=torch.bfloat16, device=device),
            torch.randn(inner, outer, dtype=torch.bfloat16, device=device),
        )
        for inner, outer in shapes
    ]

    def once() -> None:
        for left, right in pairs:
            torch.mm(left, right)

    took_s = timed(once)
    weights_bytes = sum(2 * inner * outer for inner, outer in shapes)
    told = {"name": f"layer, {rows} rows", "took_s": took_s, "bytes_per_s": weights_bytes / took_s}
    print(json.dumps(told), flush=True)


def timed(work: Callable[[], object]) -> float:
    """Seconds of one of many, on a GPU inside one graph, so that no launch is counted."""
    import torch

    for _ in range(3):
        work()
    if not torch.cuda.is_available():
        began_s = perf_counter()
        for _ in range(REPEATS):
            work()
        return (perf_counter() - began_s) / REPEATS
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(REPEATS):
            work()
    graph.replay()
    torch.cuda.synchronize()
    began_s = perf_counter()
    graph.replay()
    torch.cuda.synchronize()
    return (perf_counter() - began_s) / REPEATS


def main() -> None:
    """Do what is told."""
    switch_off(os.environ, sys.modules)
    told = json.loads(sys.argv[1] if sys.argv[1] != "-" else sys.stdin.read())
    if told["do"] == "ceilings":
        ceilings(told)
    else:
        asyncio.run(raw(told))


if __name__ == "__main__":
    main()
