"""A plan drawn: memory against what there is, and cost against utilization."""

from pathlib import Path
from typing import Any

from canteen.bench.plot import check
from canteen.planning.result import Learning, Plan, Serving

__all__ = ["check", "draw"]

_GB = 1e9
# Below this share of full load a curve only says that idle machines are dear.
_LEAST_LOAD = 0.05


def draw(path: Path, plan: Plan) -> None:
    """Memory by quantization as bars, and USD a million tokens over the utilization; of training,
    the memory of a device."""
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(12, 4.5), layout="constrained")
    canvas.suptitle(f"{plan.subject.spec.name} on {plan.place.name}, {plan.day}")
    if plan.serving is not None:
        memory, cost = canvas.subplots(1, 2)
        _memory(memory, plan.serving)
        _cost(cost, plan, plan.serving)
    elif plan.learning is not None:
        _states(canvas.subplots(), plan, plan.learning)
    canvas.savefig(path)


def _memory(panel: Any, serving: Serving) -> None:
    held = [one.memory for one in serving.choices]
    parts = {
        "weights": [one.weights_bytes for one in held],
        "KV cache": [one.kv_total_bytes for one in held],
        "buffers and runtime": [one.compute_bytes + one.overhead_bytes for one in held],
    }
    _stack(panel, [one.name for one in serving.choices], parts, serving.memory.available_bytes)
    panel.set(ylabel="memory, GB")
    panel.tick_params(axis="x", rotation=45)


def _states(panel: Any, plan: Plan, learning: Learning) -> None:
    held, available = learning.memory, plan.place.memory_bytes
    parts = {
        "weights": [held.weights_bytes + held.frozen_bytes],
        "gradients": [held.gradients_bytes],
        "optimizer": [held.optimizer_bytes],
        "activations": [held.activations_bytes],
        "runtime": [held.overhead_bytes],
    }
    name = f"{learning.setup.method}, ZeRO {learning.setup.zero}"
    _stack(panel, [name], parts, None if available is None else available // plan.place.num)
    panel.set(ylabel="memory of each device, GB", xlim=(-2, 2))


def _stack(
    panel: Any, names: list[str], parts: dict[str, list[int]], available_bytes: int | None
) -> None:
    """Bars of parts on each other, and a line at what there is."""
    bottom = [0.0] * len(names)
    for part, sizes in parts.items():
        heights = [size / _GB for size in sizes]
        panel.bar(names, heights, bottom=bottom, label=part)
        bottom = [below + height for below, height in zip(bottom, heights, strict=True)]
    if available_bytes is not None:
        panel.axhline(available_bytes / _GB, color="black", linestyle="--", label="there is")
    panel.legend()


def _cost(panel: Any, plan: Plan, serving: Serving) -> None:
    """Of as many requests at once as there is room for."""
    cost = serving.batches[-1].cost if serving.batches else None
    if cost is None:
        panel.set_axis_off()
        panel.text(0.5, 0.5, "no cost is known of this", ha="center")
        return
    loads = [_LEAST_LOAD + step * (1 - _LEAST_LOAD) / 50 for step in range(51)]
    full = cost.per_mtok * plan.request.utilization
    panel.plot(loads, [full.central / load for load in loads], label="self-hosted")
    panel.fill_between(
        loads,
        [full.low / load for load in loads],
        [full.high / load for load in loads],
        alpha=0.25,
    )
    if serving.offer is not None:
        there = serving.offer.cost.central / plan.request.completion_tokens * 1e6
        name = f"{serving.offer.provider}/{serving.offer.model}"
        panel.axhline(there, color="black", linestyle="--", label=name)
    if serving.break_even is not None and serving.break_even.utilization.central <= 1:
        at = serving.break_even.utilization.central
        panel.axvline(at, color="grey", linestyle=":", label=f"break-even at {at:.0%}")
    panel.set(xlabel="utilization", ylabel="USD a million tokens written", yscale="log")
    panel.grid(alpha=0.3)
    panel.legend()
