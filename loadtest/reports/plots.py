"""The plots of a report, as SVG."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from loadtest.measure.histogram import Histogram
from loadtest.reports.document import Report
from recsys.core.svg import svg_of

_MS = 1e3
_BINS = 60
_TAIL_TICKS = ((2.0, "50"), (10.0, "90"), (100.0, "99"), (1e3, "99.9"), (1e4, "99.99"), (1e5, "99.999"))
_BLUE, _ORANGE, _RED, _GREY = "#1f5fa8", "#d97706", "#b91c1c", "#6b7280"


def plots_of(report: Report) -> list[tuple[str, str]]:
    """Return title and SVG of every plot that the report has something for."""
    plots: list[tuple[str, str]] = []
    if report.curve:
        plots.append(("Throughput against latency", svg_of(lambda axes: _curve(axes, report))))
    if report.total.latency.n:
        plots += [
            ("Latency over time", svg_of(lambda axes: _over_time(axes, report))),
            ("Rate over time", svg_of(lambda axes: _rates(axes, report))),
            ("Latency by percentile", svg_of(lambda axes: _percentiles(axes, report))),
            ("Histogram of the latency", svg_of(lambda axes: _histogram(axes, report))),
        ]
    arms = [name for name, cell in report.by_arm.items() if name and cell.latency.n]
    if len(arms) > 1:
        plots.append(("Latency by arm", svg_of(lambda axes: _by_arm(axes, report, arms))))
    if report.server is not None and report.server.stages:
        plots.append(("Stages, as the service saw them", svg_of(lambda axes: _stages(axes, report))))
    return plots


def percentiles_of_both(first: Report, second: Report, names: tuple[str, str]) -> str:
    """Return the latencies of two reports by percentile, as SVG; nothing when either has none."""
    both = [report.total.latency.histogram() for report in (first, second)]
    if not all(histogram.n for histogram in both):
        return ""

    def draw(axes: Axes) -> None:
        for histogram, name, color in zip(both, names, (_GREY, _BLUE), strict=True):
            _tail(axes, histogram, name, color)
        _finish_tail(axes)

    return svg_of(draw)


def _over_time(axes: Axes, report: Report) -> None:
    blocks = [block for block in report.blocks if block.found.latency.n]
    times = [block.start_s + report.block_s / 2 for block in blocks]
    for name, color, values in (
        ("max", _GREY, [block.found.latency.max_ms or np.nan for block in blocks]),
        ("p99", _ORANGE, [block.found.latency.p99_ms or np.nan for block in blocks]),
        ("p50", _BLUE, [block.found.latency.p50_ms or np.nan for block in blocks]),
    ):
        axes.plot(
            times, values, color=color, label=name, linewidth=1.4, marker="." if len(times) < _BINS else ""
        )
    axes.set_yscale("log")
    axes.set_xlabel("seconds since the start, by when a request was due")
    axes.set_ylabel("latency in ms")
    axes.legend(frameon=False, ncols=3)


def _rates(axes: Axes, report: Report) -> None:
    times = [block.start_s + report.block_s / 2 for block in report.blocks]
    series: tuple[tuple[str, str, list[int]], ...] = (
        ("due", _GREY, [block.due for block in report.blocks]),
        ("good", _BLUE, [block.found.good for block in report.blocks]),
        ("shed", _ORANGE, [block.found.shed for block in report.blocks]),
        ("failed", _RED, [block.found.failed for block in report.blocks]),
    )
    for name, color, counts in series:
        if any(counts):
            width = 3.0 if name == "due" else 1.4
            axes.plot(times, np.array(counts) / report.block_s, color=color, label=name, linewidth=width)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("seconds since the start")
    axes.set_ylabel("requests per second")
    axes.legend(frameon=False, ncols=4)


def _percentiles(axes: Axes, report: Report) -> None:
    _tail(axes, report.total.latency.histogram(), "from due (what users wait)", _BLUE)
    if report.total.service.n:
        _tail(axes, report.total.service.histogram(), "from sent (what hides stalls)", _ORANGE)
    _finish_tail(axes)


def _by_arm(axes: Axes, report: Report, arms: Sequence[str]) -> None:
    for name, color in zip(arms, (_BLUE, _ORANGE, _GREY, _RED) * len(arms), strict=False):
        _tail(axes, report.by_arm[name].latency.histogram(), name, color)
    _finish_tail(axes)


def _tail(axes: Axes, histogram: Histogram, name: str, color: str) -> None:
    values_s, shares = histogram.curve()
    # the last share is 1, which has no place on this axis: the largest value is drawn half a request before
    rarity = 1 / (1 - np.minimum(shares, 1 - 0.5 / histogram.n))
    axes.step(rarity, values_s * _MS, where="post", color=color, label=name, linewidth=1.4)


def _finish_tail(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    right = axes.get_xlim()[1]
    ticks = [(place, label) for place, label in _TAIL_TICKS if place <= right]
    axes.set_xticks([place for place, _ in ticks], [label for _, label in ticks])
    axes.minorticks_off()
    axes.set_xlim(left=1.0)
    axes.set_xlabel("percentile")
    axes.set_ylabel("latency in ms")
    axes.legend(frameon=False)


def _histogram(axes: Axes, report: Report) -> None:
    counts = report.total.latency.histogram().counts
    values_ms = np.array(list(counts)) / _MS
    low, high = float(values_ms.min()), float(values_ms.max())
    bins = np.geomspace(low, max(high, low * 1.01) * 1.001, _BINS)
    axes.hist(values_ms, bins=bins.tolist(), weights=list(counts.values()), color=_BLUE)
    axes.set_xscale("log")
    axes.set_xlabel("latency in ms")
    axes.set_ylabel("requests")


def _curve(axes: Axes, report: Report) -> None:
    steps = sorted(report.curve, key=lambda step: step.rate_per_s)
    for name, color, values in (
        ("p99", _ORANGE, [step.p99_ms or np.nan for step in steps]),
        ("p90", _GREY, [step.p90_ms or np.nan for step in steps]),
        ("p50", _BLUE, [step.p50_ms or np.nan for step in steps]),
    ):
        axes.plot(
            [step.rate_per_s for step in steps], values, color=color, label=name, marker="o", markersize=4
        )
    failed = [step for step in steps if not step.passed]
    axes.plot(
        [step.rate_per_s for step in failed],
        [step.p99_ms or np.nan for step in failed],
        color=_RED,
        linestyle="",
        marker="x",
        markersize=8,
        label="failed a mark",
    )
    if report.limit_per_s is not None:
        axes.axvline(
            report.limit_per_s, color=_GREY, linestyle=":", label=f"limit {report.limit_per_s:.0f}/s"
        )
    axes.set_yscale("log")
    axes.set_xlabel("requests per second asked for")
    axes.set_ylabel("latency in ms")
    axes.legend(frameon=False)


def _stages(axes: Axes, report: Report) -> None:
    if report.server is None:
        return
    names = list(report.server.stages)
    places = np.arange(len(names))
    spreads = list(report.server.stages.values())
    for shift, name, color, values in (
        (-0.2, "p99", _ORANGE, [spread.p99 or 0.0 for spread in spreads]),
        (0.2, "p50", _BLUE, [spread.p50 or 0.0 for spread in spreads]),
    ):
        axes.barh(places + shift, np.array(values) * _MS, height=0.38, color=color, label=name)
    axes.set_yticks(places, names)
    axes.set_xlabel("ms, as exact as the service's buckets are narrow")
    axes.legend(frameon=False)
