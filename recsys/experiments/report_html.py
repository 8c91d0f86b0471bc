"""The report of an experiment as one HTML file that needs nothing else; needs the extra ``plots``."""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from recsys.core.html_page import page, table_of
from recsys.experiments import report_words as words
from recsys.experiments.report import ExperimentReport
from recsys.experiments.report_plots import effect_plot, forest_plot, novelty_plot, users_plot

_SEGMENTS = (
    "The primary metric among the users of one label each, as it was when they first met an arm. p is "
    "corrected over the whole table (Benjamini and Hochberg)."
)
_EFFECT = (
    "Of the primary metric. The band holds at all times: one may look every day and stop when it leaves out "
    "zero. It is as wide as it must be for that, and narrows as users come."
)
_METRICS = (
    "Intervals and p hold at all times; the last column is right only if nobody looks before the end, and is "
    "there for reference. The primary metric alone decides; its p is Holm's over the arms."
)
_FOREST = "Green: surely better than the control; red: surely worse; grey: not known yet."
_NOVELTY = (
    "The effect on users so many days after their first list, each with the interval of a single look: "
    "novelty wears off, habits form."
)


def html_of(report: ExperimentReport) -> str:
    """Return the whole page."""
    result = report.result
    ratio, seen = result.sample_ratio, bool(report.looks)
    parts = [
        f"<h1>{escape(report.title)}</h1>",
        f"<p class=muted>{escape(words.headline(report))}</p>",
        _box(words.sample_ratio_words(ratio), good=ratio.trusted, head="Sample ratio"),
        f"<p class=advice>{escape(result.recommendation.sentence)}</p>",
        *(_box(note, good=None, head="Note") for note in report.notes),
        _arms(report),
        _section("Metrics", _METRICS, _table(words.METRIC_HEAD, words.metric_rows(report))),
        "" if report.shares_changed else f"<p>{escape(words.past_words(report))}</p>",
        _section("Lift of every metric", _FOREST, forest_plot(report)) if seen else "",
        _section("The effect over time", _EFFECT, effect_plot(report)) if seen else "",
        _section("Users over time", "", users_plot(report)) if seen else "",
        _segments(report),
        _section("Novelty", _NOVELTY, novelty_plot(report)),
        *(f"<p>{escape(words.trend_words(trend))}.</p>" for trend in result.trends),
        _design(report),
    ]
    return page(report.title, parts)


def write_html(report: ExperimentReport, path: Path) -> None:
    """Write the page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html_of(report), encoding="utf-8")


def _section(title: str, explained: str, content: str) -> str:
    """Return a section; nothing where there is nothing to show."""
    if not content:
        return ""
    why = f"<p class=muted>{escape(explained)}</p>" if explained else ""
    return f"<h2>{escape(title)}</h2>{why}{content}"


def _table(head: tuple[str, ...], rows: Sequence[Sequence[str]]) -> str:
    return table_of(head, rows, n_words=words.N_WORDS[head])


def _box(text: str, *, good: bool | None, head: str) -> str:
    kind = {True: "box good", False: "box warning invalid", None: "box warning"}[good]
    return f'<div class="{kind}"><b>{escape(head)}.</b> {escape(text)}</div>'


def _arms(report: ExperimentReport) -> str:
    result = report.result
    rows: Iterable[Sequence[str]] = (
        [
            f"{arm} (the control)" if arm == result.design.control != "control" else arm,
            report.arms_are.get(arm, ""),
            f"{result.sample_ratio.users[arm]:,}",
            f"{report.lists[arm]:,}",
        ]
        for arm in result.design.arms
    )
    return _section("Arms", "", table_of(("arm", "what its users got", "users", "lists"), rows, n_words=2))


def _segments(report: ExperimentReport) -> str:
    rows = words.segment_rows(report)
    return _section("Segments", _SEGMENTS, _table(words.SEGMENT_HEAD, rows) if rows else "")


def _design(report: ExperimentReport) -> str:
    design = report.result.design
    said = (
        f"{design.primary.name} decides; a difference of {design.minimum_effect:g} matters; "
        f"{design.planned_users:,} users are planned; alpha {design.alpha:g}."
    )
    text = escape(design.model_dump_json(indent=1))
    return (
        f"<h2>How it is judged</h2><p>{escape(said)}</p>"
        f"<details><summary>the design</summary><pre><code>{text}</code></pre></details>"
    )
