"""The plots of a report, as SVG; needs the extra ``plots``."""

from collections.abc import Sequence
from math import nan
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from recsys.core.svg import svg_of
from recsys.experiments.report import ExperimentReport
from recsys.experiments.report_words import metric_of, role
from recsys.experiments.results import Comparison, DayEffect, Span, Trend

_COLOURS = ("#6b7280", "#1f5fa8", "#d97706", "#7c3aed", "#0f766e", "#be185d")
_GOOD, _BAD, _OPEN = "#047857", "#b91c1c", "#6b7280"
_ROOM = 1.15
_WIDEST = 4.0  # half widths of the last look's interval: more of the first ones is not shown
_ROW_IN, _FRAME_IN = 0.42, 0.9


def colour_of(report: ExperimentReport, arm: str) -> str:
    """Return the colour of an arm, the same in every plot; the control is grey."""
    arms = [report.result.design.control, *report.result.design.treatments]
    return _COLOURS[arms.index(arm) % len(_COLOURS)]


def users_plot(report: ExperimentReport) -> str:
    """Draw users per arm over time."""

    def draw(axes: Axes) -> None:
        for arm in report.result.design.arms:
            users = [0, *(look.users[arm] for look in report.looks)]
            axes.plot([0.0, *_days(report)], users, ".-", color=colour_of(report, arm), label=arm)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda n, _: f"{n:,.0f}"))
        axes.set_ylim(bottom=0)
        _days_axis(axes, report)
        axes.set_ylabel("users who met the arm")
        axes.legend(frameon=False)

    return svg_of(draw, height_in=2.6)


def effect_plot(report: ExperimentReport) -> str:
    """Draw the effect with its interval for all times, look by look: it narrows."""

    def draw(axes: Axes) -> None:
        design = report.result.design
        bottom, top = _limits(report)
        for arm in design.treatments:
            effects = [look.effects[arm] for look in report.looks]
            colour, ends = colour_of(report, arm), [_cut(one.at_all_times, bottom, top) for one in effects]
            low, high = [low for low, _ in ends], [high for _, high in ends]
            axes.fill_between(_days(report), low, high, color=colour, alpha=0.18, lw=0)
            values = [nan if effect.difference is None else effect.difference for effect in effects]
            axes.plot(_days(report), values, ".-", color=colour, label=arm)
        axes.axhline(0.0, color="#111827", lw=0.8)
        for sign in (-1, 1):
            label = "would matter" if sign > 0 else None
            axes.axhline(sign * design.minimum_effect, color="#374151", lw=1.0, ls=":", label=label)
        axes.set_ylim(bottom, top)
        _days_axis(axes, report)
        axes.set_ylabel(f"difference in {design.primary.name}")
        axes.legend(frameon=False, ncols=4)

    return svg_of(draw)


def forest_plot(report: ExperimentReport) -> str:
    """Draw the lift of every metric and arm with its interval for all times."""
    rows = [one for one in report.result.comparisons if one.counts.lift is not None]

    def draw(axes: Axes) -> None:
        reach = _reach_of_lifts(rows)
        for place, one in enumerate(rows):
            _forest_row(axes, report, place, one, reach)
        axes.axvline(0.0, color="#111827", lw=0.8)
        axes.set_xlim(-reach, reach)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_yticks(range(len(rows)), [_row_label(report, one) for one in rows])
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_xlabel("lift over the control, interval for all times")

    return svg_of(draw, height_in=_FRAME_IN + _ROW_IN * max(1, len(rows))) if rows else ""


def novelty_plot(report: ExperimentReport) -> str:
    """Draw the effect by day since users' first list, with the line through it."""
    trends = [trend for trend in report.result.trends if len(_points(trend)) > 1]

    def draw(axes: Axes) -> None:
        for place, trend in enumerate(trends):
            _trend_line(axes, report, trend, shift=0.08 * (place - (len(trends) - 1) / 2))
        axes.axhline(0.0, color="#111827", lw=0.8)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("days since the user's first list")
        axes.set_ylabel(f"difference in {report.result.design.primary.name}")
        axes.legend(frameon=False)

    return svg_of(draw) if trends else ""


def _trend_line(axes: Axes, report: ExperimentReport, trend: Trend, *, shift: float) -> None:
    points = _points(trend)
    colour = colour_of(report, trend.arm)
    axes.errorbar(
        [point.day + shift for point in points],
        [point.value for point in points],
        yerr=[point.half_width for point in points],
        fmt="o",
        color=colour,
        capsize=3,
        ms=4,
        label=trend.arm,
    )
    if trend.slope_per_day is None:
        return
    trust = [point.half_width**-2 if point.half_width > 0.0 else 0.0 for point in points]
    total = sum(trust) or 1.0
    middle = sum(w * point.day for w, point in zip(trust, points, strict=True)) / total
    height = sum(w * point.value for w, point in zip(trust, points, strict=True)) / total
    ends = [points[0].day, points[-1].day]
    axes.plot(
        ends, [height + trend.slope_per_day * (day - middle) for day in ends], "--", color=colour, lw=1.0
    )


class _Point(NamedTuple):
    day: int
    value: float
    half_width: float


def _points(trend: Trend) -> list[_Point]:
    return [point for day in trend.days if (point := _point(day)) is not None]


def _point(day: DayEffect) -> _Point | None:
    """Return what is drawn of a day; nothing of one without an interval."""
    low, high = day.at_one_look.lower, day.at_one_look.upper
    if day.difference is None or low is None or high is None:
        return None
    return _Point(day.day, day.difference, (high - low) / 2.0)


def _forest_row(axes: Axes, report: ExperimentReport, place: int, one: Comparison, reach: float) -> None:
    span = one.counts.lift_at_all_times
    low, high = _cut(span, -reach, reach)
    turned = span.turned(metric_of(report.result.design, one.metric).sign)
    colour = _OPEN
    if turned.lower is not None and turned.lower > 0.0:
        colour = _GOOD
    elif turned.upper is not None and turned.upper < 0.0:
        colour = _BAD
    axes.plot([low, high], [place, place], color=colour, lw=2.2, solid_capstyle="butt")
    axes.plot([one.counts.lift or 0.0], [place], "o", color=colour, ms=6)


def _row_label(report: ExperimentReport, one: Comparison) -> str:
    design = report.result.design
    arm = f", {one.arm}" if len(design.treatments) > 1 else ""
    use = role(design, one.metric)
    return f"{one.metric}{arm}" + (f" ({use})" if use else "")


def _limits(report: ExperimentReport) -> tuple[float, float]:
    """Return between which differences are shown: all intervals, but of early wide ones only a part."""
    least = report.result.design.minimum_effect
    low, high = [-least], [least]
    for look in report.looks:
        for arm, effect in look.effects.items():
            last, span = report.looks[-1].effects[arm], effect.at_all_times
            half = _half_width(last.at_all_times)
            if last.difference is not None and half is not None:
                ends = _cut(span, last.difference - _WIDEST * half, last.difference + _WIDEST * half)
                low.append(ends[0])
                high.append(ends[1])
    return _ROOM * min(low), _ROOM * max(high)


def _half_width(span: Span) -> float | None:
    return None if span.lower is None or span.upper is None else (span.upper - span.lower) / 2.0


def _reach_of_lifts(rows: Sequence[Comparison]) -> float:
    """Return up to where lifts are shown: all of them, and the ends that are not too far away."""
    lifts = [abs(one.counts.lift or 0.0) for one in rows]
    spans = [one.counts.lift_at_all_times for one in rows]
    ends = [
        abs(end) for span in spans for end in (span.lower, span.upper) if end is not None and abs(end) < 1.0
    ]
    return _ROOM * max([0.01, *lifts, *ends])


def _cut(span: Span, least: float, most: float) -> tuple[float, float]:
    """Return the ends as far as they are shown; open ones reach to the edge."""
    lower = least if span.lower is None else max(least, span.lower)
    upper = most if span.upper is None else min(most, span.upper)
    return lower, upper


def _days(report: ExperimentReport) -> list[float]:
    scale, _ = _time_unit(report)
    return [look.days * scale for look in report.looks]


def _days_axis(axes: Axes, report: ExperimentReport) -> None:
    axes.set_xlim(left=0.0)
    axes.set_xlabel(f"{_time_unit(report)[1]} since the beginning")


def _time_unit(report: ExperimentReport) -> tuple[float, str]:
    """Return how many units of time a day has, and the unit's name: what fits the whole."""
    whole_days = report.looks[-1].days
    for scale, name in ((1.0, "days"), (24.0, "hours"), (1_440.0, "minutes")):
        if whole_days * scale >= 2.0:
            return scale, name
    return 86_400.0, "seconds"
