"""What the policies did, drawn: load, replicas and latency over time, one column per trace."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from deployments.autoscaling.simulation.comparison import DEFAULT, OURS, TUNED, Compared

_COLOURS = {OURS: "#0b6e4f", TUNED: "#d98e04", DEFAULT: "#9a2a2a"}
_MINUTE = 60.0


def draw(compared: Sequence[Compared], path: Path) -> None:
    """Write the picture as SVG or whatever the name of the file ends in. Needs matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - an extra
    from matplotlib.figure import Figure  # noqa: PLC0415

    names = list(dict.fromkeys(one.trace.name for one in compared))
    figure = Figure(figsize=(3.4 * len(names), 7.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(3, len(names), sharex="col", squeeze=False)
    for column, name in enumerate(names):
        own = [one for one in compared if one.trace.name == name]
        rate_per_s = own[0].trace.rate_per_s
        axes[0][column].plot(np.arange(rate_per_s.size) / _MINUTE, rate_per_s, color="#444444", linewidth=1)
        axes[0][column].set_title(name)
        axes[0][column].set_ylim(bottom=0)
        for one in own:
            minutes = np.array(one.run.seconds) / _MINUTE
            colour = _COLOURS[one.policy]
            axes[1][column].step(minutes, one.run.replicas, color=colour, label=one.policy, linewidth=1.2)
            latency_ms = 1e3 * np.array(one.run.latency_s)
            axes[2][column].plot(minutes, latency_ms, color=colour, linewidth=0.8, alpha=0.8)
        axes[1][column].set_ylim(bottom=0)
        axes[2][column].set_yscale("log")
        axes[2][column].set_xlabel("minutes")
    for row, label in enumerate(("requests/s", "replicas", "latency, ms")):
        axes[row][0].set_ylabel(label)
    axes[1][0].legend(loc="best", fontsize=7)
    figure.savefig(path, dpi=90, metadata={"Date": None} if path.suffix == ".svg" else None)
