"""Pictures of a report; needs the extra ``plots``."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recsys.evaluation.results import MAIN_METRIC, WHOLE, Report, Row

_BLUE = "#2b6cb0"
_GREY = "#a0aec0"
_SIZE, _LINE, _LETTER = 8.0, 9.0, 5.0  # of a name at a point, in points
_POINTS_PER_INCH = 72.0
_NAME = MAIN_METRIC.upper()


def draw(report: Report, folder: Path) -> tuple[Path, ...]:
    """Draw accuracy with intervals, against breadth, and by length of history; returns the PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    title = f"{report.data}, {report.protocol}"
    drawings = {
        "accuracy": (_accuracy, 1),
        "accuracy_against_breadth": (_breadth, 2),
        "accuracy_by_history": (_history, 1),
    }
    files = []
    for name, (drawing, n_panels) in drawings.items():
        figure = Figure(figsize=(5.0 * n_panels + 3.0, 4.5), layout="constrained")
        panels = list(np.atleast_1d(figure.subplots(1, n_panels)))
        for axes in panels:
            axes.spines[["top", "right"]].set_visible(False)
        figure.suptitle(title)
        if report.rows:
            drawing(report.rows, panels)
        files.append(folder / f"{name}.png")
        figure.savefig(files[-1], dpi=110)
    return tuple(files)


def _accuracy(rows: list[Row], panels: list[Axes]) -> None:
    (axes,) = panels
    estimates = [row.metrics[MAIN_METRIC] for row in rows]
    values = np.array([each.value for each in estimates])
    whiskers = np.array([[each.value - each.low, each.high - each.value] for each in estimates]).T
    axes.barh(
        [row.model for row in rows],
        values,
        xerr=np.maximum(whiskers, 0.0),
        color=[_BLUE if row.model == WHOLE else _GREY for row in rows],
        capsize=3,
    )
    axes.invert_yaxis()
    axes.set_xlabel(f"{_NAME} with bootstrap interval")


def _breadth(rows: list[Row], panels: list[Axes]) -> None:
    coverage = next(name for name in rows[0].exposure if name.startswith("coverage@"))
    bias = next(name for name in rows[0].metrics if name.startswith("popularity_percentile@"))
    for axes, label, at in (
        (panels[0], f"{coverage}: share of the catalogue shown", [row.exposure[coverage] for row in rows]),
        (panels[1], f"{bias}: 0.5 is no bias", [row.metrics[bias].value for row in rows]),
    ):
        values = [row.metrics[MAIN_METRIC].value for row in rows]
        axes.scatter(at, values, color=[_BLUE if row.model == WHOLE else _GREY for row in rows])
        axes.set_xlabel(label)
        axes.set_ylabel(_NAME)
        axes.margins(0.2)
        _name_points(axes, [row.model for row in rows], at, values)


def _name_points(axes: Axes, names: list[str], at: list[float], values: list[float]) -> None:
    """Write a name at each point, from the top down, each as far below others as it takes to be read."""
    per_pixel = _POINTS_PER_INCH / axes.figure.dpi
    widest, highest = axes.bbox.width * per_pixel, axes.bbox.height * per_pixel
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    taken: list[tuple[float, float, float]] = []  # where names begin and end, and how high they stand
    for number in np.argsort(values)[::-1]:
        x = (at[number] - left) / (right - left) * widest
        y = natural = (values[number] - bottom) / (top - bottom) * highest
        ends = x + len(names[number]) * _LETTER
        while any(x < end and begin < ends and abs(y - level) < _LINE for begin, end, level in taken):
            y -= 1.0
        taken.append((x, ends, y))
        axes.annotate(
            names[number],
            (at[number], values[number]),
            xytext=(5.0, y - natural + 3.0),
            textcoords="offset points",
            fontsize=_SIZE,
        )


def _history(rows: list[Row], panels: list[Axes]) -> None:
    (axes,) = panels
    for row in rows:
        results = ({"none": row.cold} if row.cold else {}) | row.buckets
        values = [result.metrics[MAIN_METRIC].value for result in results.values()]
        labels = [f"{name}\n{result.n_users:,} users" for name, result in results.items()]
        axes.plot(labels, values, marker="o", label=row.model, linewidth=3 if row.model == WHOLE else 1.5)
    axes.set_xlabel("positive interactions before the question")
    axes.set_ylabel(_NAME)
    axes.set_ylim(bottom=0.0)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
