"""The plots of a drift report, as SVG; needs the extra ``plots``."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from recsys.core.clock import SECONDS_PER_DAY
from recsys.core.svg import svg_of
from recsys.drift.compare import Moved, WindowVerdict

_GREY, _BLUE, _RED = "#9ca3af", "#1f5fa8", "#b91c1c"
_ROW_IN, _FRAME_IN = 0.26, 0.9
_MOST_TICKS: Final = 8
_MOST_LABELS: Final = 14  # more bins have slanted labels
_TWICE: Final = 2.0  # the colours end at twice the threshold


def overview_plot(windows: Sequence[WindowVerdict]) -> str:
    """Draw divergence over threshold of every feature in every window as a map; nothing without windows."""
    names = list(dict.fromkeys(one.feature for window in windows for one in window.features))
    if not names:
        return ""
    ratios = np.full((len(names), len(windows)), np.nan)
    for column, window in enumerate(windows):
        for one in window.features:
            ratio = one.divergence / one.threshold if one.threshold > 0.0 else _TWICE * one.over
            ratios[names.index(one.feature), column] = ratio

    def draw(axes: Axes) -> None:
        axes.grid(visible=False)
        axes.set_facecolor("#d1d5db")  # shows where nothing could be judged
        image = axes.imshow(
            ratios, cmap="RdBu_r", vmin=0.0, vmax=_TWICE, aspect="auto", interpolation="nearest"
        )
        axes.set_yticks(range(len(names)), names)
        step = max(1, -(-len(windows) // _MOST_TICKS))
        places = range(0, len(windows), step)
        axes.set_xticks(places, [_day(windows[place].begins_s) for place in places])
        axes.figure.colorbar(image, ax=axes, label="divergence / threshold", pad=0.01)

    return svg_of(draw, height_in=_FRAME_IN + _ROW_IN * len(names))


def feature_plot(one: Moved, labels: Sequence[str]) -> str:
    """Draw the shares of a feature's bins, in the reference and in a window."""

    def draw(axes: Axes) -> None:
        places = np.arange(len(labels))
        axes.bar(places - 0.2, one.reference, width=0.4, color=_GREY, label="reference")
        axes.bar(places + 0.2, one.window, width=0.4, color=_RED if one.over else _BLUE, label="window")
        slanted = len(labels) > _MOST_LABELS or sum(map(len, labels)) > 8 * _MOST_LABELS
        axes.set_xticks(places, labels, rotation=40 if slanted else 0, ha="right" if slanted else "center")
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.grid(visible=False, axis="x")
        axes.legend(frameon=False)

    return svg_of(draw, height_in=2.6)


def _day(time_s: float) -> str:
    pattern = "%m-%d %H:%M" if time_s % SECONDS_PER_DAY else "%m-%d"
    return datetime.fromtimestamp(time_s, UTC).strftime(pattern)
