"""What a check found as one HTML page that needs nothing else; needs the extra ``plots``."""

from collections.abc import Sequence
from html import escape

from recsys.core.clock import SECONDS_PER_HOUR
from recsys.core.html_page import page, table_of
from recsys.drift.compare import Moved, WindowVerdict
from recsys.drift.found import DriftReport, date_of
from recsys.drift.profile import Profile
from recsys.drift.report_plots import feature_plot, overview_plot

_MOST_WORDS = 40  # windows with something to say are listed up to here, the latest
_HEAD = ("window (UTC)", "feature", "how", "divergence", "threshold", "PSI", "KS", "p")
_EXPLAINED = (
    "One row per feature, one column per window: how far it is from the reference, as a share of its "
    "threshold. Blue is far below; red is over: it has moved. Grey could not be judged."
)
_CHANGES = (
    "Found by looking at users one after another, not at windows; these raise no alarm by themselves. "
    "After a change, a detector says nothing more."
)


def html_of(report: DriftReport) -> str:
    """Return the whole page."""
    title = f"Drift of bundle {report.bundle}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p class=muted>{escape(_headline(report))}</p>",
        _box(report),
        f"<h2>Overview</h2><p class=muted>{escape(_EXPLAINED)}</p>{overview_plot(report.windows)}",
        _moved(report),
        *_features(report),
        _changes(report),
    ]
    return page(title, parts)


def _headline(report: DriftReport) -> str:
    known = report.profile
    return (
        f"The reference: {known.n_windows} windows of {known.window_s / SECONDS_PER_HOUR:g} hours, "
        f"{date_of(known.first_s)} to {date_of(known.until_s)} UTC, {known.n_events:,} events, "
        f"{known.users_per_window:,.0f} users per window. Thresholds allow "
        f"{report.config.false_alarms_per_week:g} windows per week to be called moved by accident, all "
        f"features together, and nothing below {report.config.least_divergence:g} bits."
    )


def _box(report: DriftReport) -> str:
    n, moved = len(report.windows), report.n_moved
    if not n:
        return '<div class="box warning">No window could be compared.</div>'
    if not moved:
        return f'<div class="box good">{n} windows, none has moved.</div>'
    latest = next(window for window in reversed(report.windows) if window.moved)
    said = "; ".join(f"{one.feature}: {one.how}" for one in latest.moved)
    text = f"{moved} of {n} windows have moved. The latest, {date_of(latest.begins_s)}: {said}"
    return f'<div class="box warning invalid">{escape(text)}</div>'


def _moved(report: DriftReport) -> str:
    rows = [_row(window, one) for window in report.windows for one in window.moved]
    if not rows:
        return ""
    left = f"<p class=muted>The latest {_MOST_WORDS} of {len(rows)}.</p>" if len(rows) > _MOST_WORDS else ""
    return f"<h2>What moved, and how</h2>{left}{table_of(_HEAD, rows[-_MOST_WORDS:], n_words=3)}"


def _row(window: WindowVerdict, one: Moved) -> Sequence[str]:
    return (
        date_of(window.begins_s),
        one.feature,
        one.how,
        f"{one.divergence:.4f}",
        f"{one.threshold:.4f}",
        "" if one.psi is None else f"{one.psi:.3f}",
        "" if one.kolmogorov_smirnov is None else f"{one.kolmogorov_smirnov:.3f}",
        f"{one.p_value:.1g}",
    )


def _features(report: DriftReport) -> list[str]:
    """Return a section per feature: its shares then and in the window that is furthest away."""
    furthest: dict[str, tuple[WindowVerdict, Moved]] = {}
    for window in report.windows:
        for one in window.features:
            known = furthest.get(one.feature)
            if one.reference and (known is None or _ratio(one) > _ratio(known[1])):
                furthest[one.feature] = (window, one)
    return [
        f"<h2>{escape(name)}</h2><p class=muted>{escape(_said(window, one))}</p>"
        f"{feature_plot(one, _labels(report.profile, name))}"
        for name, (window, one) in sorted(furthest.items(), key=lambda item: -_ratio(item[1][1]))
    ]


def _said(window: WindowVerdict, one: Moved) -> str:
    return (
        f"Furthest on {date_of(window.begins_s)}: {one.divergence:.4f} bits, threshold {one.threshold:.4f}, "
        f"{one.n_users:,} users. {one.how}"
    )


def _ratio(one: Moved) -> float:
    return one.divergence / one.threshold if one.threshold > 0.0 else float(one.over)


def _labels(profile: Profile, name: str) -> list[str]:
    known = profile.feature(name)
    return known.bins.labels if known is not None else []


def _changes(report: DriftReport) -> str:
    if not report.changes:
        return ""
    rows = [
        (one.feature, one.detector, date_of(one.at_s), f"{one.before:.3f}", f"{one.after:.3f}")
        for one in report.changes
    ]
    head = ("feature", "detector", "found at (UTC)", "mean before", "mean after")
    table = table_of(head, rows, n_words=2)
    return f"<h2>Changes of engagement</h2><p class=muted>{escape(_CHANGES)}</p>{table}"
