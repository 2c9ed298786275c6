"""`canteen calibrate`: a minute of measuring, so that plans of this host guess less."""

import asyncio
import datetime
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any

import click

from canteen.cli import store
from canteen.core.errors import InvalidRequest
from canteen.core.generation import GenerationRequest, SamplingParams, Usage
from canteen.planning import calibration, roofline
from canteen.planning.calibration import Calibration, Point
from canteen.planning.reading import reading
from canteen.planning.roofline import Demand, Reading
from canteen.planning.subject import of_card
from canteen.planning.this_host import processor, this_host
from canteen.runtime.blobs import write_whole
from canteen.runtime.memory import machine_bytes

if TYPE_CHECKING:
    from canteen.bootstrap import Services

BATCHES = (1, 8, 32)
EACH_S = 10.0
PROMPT_TOKENS, WRITTEN_TOKENS, LONG_PROMPT_TOKENS = 16, 64, 512
TRIAD_S = 0.3
_TRIAD_NUMBERS = 8_000_000


@click.command
@click.argument("model", required=False)
@store.as_json
def command(model: str | None, is_json: bool) -> None:
    """Measure this host with MODEL (or the default one), for `canteen plan` and for sharing
    energy among requests. Takes about a minute; nothing else should be busy meanwhile."""
    services = store.services()
    name = model or services.settings.default_model
    made = asyncio.run(_calibrate(services, name, is_quiet=is_json))
    write_whole(services.settings.home / calibration.FILE, calibration.as_bytes(made))
    if is_json:
        import dataclasses

        store.echo_json(dataclasses.asdict(made))
        return
    for line in _told(made):
        click.echo(line)


def _told(made: Calibration) -> Iterator[str]:
    yield f"{made.host}, measured with {made.model}"
    yield f"  memory, triad      {made.copied_bytes_per_s / 1e9:.1f} GB/s"
    reached = "not told by these points"
    if made.bytes_per_s is not None:
        share = made.bytes_per_s / made.copied_bytes_per_s
        reached = f"{made.bytes_per_s / 1e9:.1f} GB/s, {share:.0%} of that"
    yield f"  weights are read   {reached}"
    computed = made.flops_per_s and f"{made.flops_per_s / 1e9:.0f} GFLOP/s"
    yield f"  computed           {computed or 'not told by these points'}"
    yield f"  a step besides     {made.step_s * 1000:.2f} ms"
    power = (
        "no counter here; it stays modelled" if made.power_w is None else f"{made.power_w:.1f} W"
    )
    yield f"  power              {power}"
    yield f"  the fit is off by  {made.error:.1%} (relative root mean square)"
    for one in made.points:
        yield f"    {one.name:28} {one.seconds * 1000:.1f} ms"


async def _calibrate(services: "Services", model: str, *, is_quiet: bool) -> Calibration:
    await store.ensure(services, model, is_quiet=is_quiet)
    card = services.catalog.get(model)
    if card.engine != "openvino" or card.kind != "generator":
        raise InvalidRequest(
            f"'{card.name}' does not run on this host's processor; choose a generating model",
            param="model",
        )
    subject = of_card(card)
    steps = reading(subject.spec, subject.format(None), "bf16")
    try:
        await services.load(model)
        with _bar(len(BATCHES) + 1, is_quiet=is_quiet) as advance:
            points = [await _prefill(services, model, steps)]
            advance()
            for batch in BATCHES:
                before_s, before_uj = time.monotonic(), _counted_uj(services)
                points.append(await _decode(services, model, steps, batch))
                power_w = 1e-6 * (_counted_uj(services) - before_uj)
                power_w /= time.monotonic() - before_s
                advance()
    finally:
        await services.close()
    bytes_per_s, flops_per_s, step_s, error = calibration.fit(points)
    is_counted = services.accounting.node.meter.name not in ("modelled", "declared")
    return Calibration(
        this_host(machine_bytes(), processor()).name,
        card.name,
        datetime.date.today().isoformat(),
        bytes_per_s,
        flops_per_s,
        step_s,
        error,
        triad_bytes_per_s(),
        power_w if is_counted else None,
        tuple(points),
    )


def _counted_uj(services: "Services") -> int:
    services.accounting.book()
    return services.accounting.node.accounts().meter_uj


async def _prefill(services: "Services", model: str, steps: Reading) -> Point:
    """One long prompt after another; only what computing takes, the weights come on top."""
    took = [
        usage.prefill_s
        async for usage in _rounds(services, model, batch=1, prompt=LONG_PROMPT_TOKENS, written=1)
    ]
    num_steps = -(-LONG_PROMPT_TOKENS // services.settings.max_batched_tokens)
    weights_bytes = num_steps * (steps.shared_bytes + steps.expert_bytes)
    demand = Demand(weights_bytes, steps.prompt_flops(LONG_PROMPT_TOKENS), num_steps)
    return Point.of(f"prompt of {LONG_PROMPT_TOKENS} tokens", demand, _median(took))


async def _decode(services: "Services", model: str, steps: Reading, batch: int) -> Point:
    """A step of so many sequences at once."""
    took = [
        usage.decode_s / (usage.completion_tokens - 1)
        async for usage in _rounds(
            services, model, batch=batch, prompt=PROMPT_TOKENS, written=WRITTEN_TOKENS
        )
    ]
    context = PROMPT_TOKENS + WRITTEN_TOKENS / 2
    demand = roofline.decode_step(steps, batch, context)
    return Point.of(f"step of {batch} sequences", demand, _median(took))


async def _rounds(
    services: "Services", model: str, *, batch: int, prompt: int, written: int
) -> AsyncIterator[Usage]:
    """What requests took that were sent `batch` at once, again and again; the first round, which
    warms up, is not told. No prompt comes twice, so none is found in the cache."""
    ends_s, number = time.monotonic() + EACH_S, 0
    while time.monotonic() < ends_s or number < 2:
        asked = [
            _request(model, f"{batch}-{number}-{each}", prompt, written) for each in range(batch)
        ]
        usages = await asyncio.gather(*(_usage(services, one) for one in asked))
        number += 1
        if number > 1:
            for usage in usages:
                yield usage


def _request(model: str, name: str, prompt: int, written: int) -> GenerationRequest:
    seed = sum(ord(letter) * 31**place for place, letter in enumerate(name))
    tokens = tuple(100 + (seed + 7919 * place * place) % 20_000 for place in range(prompt))
    return GenerationRequest(
        f"calibrate-{name}",
        model,
        prompt_tokens=tokens,
        sampling=SamplingParams(max_tokens=written, temperature=0.0, ignore_eos=True),
    )


async def _usage(services: "Services", request: GenerationRequest) -> Usage:
    usage = Usage()
    async with aclosing(services.generate(request)) as chunks:
        async for chunk in chunks:
            usage = chunk.usage or usage
    return usage


def triad_bytes_per_s() -> float:
    """Bytes/s of `a = b + s · c` on long arrays in all threads: McCalpin's STREAM, the best of
    what fits into a third of a second."""
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np

    num_threads = processor().num_threads
    parts = [
        tuple(np.ones(_TRIAD_NUMBERS // num_threads) for _ in range(3)) for _ in range(num_threads)
    ]

    def once(part: Any) -> None:
        a, b, c = part
        np.multiply(c, 3.0, out=a)
        np.add(a, b, out=a)

    best_s, ends_s = float("inf"), time.monotonic() + TRIAD_S
    with ThreadPoolExecutor(num_threads) as pool:
        while time.monotonic() < ends_s:
            began_s = time.perf_counter()
            list(pool.map(once, parts))
            best_s = min(best_s, time.perf_counter() - began_s)
    # Two passes: c and a, then a, b and a.
    return 5 * 8 * _TRIAD_NUMBERS / best_s


@contextmanager
def _bar(length: int, *, is_quiet: bool) -> Iterator[Any]:
    """A bar on a terminal."""
    if is_quiet:
        yield lambda: None
        return
    with click.progressbar(length=length, label="measuring") as bar:
        yield lambda: bar.update(1)


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
