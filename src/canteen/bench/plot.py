"""The figures over the load, drawn by matplotlib."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from canteen.bench.figures import Figures
from canteen.core.errors import InvalidRequest

FORMATS = (".svg", ".png")


def check(path: Path) -> None:
    """Raises InvalidRequest where a plot could not be drawn, before a run is spent on it."""
    if path.suffix not in FORMATS:
        raise InvalidRequest(f"a plot is a .svg or a .png file, not '{path.name}'")
    if find_spec("matplotlib") is None:
        raise InvalidRequest("plots need matplotlib: pip install 'canteen-llm[bench]'")


def draw(path: Path, levels: Mapping[float, Figures], load: str, title: str) -> None:
    """Tokens/s, and the median and the tail of TTFT and TPOT, over the levels of a load."""
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(12, 4), layout="constrained")
    canvas.suptitle(title)
    speed, first, further = canvas.subplots(1, 3)
    at = list(levels)
    figures = list(levels.values())
    speed.plot(at, [one.output_tokens_per_s for one in figures], "o-")
    speed.set(ylabel="output tokens/s")
    for name, how in (("median", "o-"), ("p99", "o--")):
        first.plot(at, [getattr(one.ttft, name) for one in figures], how, label=name)
        further.plot(at, [getattr(one.tpot, name) * 1000 for one in figures], how, label=name)
    first.set(ylabel="time to first token, s")
    further.set(ylabel="time per further token, ms")
    for panel in (speed, first, further):
        panel.set(xlabel=load, ylim=(0, None))
        panel.grid(alpha=0.3)
    for panel in (first, further):
        panel.legend()
    canvas.savefig(path)
