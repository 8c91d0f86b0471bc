"""The curve of quality kept against cost saved; needs the extra ``plots``."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from recsys.evaluation.cost_curve import CostCurve

_BLUE = "#2b6cb0"


def draw_curve(curve: CostCurve, folder: Path) -> Path:
    """Draw the curve with its intervals; returns the PNG file."""
    folder.mkdir(parents=True, exist_ok=True)
    saved = np.array([point.saved for point in curve.points])
    kept = np.array([point.kept.value for point in curve.points])
    low = np.array([point.kept.low for point in curve.points])
    high = np.array([point.kept.high for point in curve.points])
    figure = Figure(figsize=(7.0, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.fill_between(100 * saved, 100 * low, 100 * high, color=_BLUE, alpha=0.15, linewidth=0)
    axes.plot(100 * saved, 100 * kept, marker="o", color=_BLUE)
    axes.axhline(100.0, color="#a0aec0", linewidth=1)
    axes.set_xlabel("cost saved, %")
    axes.set_ylabel(f"{curve.metric.upper()} kept, %")
    axes.set_title(f"{curve.data}; costs {curve.costs}", fontsize=10)
    axes.set_ylim(bottom=0.0)
    path = folder / "quality_kept_against_cost_saved.png"
    figure.savefig(path, dpi=110)
    return path
