"""How ``marquee data`` shows what it found: tables on standard output, bad rows on standard error."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from recsys.data.badrows import BadRowReport
from recsys.data.describe import Description
from recsys.data.quality import Finding

_N_SHOWN = 10


def print_description(description: Description) -> None:
    """Print counts, kinds, history lengths and the most chosen items."""
    console = Console()
    console.print(_pairs(description.name, _facts(description)))
    console.print(_pairs("kinds", _shares(description.kinds, description.n_interactions)))
    if description.contexts:
        console.print(_pairs("contexts", _shares(description.contexts, description.n_interactions)))
    lengths = ((f"{p}%", f"{n:,.0f}") for p, n in description.history_lengths.items())
    console.print(_pairs("history length", lengths))
    top = Table(title="most chosen", title_justify="left")
    for header in ("item", "title", "n"):
        top.add_column(header, justify="right" if header == "n" else "left")
    for item in description.top:
        top.add_row(escape(item.item_id), escape(item.title or ""), f"{item.n_positive:,}")
    console.print(top)


def print_findings(findings: Sequence[Finding], *, title: str = "quality") -> None:
    """Print one row per check, also of those that found nothing."""
    table = Table(title=title, title_justify="left")
    for header in ("n", "share", "check", "what, and the first of them"):
        table.add_column(header, justify="right" if header in ("n", "share") else "left")
    for finding in findings:
        table.add_row(
            f"{finding.n:,}",
            f"{finding.n / max(1, finding.of):.1%}",
            finding.check,
            "\n- ".join([finding.what, *(escape(example) for example in finding.examples)]),
            style="" if finding.n else "dim",
        )
    Console().print(table)


def print_report(report: BadRowReport) -> None:
    """Print to standard error what happened to rows, unless every one was kept."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    for note in report.notes:
        console.print(escape(f"note: {note}"))
    for problem, n in report.left_out.items():
        console.print(escape(f"left out: {n:,} rows of {problem.file}: {problem.column} {problem.reason}"))
    for problem, n in report.counts.items():
        console.print(escape(f"bad: {n:,} rows of {problem.file}: {problem.column} {problem.reason}"))
    for row in report.first[:_N_SHOWN]:
        console.print(escape(f"  {row}"))
    if report.n_bad:
        console.print(f"{report.n_read:,} rows read, {report.n_kept:,} kept, {report.n_bad:,} bad")


def _facts(d: Description) -> Iterable[tuple[str, str]]:
    yield "interactions", f"{d.n_interactions:,}"
    yield "of these positive", f"{d.n_positive:,}"
    yield "users", f"{d.n_users:,}"
    yield "items in the catalogue", f"{d.n_items:,}"
    yield "items chosen by anybody", f"{d.n_items_chosen:,}"
    yield "density", f"{d.density:.3%}"
    yield "from", _day(d.first_s)
    yield "to", _day(d.last_s)
    yield "Gini of popularity", f"{d.gini:.3f}"
    yield "at the same second as the user's one before", f"{d.tied_share:.1%}"
    yield "items with tags", f"{d.n_with_tags:,}"
    yield "items with a title", f"{d.n_with_title:,}"
    yield "items with a publication time", f"{d.n_with_publication:,}"
    yield "items available", f"{d.n_available:,}"


def _day(time_s: float | None) -> str:
    if time_s is None:
        return "-"
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _shares(counts: dict[str, int], total: int) -> Iterable[tuple[str, str]]:
    return ((name, f"{n:,} ({n / max(1, total):.1%})") for name, n in counts.items())


def _pairs(title: str, rows: Iterable[tuple[str, str]]) -> Table:
    table = Table(title=escape(title), title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for left, right in rows:
        table.add_row(escape(left), escape(right))
    return table
