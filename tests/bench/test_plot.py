"""The plot: a file of the wanted kind, or a word before the run on why there will be none."""

from pathlib import Path

import pytest

from canteen.bench import plot
from canteen.bench.figures import Figures, Outcome, Run
from canteen.core.errors import InvalidRequest


def test_a_plot_is_drawn_of_one_level_or_several(tmp_path: Path) -> None:
    run = Run([Outcome(0.0, 0.0, 2.0, (1.0, 2.0), completion_tokens=2)], 0.0, 2.0)
    levels = {1.0: Figures.of(run), 4.0: Figures.of(Run([], 0.0, 1.0))}

    plot.draw(tmp_path / "plot.svg", levels, "concurrency", "echo")
    plot.draw(tmp_path / "plot.png", {1: Figures.of(run)}, "concurrency", "echo")

    assert "time to first token" in (tmp_path / "plot.svg").read_text()
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_another_kind_of_file_is_refused_before_the_run() -> None:
    with pytest.raises(InvalidRequest, match=r"\.svg or a \.png"):
        plot.check(Path("plot.docx"))
