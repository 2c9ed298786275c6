"""A plan drawn: memory against what there is, and cost against utilization."""

from pathlib import Path
from typing import Any

from canteen.bench.plot import check
from canteen.planning.result import Plan, Serving

__all__ = ["check", "draw"]

_GB = 1e9
# Below this share of full load a curve only says that idle machines are dear.
_LEAST_LOAD = 0.05


def draw(path: Path, plan: Plan) -> None:
    """Memory by quantization as bars, and USD a million tokens over the utilization."""
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(12, 4.5), layout="constrained")
    canvas.suptitle(f"{plan.subject.spec.name} on {plan.place.name}, {plan.day}")
    if plan.serving is None:
        _states(canvas.subplots(), plan)
    else:
        memory, cost = canvas.subplots(1, 2)
        _memory(memory, plan.serving)
        _cost(cost, plan.serving)
    canvas.savefig(path)


def _memory(panel: Any, serving: Serving) -> None:
    held = [one.memory for one in serving.choices]
    names = [one.name for one in serving.choices]
    bottom = [0.0] * len(held)
    parts = {
        "weights": [one.weights_bytes / _GB for one in held],
        "KV cache": [one.kv_total_bytes / _GB for one in held],
        "buffers and runtime": [(one.compute_bytes + one.overhead_bytes) / _GB for one in held],
    }
    for name, sizes in parts.items():
        panel.bar(names, sizes, bottom=bottom, label=name)
        bottom = [below + size for below, size in zip(bottom, sizes, strict=True)]
    available = serving.memory.available_bytes
    if available is not None:
        panel.axhline(available / _GB, color="black", linestyle="--", label="there is")
    panel.set(ylabel="memory, GB")
    panel.tick_params(axis="x", rotation=45)
    panel.legend()


def _cost(panel: Any, serving: Serving) -> None:
    if serving.cost is None:
        panel.set_axis_off()
        panel.text(0.5, 0.5, "no price is known: --price-usd-per-h", ha="center")
        return
    loads = [_LEAST_LOAD + step * (1 - _LEAST_LOAD) / 50 for step in range(51)]
    full = serving.cost.per_mtok
    panel.plot(loads, [full.central / load for load in loads], label="self-hosted")
    panel.fill_between(
        loads,
        [full.low / load for load in loads],
        [full.high / load for load in loads],
        alpha=0.25,
    )
    if serving.break_even is not None:
        at = serving.break_even.utilization
        there = full.central / at.central
        panel.axhline(there, color="black", linestyle="--", label="somebody else's")
        if at.central <= 1:
            panel.axvline(at.central, color="grey", linestyle=":", label="break-even")
    panel.set(xlabel="utilization", ylabel="USD a million tokens written", yscale="log")
    panel.grid(alpha=0.3)
    panel.legend()


def _states(panel: Any, plan: Plan) -> None:
    """Of training: what each device holds."""
    assert plan.learning is not None
    held = plan.learning.memory
    parts = {
        "weights": held.weights_bytes + held.frozen_bytes,
        "gradients": held.gradients_bytes,
        "optimizer": held.optimizer_bytes,
        "activations": held.activations_bytes,
    }
    panel.bar(list(parts), [size / _GB for size in parts.values()])
    available = plan.place.memory_bytes
    if available is not None:
        panel.axhline(available / plan.place.num / _GB, color="black", linestyle="--")
    panel.set(ylabel="memory of each device, GB")
