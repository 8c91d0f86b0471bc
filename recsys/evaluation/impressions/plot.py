"""Pictures of a report on shown items; needs the extra ``plots``."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recsys.evaluation.impressions.judged import AUC, GAUC, NDCG_AT_10
from recsys.evaluation.impressions.results import ImpressionReport, Judgement

_BLUE = "#2b6cb0"
_GREY = "#a0aec0"
_NO_SKILL = 0.5
_DRAWN = (GAUC, AUC, NDCG_AT_10)


def draw(report: ImpressionReport, folder: Path, *, ours: Sequence[str]) -> tuple[Path, ...]:
    """Draw every question's figures with their intervals, ``ours`` in blue; returns the PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for asked in report.asked:
        rows = [
            each
            for each in report.judgements
            if (each.target, each.shower) == (asked.target, asked.shower) and GAUC in each.metrics
        ]
        figure = Figure(figsize=(13.0, 1.5 + 0.35 * len(rows)), layout="constrained")
        figure.suptitle(f"{report.data}: {asked.target.value}, shown by {asked.shower.value}")
        for axes, metric in zip(figure.subplots(1, len(_DRAWN), sharey=True), _DRAWN, strict=True):
            _bars(axes, rows, metric, ours)
        files.append(folder / f"{asked.target.value}_shown_by_{asked.shower.value}.png")
        figure.savefig(files[-1], dpi=110)
    return tuple(files)


def _bars(axes: Axes, rows: Sequence[Judgement], metric: str, ours: Sequence[str]) -> None:
    estimates = [row.metrics[metric] for row in rows]
    values = np.array([each.value for each in estimates])
    whiskers = np.array([[each.value - each.low, each.high - each.value] for each in estimates]).T
    axes.errorbar(
        values, range(len(rows)), xerr=np.maximum(whiskers, 0.0), fmt="none", ecolor=_GREY, capsize=3
    )
    colours = [_BLUE if row.model in ours else _GREY for row in rows]
    axes.scatter(values, range(len(rows)), color=colours, zorder=3)
    axes.set_yticks(range(len(rows)), [row.model for row in rows])
    axes.spines[["top", "right"]].set_visible(False)
    if metric in {GAUC, AUC}:
        axes.axvline(_NO_SKILL, color=_GREY, linewidth=1)
    if not axes.yaxis_inverted():
        axes.invert_yaxis()
    axes.set_xlabel(f"{metric.upper()} with bootstrap interval")
