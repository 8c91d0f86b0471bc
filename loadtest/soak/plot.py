"""Memory over time, drawn."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from loadtest.soak.memory import History

_MB = 1 << 20
_MINUTE = 60.0


def draw(histories: Sequence[History], path: Path, *, warm_up_s: float) -> None:
    """Write a picture of every process's own memory. Needs matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - an extra
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(9.0, 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for number, history in enumerate(one for one in histories if one.name != "something else"):
        own_mb = np.array([held.own for held in history.held]) / _MB
        style = ("-", "--", ":")[number // 10 % 3]
        axes.plot(np.array(history.at_s) / _MINUTE, own_mb, style, label=history.name, linewidth=1.2)
    axes.axvline(warm_up_s / _MINUTE, color="#999999", linewidth=0.8)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("minutes (grey: end of the warm-up)")
    axes.set_ylabel("own memory (RssAnon), MiB")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
    figure.savefig(path, dpi=100)
