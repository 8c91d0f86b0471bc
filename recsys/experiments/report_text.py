"""The report of an experiment as a printout of 100 columns."""

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Column, Table
from rich.text import Text

from recsys.experiments import report_words as words
from recsys.experiments.report import ExperimentReport

LEAST_WIDTH = 100
"""Columns; in fewer, tables lose figures."""
_COLOURS = {"ship": "green", "keep control": "yellow", "go on": "cyan", "do not trust": "red"}


def printout(
    report: ExperimentReport, *, days: bool = False, segments: list[str] | None = None
) -> RenderableType:
    """Return the report for a terminal.

    Args:
        report: of the experiment.
        days: also the effect by day since users' first list.
        segments: those to show; all when None.
    """
    result = report.result
    arms = "; ".join(f"{arm}: {report.arms_are.get(arm, arm)}" for arm in result.design.arms)
    advice = result.recommendation
    parts: list[RenderableType] = [
        Text(report.title, style="bold"),
        Text(words.headline(report)),
        Text(arms),
        Panel(
            Text(words.sample_ratio_words(result.sample_ratio)),
            title="sample ratio",
            title_align="left",
            border_style="green" if result.sample_ratio.trusted else "red",
        ),
        Text(advice.sentence, style=f"bold {_COLOURS[advice.action]}"),
        Text(""),
        _table(words.METRIC_HEAD, words.metric_rows(report)),
        *([] if report.shares_changed else [Text(words.past_words(report))]),
    ]
    rows = words.segment_rows(report, segments)
    if rows:
        parts += [Text(""), _table(words.SEGMENT_HEAD, rows)]
    if days and (rows := words.day_rows(report)):
        parts += [Text(""), _table(words.DAY_HEAD, rows)]
    parts += [Text(words.trend_words(trend)) for trend in result.trends]
    parts += [Text(note, style="yellow") for note in report.notes]
    return Group(*parts)


def _table(head: tuple[str, ...], rows: Sequence[Sequence[str]]) -> Table:
    columns = [
        Column(name, justify="left" if place < words.N_WORDS[head] else "right", no_wrap=place > 0)
        for place, name in enumerate(head)
    ]
    table = Table(*columns, box=box.SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    return table
