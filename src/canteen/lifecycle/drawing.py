"""Drawings for reports as SVG, made by matplotlib where it is installed."""

import io
import re
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_REFERENCE = re.compile(r'(\bid="|href="#|url\(#)')


def is_available() -> bool:
    """Whether plots can be drawn here."""
    try:
        import matplotlib  # noqa: F401 - asked for only
    except ImportError:
        return False
    return True


def svg(figure: "Figure", name: str) -> str:
    """The drawing as an element whose ids are its own among several in a page."""
    from matplotlib import rc_context

    written = io.StringIO()
    with (
        rc_context({"svg.fonttype": "none", "svg.hashsalt": name}),
        warnings.catch_warnings(),
    ):
        # Letters that the font lacks are still written as text.
        warnings.simplefilter("ignore", UserWarning)
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    drawing = written.getvalue()
    return _REFERENCE.sub(rf"\g<1>{name}-", drawing[drawing.index("<svg") :])
