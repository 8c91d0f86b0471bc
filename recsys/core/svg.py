"""A plot as SVG text, to stand within a page; needs the extra ``plots``."""

import io
from collections.abc import Callable

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_WIDTH_IN, _HEIGHT_IN = 9.0, 3.2


def svg_of(draw: Callable[[Axes], None], *, height_in: float = _HEIGHT_IN) -> str:
    """Return what ``draw`` puts on axes; the same drawing gives the same text.

    Args:
        draw: is given axes with a grid.
        height_in: of the plot, which is 9 inches wide.
    """
    with mpl.rc_context(
        {"font.size": 9.0, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "marquee"}
    ):
        figure = Figure(figsize=(_WIDTH_IN, height_in), layout="constrained")
        axes = figure.add_subplot()
        axes.grid(visible=True, color="#e5e7eb", linewidth=0.6)
        axes.set_axisbelow(True)
        draw(axes)
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_scale() == "log" and axis.get_label_text().startswith("latency"):
                axis.set_major_formatter(lambda value, _: f"{value:g}")  # 0.1, 1, 10: not powers of ten
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None})
    text = written.getvalue()
    return text[text.index("<svg") :]  # without the XML head, which HTML does not want
