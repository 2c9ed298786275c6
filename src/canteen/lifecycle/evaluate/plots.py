"""Plots of a run as SVG, drawn by matplotlib where it is installed."""

from collections.abc import Sequence

from canteen.lifecycle.drawing import is_available, svg
from canteen.lifecycle.evaluate.classification import NUM_BINS, Record, bin_of
from canteen.lifecycle.evaluate.runs import Run

_MOST_LABELS = 60


def of(run: Run) -> dict[str, str]:
    """The plots that suit a run, by their titles; none without matplotlib."""
    if not is_available() or not run.records:
        return {}
    plots = {"Metrics and baselines": metrics(run)}
    if run.task == "classify":
        if any(one.confidence is not None for one in run.records):
            plots["Reliability"] = reliability(run.records)
        if len(labels(run.records)) <= _MOST_LABELS:
            plots["Confusion matrix"] = confusion(run.records)
    return plots


def metrics(run: Run) -> str:
    """Each share of 1 with its interval, the model's above the baselines'."""
    from matplotlib.figure import Figure

    rows = {run.subject.model: run.metrics, **run.baselines}
    names = [name for name, one in run.metrics.items() if one.low >= 0 and one.high <= 1]
    figure = Figure(figsize=(7, 1 + 0.2 * len(names) * len(rows)), layout="constrained")
    panel = figure.subplots()
    for place, (title, found) in enumerate(rows.items()):
        held = [(at, found[name]) for at, name in enumerate(names) if name in found]
        panel.errorbar(
            [one.value for _, one in held],
            [at + 0.7 * place / len(rows) for at, _ in held],
            xerr=[
                [max(one.value - one.low, 0) for _, one in held],
                [max(one.high - one.value, 0) for _, one in held],
            ],
            fmt="o",
            capsize=2,
            label=_title(title),
        )
    panel.set_yticks(range(len(names)), [_title(name) for name in names])
    panel.set(xlim=(-0.02, 1.02))
    panel.invert_yaxis()
    panel.grid(alpha=0.3, axis="x")
    panel.legend(fontsize="small")
    return svg(figure, "metrics")


def reliability(records: Sequence[Record]) -> str:
    """How often answers are right over how sure they were, in the bins of the ECE."""
    from matplotlib.figure import Figure

    bins: list[list[Record]] = [[] for _ in range(NUM_BINS)]
    for one in records:
        if one.confidence is not None:
            bins[bin_of(one.confidence)].append(one)
    filled = [held for held in bins if held]
    figure = Figure(figsize=(5, 5), layout="constrained")
    panel, counts = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    panel.plot([0, 1], [0, 1], "--", color="grey", linewidth=1)
    panel.plot(
        [sum(one.confidence or 0 for one in held) / len(held) for held in filled],
        [sum(one.is_right for one in held) / len(held) for held in filled],
        "o-",
    )
    panel.set(ylabel="accuracy", ylim=(0, 1), xlim=(0, 1))
    edges = [(place + 0.5) / NUM_BINS for place in range(NUM_BINS)]
    counts.bar(edges, [len(held) for held in bins], width=0.9 / NUM_BINS)
    counts.set(ylabel="answers", xlabel="confidence")
    return svg(figure, "reliability")


def confusion(records: Sequence[Record]) -> str:
    """Gold classes against predicted ones, as shares of each gold class."""
    from matplotlib.figure import Figure

    names = labels(records)
    counts = matrix(records, names)
    side = 2.5 + 0.32 * len(names)
    figure = Figure(figsize=(side, side), layout="constrained")
    panel = figure.subplots()
    panel.imshow([[one / max(sum(row), 1) for one in row] for row in counts], cmap="Blues", vmin=0)
    for down, row in enumerate(counts):
        for across, one in enumerate(row):
            if one:
                color = "white" if one > 0.5 * sum(row) else "black"
                panel.text(
                    across, down, str(one), ha="center", va="center", color=color, fontsize=7
                )
    panel.set_xticks(range(len(names)), [_title(name) for name in names], rotation=90)
    panel.set_yticks(range(len(names)), [_title(name) for name in names])
    panel.set(xlabel="predicted", ylabel="gold")
    return svg(figure, "confusion")


def labels(records: Sequence[Record]) -> list[str]:
    """The classes in gold and answers; a failed answer's is empty, and last."""
    found = {one.gold for one in records} | {one.predicted for one in records}
    return sorted(found - {""}) + ([""] if "" in found else [])


def matrix(records: Sequence[Record], names: Sequence[str]) -> list[list[int]]:
    """How many of each gold class (row) were answered with each class (column)."""
    places = {name: place for place, name in enumerate(names)}
    counts = [[0] * len(names) for _ in names]
    for one in records:
        counts[places[one.gold]][places[one.predicted]] += 1
    return counts


def _title(label: str) -> str:
    # A dollar sign would begin a formula.
    return label[:40].replace("$", r"\$") or "(no answer)"
