"""Figures of a report as people read them; a printout and a page use the same."""

from datetime import UTC, datetime

from recsys.core.clock import SECONDS_PER_DAY, SECONDS_PER_HOUR
from recsys.experiments.design import ExperimentDesign, Metric
from recsys.experiments.report import ExperimentReport
from recsys.experiments.results import Comparison, SampleRatio, SegmentRow, Span, Trend

DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"

METRIC_HEAD = ("metric", "arm", "control", "arm's", "lift", "lift, at all times", "p", "p, one look")
SEGMENT_HEAD = ("segment", "", "arm", "users", "lift", "difference, at all times", "p, corrected")
DAY_HEAD = ("arm", "day", "users", "difference", "at one look")
N_WORDS = {METRIC_HEAD: 2, SEGMENT_HEAD: 3, DAY_HEAD: 1}
"""How many of the columns are words; the rest are figures."""


def headline(report: ExperimentReport) -> str:
    """Say what is compared, and since when."""
    lasted = duration(report.until_s - report.since_s)
    state = "ended" if report.ended else "goes on"
    return f"{when(report.since_s)} to {when(report.until_s)} UTC, {lasted}, {state}"


def sample_ratio_words(ratio: SampleRatio) -> str:
    """Say whether users were dealt as declared."""
    n = max(1, sum(ratio.users.values()))
    users = ", ".join(
        f"{arm} {found:,} ({found / n:.2%} of users, dealt {ratio.shares[arm]:.2%})"
        for arm, found in ratio.users.items()
    )
    dealt = "as declared" if ratio.trusted else "NOT as declared: trust no figure below"
    return f"{users}: {dealt} (p = {ratio.p_at_all_times:.2g} at all times)"


def metric_rows(report: ExperimentReport) -> list[list[str]]:
    """Return a row per metric and arm, as :data:`METRIC_HEAD` names its cells."""
    return [_metric_row(report.result.design, one) for one in report.result.comparisons]


def segment_rows(report: ExperimentReport, segments: list[str] | None = None) -> list[list[str]]:
    """Return a row per segment, label and arm, as :data:`SEGMENT_HEAD` names its cells."""
    rows = [row for row in report.result.segments if segments is None or row.segment in segments]
    return [_segment_row(row) for row in rows]


def day_rows(report: ExperimentReport) -> list[list[str]]:
    """Return a row per arm and day since users' first list, as :data:`DAY_HEAD` names its cells."""
    return [
        [
            trend.arm,
            str(day.day),
            f"{day.n_control + day.n_treatment:,}",
            signed(day.difference),
            span_words(day.at_one_look),
        ]
        for trend in report.result.trends
        for day in trend.days
        if day.difference is not None
    ]


def trend_words(trend: Trend) -> str:
    """Say whether an effect rises or falls with the days."""
    if trend.slope_per_day is None or trend.p is None:
        return f"{trend.arm}: too few days to say whether the effect changes with time"
    verdict = "it changes with time" if trend.p < 0.05 else "no sign that it changes with time"
    slope = f"{signed(trend.slope_per_day)} a day (p = {trend.p:.2g})"
    return f"{trend.arm}: the effect changes by {slope}, {verdict}"


def past_words(report: ExperimentReport) -> str:
    """Say how much of the spread users' past explained in the primary metric."""
    removed = [
        one.variance_removed
        for one in report.result.comparisons
        if one.metric == report.result.design.primary.name and one.adjusted is not None
    ]
    if not removed:
        return "No user's past is known, so nothing is taken out (CUPED)."
    return f"Users' past explains {max(removed):.0%} of the spread and is taken out (CUPED)."


def role(design: ExperimentDesign, metric: str) -> str:
    """Say what a metric is there for."""
    if metric == design.primary.name:
        return "primary"
    return "guardrail" if any(metric == one.name for one in design.guardrails) else ""


def metric_of(design: ExperimentDesign, name: str) -> Metric:
    """Return the metric of a name."""
    return next(metric for metric in design.metrics if metric.name == name)


def percent(value: float | None, *, digits: int = 1) -> str:
    """Return a share of something with its sign."""
    return DASH if value is None else f"{value:+.{digits}%}".replace("-", MINUS)


def signed(value: float | None) -> str:
    """Return a difference with its sign, three digits."""
    return DASH if value is None else f"{value:+.3g}".replace("-", MINUS)


def number(value: float | None) -> str:
    """Return a figure, four digits."""
    return DASH if value is None else f"{value:.4g}"


def p_value(value: float | None) -> str:
    """Return a p-value; what is smaller than anybody cares for is one figure."""
    if value is None:
        return DASH
    return "<0.0001" if value < 1e-4 else f"{value:.2g}"


def span_words(span: Span) -> str:
    """Return the interval of a difference."""
    lower, upper = (DASH if end is None else signed(end) for end in (span.lower, span.upper))
    return f"{lower} to {upper}"


def when(time_s: float) -> str:
    """Return a time to the minute, UTC."""
    return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d %H:%M}"


def duration(seconds: float) -> str:
    """Return a duration as people say it."""
    for unit, size_s in (("days", SECONDS_PER_DAY), ("h", SECONDS_PER_HOUR), ("min", 60.0)):
        if seconds >= 2.0 * size_s:
            return f"{seconds / size_s:.3g} {unit}"
    return f"{seconds:.0f} s"


def _metric_row(design: ExperimentDesign, one: Comparison) -> list[str]:
    counts, use = one.counts, role(design, one.metric)
    lift = counts.lift_at_all_times
    ends = (percent(end) for end in (lift.lower, lift.upper))
    return [
        f"{one.metric} ({use})" if use else one.metric,
        one.arm,
        number(counts.control),
        number(counts.treatment),
        percent(counts.lift),
        " to ".join(ends),
        p_value(one.p_corrected if use == "primary" else counts.p_at_all_times),
        p_value(counts.p_at_one_look),
    ]


def _segment_row(row: SegmentRow) -> list[str]:
    one = row.comparison
    return [
        row.segment,
        row.label,
        one.arm,
        f"{one.n_control + one.n_treatment:,}",
        percent(one.counts.lift),
        span_words(one.counts.at_all_times),
        p_value(one.p_corrected),
    ]
