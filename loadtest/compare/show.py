"""A comparison for people: a table, a page."""

from html import escape

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from loadtest.compare.comparison import Comparison, Difference
from loadtest.reports.document import Report
from loadtest.reports.plots import percentiles_of_both
from recsys.core.html_page import page, table_of

_HEAD = ("", "first", "second", "ratio", "interval", "verdict")


def text_of(comparison: Comparison) -> RenderableType:
    """Return the comparison for a terminal."""
    title = f"{comparison.first} and {comparison.second} ({comparison.confidence:.0%} intervals)"
    table = Table(title=title, title_justify="left")
    for name in _HEAD:
        table.add_column(name, justify="left" if name in ("", "verdict") else "right")
    for difference in comparison.differences:
        style = "bold red" if difference.regression else None
        table.add_row(*_row(difference), style=style)
    return Group(table, *(Text(f"! {warning}", style="yellow") for warning in comparison.warnings))


def html_of(comparison: Comparison, first: Report, second: Report) -> str:
    """Return the comparison as a page of its own."""
    names = (comparison.first, comparison.second)
    parts = [
        f"<h1>{escape(names[0])} and {escape(names[1])}</h1>",
        *(f"<div class=warning>{escape(warning)}</div>" for warning in comparison.warnings),
        f"<h2>Figures, with {comparison.confidence:.0%} intervals</h2>",
        table_of(_HEAD, (_row(difference) for difference in comparison.differences)),
        "<h2>Latency by percentile</h2>",
        percentiles_of_both(first, second, names),
    ]
    return page(f"{names[0]} and {names[1]}", parts)


def _row(difference: Difference) -> list[str]:
    sign = "+" if difference.of_difference else ""
    interval = (
        "-"
        if difference.low is None or difference.high is None
        else f"{difference.low:{sign}.3g} to {difference.high:{sign}.3g}"
    )
    return [
        difference.name,
        _number(difference.first),
        _number(difference.second),
        _number(difference.ratio),
        interval,
        _verdict(difference),
    ]


def _verdict(difference: Difference) -> str:
    if difference.more_than_noise is None:
        return "too short to tell"
    if not difference.more_than_noise:
        return "within noise"
    if difference.regression:
        return "REGRESSION"
    return "worse" if difference.worse else "better"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
