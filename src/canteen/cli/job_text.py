"""What people are told of a job: what is foreseen, what happens, what came of it, what to do."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from canteen.cli.figures import digits

if TYPE_CHECKING:
    from canteen.lifecycle.jobs.job import Job

# Of what a model writes as it learns; the report has all of it.
_SAMPLE_CHARACTERS = 100
_LEAST_USD = 0.0001
_FORESEEN = (("time_s", "time, s"), ("energy_wh", "energy, Wh"), ("cost_usd", "USD"))
# What a result holds, as people call it.
_RESULTS = {
    "steps": "steps",
    "best_step": "step whose weights are kept",
    "stopped": "ended early",
    "validation_loss": "loss on what was held back, nats",
    "perplexity": "perplexity on what was held back",
    "bigram_perplexity": "perplexity of a bigram model on it",
    "ratio_to_bigram": "perplexity over the bigram model's",
    "tokens": "tokens learned from",
    "corpus_tokens": "tokens of the corpus",
    "validation_tokens": "tokens held back",
    "train": "examples learned from",
    "validation": "examples held back",
    "dropped": "examples left out as too long",
    "parameters": "parameters",
    "vocab_size": "tokens of the vocabulary",
    "context_length": "tokens of a sequence at most",
    "tokens_per_s": "tokens/s, median of the steps",
    "mfu": "share of the device's peak",
}


def foreseen(job: "Job") -> Iterator[str]:
    """What is foreseen of a job, before anything begins."""
    estimate = job.estimate
    if corpus := job.spec.get("corpus"):
        yield f"corpus: {', '.join(corpus)}"
    if "examples" in estimate:
        parts = (f"{count:,} {part}" for part, count in estimate["examples"].items())
        yield f"examples: {', '.join(parts)}"
    if "memory" in estimate:
        yield f"memory: {estimate['memory']}"
    for name, title in _FORESEEN:
        if one := estimate.get(name):
            bounds = f"{digits(one['low'])} to {digits(one['high'])}"
            yield f"{title}: {digits(one['central'])} ({bounds}), foreseen"


def came_of(job: "Job") -> Iterator[str]:
    """How a job stands: why it ended where it is not done, and what it came to."""
    yield f"{job.id} is {job.state}{f': {job.error}' if job.error else ''}"
    for name, value in job.result.items():
        if value not in ("", None) and (name, value) != ("dropped", 0):
            yield f"  {_RESULTS.get(name, name.replace('_', ' '))}: {_figure(value)}"
    if job.state == "done" and "model" in job.result:
        yield f'Ask it: canteen run {job.result["model"]} "…"'
    if job.is_resumable:
        yield onward(job.id)


def onward(job_id: str) -> str:
    """What can be done about a job that came to no end."""
    return (
        f"canteen jobs resume {job_id} goes on from its last checkpoint, "
        f"canteen jobs logs {job_id} shows what its program said"
    )


def told(event: Mapping[str, Any]) -> str:
    """An event in a line, empty for one that says nothing to people."""
    kind = event.get("event")
    if kind == "step":
        return _step(event)
    if kind == "validation":
        return (
            f"step {event['step']}: validation loss {event['loss']:.4f}, "
            f"perplexity {event['perplexity']:.2f}"
        )
    if kind == "sample":
        return f"step {event['step']} writes: {_in_a_line(event['text'])}"
    if kind in ("resumed", "stopped"):
        why = f": {event['why']}" if "why" in event else ""
        return f"{kind} at step {event['step']}{why}"
    if kind in ("failed", "interrupted", "cancelled"):
        return f"{kind}: {event['error']}"
    return str(event.get("status", ""))


def _step(event: Mapping[str, Any]) -> str:
    parts = [f"step {event['step']}/{event['steps']}", f"loss {event['loss']:.4f}"]
    if event.get("tokens_per_s"):
        parts.append(f"{event['tokens_per_s']:,.0f} tokens/s")
    if event.get("eta_s") is not None:
        parts.append(f"{_duration(event['eta_s'])} to go")
    if event.get("energy_wh"):
        parts.append(f"{digits(event['energy_wh'])} Wh")
    if event.get("cost_usd", 0.0) >= _LEAST_USD:
        parts.append(f"${digits(event['cost_usd'])}")
    return ", ".join(parts)


def _in_a_line(text: str) -> str:
    """What a model wrote, which may be anything, as no terminal takes it for a command."""
    shown = "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode()
        for one in text[:_SAMPLE_CHARACTERS]
    )
    return f"{shown}…" if len(text) > _SAMPLE_CHARACTERS else shown


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def _figure(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
