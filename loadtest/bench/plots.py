"""Pictures of what the benchmark found. Needs matplotlib."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from loadtest.bench.growth import Curves
from loadtest.bench.rows import Row

_TITLES = {
    "items": "items in the catalogue",
    "batch": "users in a batch",
    "candidates": "candidates",
    "users": "users",
}


def draw_rivals(rows: Sequence[Row], path: Path) -> None:
    """Draw throughput and tail of every server against the number of connections."""
    figure = Figure(figsize=(10.0, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    rate, tail = figure.subplots(1, 2)
    closed = [row for row in rows if row["load"].endswith("connections")]
    for name in dict.fromkeys(row["server"] for row in closed):
        own = [row for row in closed if row["server"] == name]
        levels = [int(row["load"].split()[0]) for row in own]
        rate.plot(levels, [row["per_s"] for row in own], "o-", label=name)
        tail.plot(levels, [row["p99_ms"] for row in own], "o-", label=name)
    levels = sorted({int(row["load"].split()[0]) for row in closed})
    rate.set_ylabel("answers per second")
    tail.set_ylabel("p99, ms")
    for axes in (rate, tail):
        axes.set_xscale("log", base=2)
        axes.set_xticks(levels, labels=[str(level) for level in levels])
        axes.set_xlabel("connections")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    rate.legend()
    figure.savefig(path, dpi=100)


def draw_growth(curves: Curves, path: Path) -> None:
    """Draw time per user against each size."""
    figure = Figure(figsize=(10.0, 6.5), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, points) in zip(figure.subplots(2, 2).flat, curves.items(), strict=True):
        axes.plot([point["size"] for point in points], [point["ms"] for point in points], "o-")
        axes.set_xscale("log", base=2 if name in ("batch", "candidates") else 10)
        axes.set_ylim(bottom=0)
        axes.set_xlabel(_TITLES[name])
        axes.set_ylabel("ms of one core per user")
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=100)
