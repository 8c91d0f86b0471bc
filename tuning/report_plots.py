"""The plots of a sweep, as SVG; needs matplotlib."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from recsys.core.svg import svg_of
from tuning.choice import finished
from tuning.document import StepReport
from tuning.journal import Ended, Outcome
from tuning.objectives import MEANINGS, Objective, turned
from tuning.ranges import Choices, Space
from tuning.settings_paths import Setting

_BLUE, _GREY, _RED, _GREEN = "#1f5fa8", "#9ca3af", "#b91c1c", "#047857"
_ROW_IN, _FRAME_IN = 0.32, 0.8


def plots_of(report: StepReport, space: Space) -> dict[str, str]:
    """Draw everything that there is to draw of a step, by name."""
    plots = {"progress": progress_plot(report), "trials": coordinates_plot(report, space)}
    plots |= {f"front-{other.name.lower()}": front_plot(report, other) for other in report.objectives[1:]}
    plots |= {
        f"importance-{objective.name.lower()}": importance_plot(shares)
        for objective, shares in report.importance.items()
    }
    return {name: plot for name, plot in plots.items() if plot}


def short(path: str) -> str:
    """Return the end of a dotted path, enough to tell settings apart on a plot.

    >>> short("knowledge.recall.sequential.time_constants_items.0"), short("boosting.l2")
    ('sequential.time_constants_items.0', 'boosting.l2')
    """
    parts = path.split(".")
    return ".".join(parts[-3 if parts[-1].isdigit() else -2 :])


def progress_plot(report: StepReport) -> str:
    """Draw every trial's value in the order in which they ended, and the best by then."""
    objective = report.objectives[0]
    rows = sorted(finished(report.rows), key=lambda row: row.elapsed_s)
    stopped = [row for row in report.rows if row.outcome is Outcome.STOPPED and objective in row.measures]

    def draw(axes: Axes) -> None:
        minutes = [row.elapsed_s / 60.0 for row in rows]
        values = [row.measures[objective] for row in rows]
        best = np.maximum.accumulate([turned(objective, value) for value in values])
        steps = [turned(objective, value) for value in best]  # and turned back
        axes.plot(minutes, values, "o", color=_BLUE, ms=4, label="finished")
        axes.plot(
            [row.elapsed_s / 60.0 for row in stopped],
            [row.measures[objective] for row in stopped],
            "x",
            color=_GREY,
            ms=5,
            label="stopped early",
        )
        axes.step(minutes, steps, color=_GREEN, where="post", label="best")
        axes.set_xlabel("minutes of search")
        axes.set_ylabel(objective.value)
        axes.legend(frameon=False, ncols=3)

    return svg_of(draw) if rows else ""


def front_plot(report: StepReport, other: Objective) -> str:
    """Draw the first objective against another; the front is joined, the choice ringed."""
    first = report.objectives[0]
    rows = [row for row in finished(report.rows) if other in row.measures]
    front = sorted((row for row in rows if row.number in report.front), key=lambda row: row.measures[other])

    def draw(axes: Axes) -> None:
        axes.plot(*_points(rows, other, first), "o", color=_GREY, ms=4, label="trials")
        axes.plot(*_points(front, other, first), "o-", color=_BLUE, ms=5, lw=1.0, label="Pareto front")
        chosen = [row for row in rows if row.number == report.chosen]
        axes.plot(*_points(chosen, other, first), "o", mfc="none", mec=_RED, ms=11, mew=1.8, label="chosen")
        for row in front:
            place = (row.measures[other], row.measures[first])
            axes.annotate(f"{row.number}", place, xytext=(4, 4), textcoords="offset points", fontsize=7)
        axes.set_xlabel(f"{other.value}: {MEANINGS[other].words}")
        axes.set_ylabel(first.value)
        axes.legend(frameon=False)

    return svg_of(draw, height_in=3.6) if rows else ""


def importance_plot(shares: Mapping[str, float]) -> str:
    """Draw the share of each parameter."""
    names = list(shares)

    def draw(axes: Axes) -> None:
        places = range(len(names))
        axes.barh(places, [shares[name] for name in names], color=_BLUE, height=0.6)
        axes.set_yticks(places, [short(name) for name in names])
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlim(0.0, 1.0)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_xlabel("importance")

    return svg_of(draw, height_in=_FRAME_IN + _ROW_IN * len(names)) if names else ""


def coordinates_plot(report: StepReport, space: Space) -> str:
    """Draw every finished trial as a line through its parameters, the better the darker."""
    objective = report.objectives[0]
    rows = finished(report.rows)
    if len(rows) < 2 or not space:
        return ""
    goodness = _ranks([turned(objective, row.measures[objective]) for row in rows])

    def draw(axes: Axes) -> None:
        for good, row in sorted(zip(goodness, rows, strict=True), key=lambda pair: pair[0]):
            heights = [_height(space, path, row.parameters[path]) for path in space]
            colour, alpha = (_RED, 0.9) if row.number == report.chosen else (_BLUE, 0.08 + 0.6 * good**2)
            axes.plot([*heights, good], color=colour, alpha=alpha, lw=1.4)
        axes.set_xticks(
            range(len(space) + 1),
            [*(_axis_label(space, path) for path in space), f"{objective.value}\nrank of the trial"],
            fontsize=7,
        )
        axes.set_ylim(-0.04, 1.04)
        axes.yaxis.set_major_locator(MaxNLocator(1))
        axes.set_yticks([0.0, 1.0], ["low", "high"])

    return svg_of(draw, height_in=3.6)


def _axis_label(space: Space, path: str) -> str:
    values = space[path]
    name = short(path).replace(".", ".\n")
    if isinstance(values, Choices):
        return f"{name}\n{len(values.choices)} choices"
    return f"{name}\n{values.low:g} to {values.high:g}"


def _height(space: Space, path: str, value: Setting) -> float:
    values = space[path]
    if isinstance(values, Choices):
        return list[Setting](values.choices).index(value) / (len(values.choices) - 1)
    low, high, at = float(values.low), float(values.high), float(value or 0.0)
    if values.log:
        low, high, at = math.log(low), math.log(high), math.log(at)
    return (at - low) / (high - low)


def _ranks(values: Sequence[float]) -> list[float]:
    """Return the rank of each value among all, from 0.0 to 1.0."""
    order = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    return [float(place) / max(1, len(values) - 1) for place in order]


def _points(rows: Sequence[Ended], x: Objective, y: Objective) -> tuple[list[float], list[float]]:
    return [row.measures[x] for row in rows], [row.measures[y] for row in rows]
