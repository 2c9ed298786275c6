"""A job told to people as one page of HTML: what was asked, foreseen and found, with its curves."""

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from canteen.lifecycle import drawing
from canteen.lifecycle.jobs.events import Event
from canteen.lifecycle.jobs.job import Job
from canteen.lifecycle.page import page, table

# What a step tells, as the axis of its curve calls it.
_CURVES = {
    "loss": "loss, nats",
    "learning_rate": "learning rate",
    "tokens_per_s": "tokens/s",
    "memory_bytes": "memory, bytes",
    "energy_wh": "energy so far, Wh",
}
Rows = Sequence[Sequence[str]]


def html(job: Job, events: Sequence[Event]) -> str:
    """The report; it needs nothing else to be shown."""
    parts = [
        f"<p><strong>{escape(_standing(job))}</strong></p>",
        _table("Foreseen and found", ("", "foreseen", "found"), compared(job, events)),
        _curves(events),
        _table("Result", ("", ""), _named(job.result)),
        _table("Samples", ("step", "text"), _samples(events)),
        _table("What was asked for", ("", ""), _named(job.spec)),
    ]
    return page(f"{job.kind} of {job.name}", "\n".join(part for part in parts if part))


def compared(job: Job, events: Sequence[Event]) -> list[tuple[str, str, str]]:
    """What was foreseen, and what it really took, a row each; the same for the shell."""
    found = taken(events)
    rows = []
    for name, title, unit in (
        ("memory_bytes", "memory, GB", 1e9),
        ("time_s", "time, s", 1.0),
        ("energy_wh", "energy, Wh", 1.0),
        ("cost_usd", "money, USD", 1.0),
    ):
        rows.append((title, _figure(job.estimate.get(name), unit), _figure(found.get(name), unit)))
    return rows


def taken(events: Sequence[Event]) -> dict[str, Any]:
    """What a job took so far: of all its runs, as their receipts say; the most memory of any."""
    receipts = [one["receipt"] for one in events if "receipt" in one]
    memory = [one["memory_bytes"] for one in events if "memory_bytes" in one]
    found: dict[str, Any] = {"time_s": _seconds(events)}
    if memory:
        found["memory_bytes"] = max(memory)
    for name in ("energy_wh", "cost_usd"):
        told = [one[name]["central"] for one in receipts if one[name] is not None]
        if told:
            found[name] = sum(told)
    return found


def _seconds(events: Sequence[Event]) -> float:
    """How long it was worked at, without the time between its runs."""
    total, before_s = 0.0, None
    for event in events:
        if event.get("event") == "begun":
            before_s = None
        elif before_s is not None:
            total += event["at_s"] - before_s
        before_s = event["at_s"] if event.get("event") != "submitted" else None
    return total


def _standing(job: Job) -> str:
    return f"{job.state}: {job.error}" if job.error else job.state


def _figure(told: Any, unit: float) -> str:
    if told is None:
        return "not known"
    if isinstance(told, Mapping):
        low, high = told["low"] / unit, told["high"] / unit
        return f"{told['central'] / unit:.3g} ({low:.3g} to {high:.3g})"
    return f"{told / unit:.3g}"


def _named(values: Mapping[str, Any]) -> Rows:
    return [(name, _told(value)) for name, value in values.items() if value is not None]


def _told(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _samples(events: Sequence[Event]) -> Rows:
    return [(str(one["step"]), one["text"]) for one in _last(events, "sample")]


def _last(events: Sequence[Event], kind: str) -> Sequence[Event]:
    """The last event of a kind for each step: what came after a checkpoint is done again."""
    found = {one["step"]: one for one in events if one.get("event") == kind}
    return [found[step] for step in sorted(found)]


def _table(title: str, head: Sequence[str], rows: Rows) -> str:
    return table(head, rows, title) if rows else ""


def _curves(events: Sequence[Event]) -> str:
    steps = _last(events, "step")
    if not steps:
        return ""
    if not drawing.is_available():
        return "<p>Curves are drawn where matplotlib is installed: canteen-llm[bench].</p>"
    return "\n".join(_drawn(steps, events))


def _drawn(steps: Sequence[Event], events: Sequence[Event]) -> Iterator[str]:
    from matplotlib.figure import Figure

    checked = _last(events, "validation")
    for name, title in _CURVES.items():
        told = [(one["step"], one[name]) for one in steps if one.get(name) is not None]
        if not told:
            continue
        figure = Figure(figsize=(7, 2.6), layout="constrained")
        panel = figure.subplots()
        panel.plot(*zip(*told, strict=True), linewidth=1, label="training")
        if name == "loss" and checked:
            places = [(one["step"], one["loss"]) for one in checked]
            panel.plot(*zip(*places, strict=True), "o-", label="validation")
            panel.legend(fontsize="small")
        panel.set(xlabel="step", ylabel=title)
        panel.grid(alpha=0.3)
        yield drawing.svg(figure, name)
