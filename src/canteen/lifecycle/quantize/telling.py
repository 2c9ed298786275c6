"""A comparison of formats told: as a table, a drawing and a page."""

from collections.abc import Sequence
from html import escape

from canteen.lifecycle.drawing import is_available, svg
from canteen.lifecycle.evaluate.statistics import Interval
from canteen.lifecycle.page import listed, page, table
from canteen.lifecycle.quantize.comparing import Row, Tradeoff

HEAD = (
    "FORMAT", "DISK, MB", "LOADED, MB", "PREFILL, TOK/S", "DECODE, TOK/S",
    "PERPLEXITY", "LOSS", "ACCURACY", "J PER 1,000 TOKENS",
)  # fmt: skip


def rows(tradeoff: Tradeoff) -> list[Sequence[str]]:
    """The cells under HEAD; the recommended format has a star."""
    return [_cells(row, is_best=row.format == tradeoff.recommended) for row in tradeoff.rows]


def facts(tradeoff: Tradeoff) -> list[str]:
    """What the table's figures are of."""
    told = [
        f"The float model's perplexity is {tradeoff.float_perplexity:.2f}; LOSS is how much more "
        "a format has, as it is served.",
        "Energy is of the timed requests, each of which reads a prompt too, by tokens written.",
    ]
    if tradeoff.task:
        told.append(
            f"Accuracy is of {tradeoff.num_examples} examples of {tradeoff.task}, with an "
            "interval of 95 %."
        )
    return told + [f"{one.format} is left out: {one.why}" for one in tradeoff.failed]


def plot(tradeoff: Tradeoff) -> str:
    """Perplexity over bytes and decoding speed, as SVG; empty without matplotlib."""
    if not is_available():
        return ""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    limit = tradeoff.float_perplexity * (1 + tradeoff.max_loss)
    for panel, title, values in (
        (panels[0], "MB on disk", [row.disk_bytes / 1e6 for row in tradeoff.rows]),
        (panels[1], "tokens/s written", [row.decode_tokens_per_s for row in tradeoff.rows]),
    ):
        panel.axhline(limit, linestyle="--", color="grey", linewidth=1)
        for row, value in zip(tradeoff.rows, values, strict=True):
            marker = "*" if row.format == tradeoff.recommended else "o"
            panel.plot([value], [row.perplexity], marker)
            panel.annotate(row.format, (value, row.perplexity), (4, 4), textcoords="offset points")
        panel.set(xlabel=title)
        panel.margins(0.2)
        panel.grid(alpha=0.3)
    panels[0].set(ylabel="perplexity (dashed: the loss allowed)")
    return svg(figure, "tradeoff")


def html(tradeoff: Tradeoff) -> str:
    """A page that needs nothing else."""
    told = f"<p><strong>{escape(tradeoff.verdict)}</strong></p>"
    body = [told, table(HEAD, rows(tradeoff)), listed(facts(tradeoff)), plot(tradeoff)]
    return page(f"Formats of {tradeoff.model}", "\n".join(body))


def _cells(row: Row, *, is_best: bool) -> Sequence[str]:
    return (
        row.format + (" *" if is_best else ""),
        f"{row.disk_bytes / 1e6:.1f}",
        f"{row.load_bytes / 1e6:.0f}",
        f"{row.prefill_tokens_per_s:.0f}",
        f"{row.decode_tokens_per_s:.1f}",
        f"{row.perplexity:.2f}",
        f"{row.loss:+z.1%}",
        "" if row.accuracy is None else _interval(row.accuracy, 3),
        _interval(row.joules_per_1000_tokens, 1),
    )


def _interval(one: Interval, places: int) -> str:
    return f"{one.value:.{places}f} [{one.low:.{places}f}, {one.high:.{places}f}]"
