"""The report for a terminal or a log."""

from collections.abc import Mapping

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from loadtest.reports.document import CellDoc, MarkDoc, Report, StepDoc

_S_TO_MS = 1e3
_COLUMNS = (
    "answers",
    "per s",
    "p50 ms",
    "p90 ms",
    "p99 ms",
    "p99.9",
    "max",
    "errors",
    "shed",
    "degraded",
    "cached",
)


def text_of(report: Report) -> RenderableType:
    """Return everything a person wants to know first."""
    parts: list[RenderableType] = [Text(f"{report.mode} against {report.url}", style="bold")]
    parts.append(_clients(report))
    if len(report.by_arm) > 1:
        parts.append(
            _cells("by arm", {name or "(none)": cell for name, cell in report.by_arm.items()}, report)
        )
    if len(report.by_audience) > 1:
        named = {name or "(none)": cell for name, cell in report.by_audience.items()}
        parts.append(_cells("by kind of user", named, report))
    if report.total.failures:
        parts.append(_failures(report))
    if report.server is not None:
        parts.append(_server(report))
    if report.curve:
        parts.append(curve_table(report.curve))
    parts.append(_tester(report))
    parts += [
        Text(f"! {warning}", style="bold red" if n == 0 and not report.valid else "yellow")
        for n, warning in enumerate(report.warnings)
    ]
    parts += [_verdict_line(mark) for mark in report.marks]
    return Group(*parts)


def print_report(report: Report, console: Console) -> None:
    """Print a report."""
    console.print(text_of(report))


def curve_table(curve: tuple[StepDoc, ...]) -> Table:
    """Return throughput against latency as a table."""
    table = Table(title="every rate tried", title_justify="left")
    for name in ("asked per s", "good per s", "p50 ms", "p90 ms", "p99 ms", "errors", "shed", ""):
        table.add_column(name, justify="right")
    for step in curve:
        table.add_row(
            f"{step.rate_per_s:.1f}",
            f"{step.good_per_s:.1f}",
            _number(step.p50_ms),
            _number(step.p90_ms),
            _number(step.p99_ms),
            str(step.errors),
            str(step.shed),
            step.verdict,
        )
    return table


def _clients(report: Report) -> Table:
    cells = {**report.by_call, "all": report.total} if len(report.by_call) > 1 else report.by_call
    return _cells("as the client saw it (latency from when a request was due)", cells, report)


def _cells(title: str, cells: Mapping[str, CellDoc], report: Report) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for name in _COLUMNS:
        table.add_column(name, justify="right")
    for name, cell in cells.items():
        latency = cell.latency
        table.add_row(
            name,
            str(cell.good),
            f"{cell.good / max(report.elapsed_s, 1e-9):.1f}",
            _number(latency.p50_ms),
            _number(latency.p90_ms),
            _number(latency.p99_ms),
            _number(latency.p999_ms),
            _number(latency.max_ms),
            str(cell.failed),
            str(cell.shed),
            str(cell.degraded),
            str(cell.cached),
        )
    return table


def _failures(report: Report) -> Table:
    table = Table(title="failures", title_justify="left")
    for name in ("kind", "requests", "the first one"):
        table.add_column(name)
    for kind, n in report.total.failures.items():
        table.add_row(kind, str(n), report.examples.get(kind, "")[:80])
    return table


def _server(report: Report) -> Table:
    server = report.server
    table = Table(
        title="as the service saw it (percentiles are as exact as its buckets)", title_justify="left"
    )
    for name in ("", "n", "mean ms", "p50 ms", "p99 ms"):
        table.add_column(name, justify="left" if not name else "right")
    if server is None:
        return table
    rows = [(f"route {name}", spread, _S_TO_MS) for name, spread in server.routes.items()]
    rows += [(f"stage {name}", spread, _S_TO_MS) for name, spread in server.stages.items()]
    for name, spread, scale in rows:
        shown = [None if value is None else value * scale for value in (spread.mean, spread.p50, spread.p99)]
        table.add_row(name, str(spread.n), *(_number(value) for value in shown))
    if server.batch_size is not None:
        batch = server.batch_size
        table.add_row("batch size", str(batch.n), *(_number(v) for v in (batch.mean, batch.p50, batch.p99)))
    table.caption = (
        f"{server.requests_per_s:.1f} requests/s, shed {server.shed}, "
        f"degraded {sum(server.degraded.values())}, cache hits "
        f"{'-' if server.cache_hits is None else server.cache_hits}"
    )
    return table


def _tester(report: Report) -> Text:
    shares = ", ".join(f"{worker.cpu_share:.0%}" for worker in report.workers)
    cost = "-" if report.cpu_us_per_request is None else f"{report.cpu_us_per_request:.0f} us"
    return Text(
        f"the load tester: {len(report.workers)} worker(s), {report.plan.transport}, of a core {shares}, "
        f"{cost} per request; left late by p50 {_number(report.lateness.p50_ms)} ms, "
        f"p99 {_number(report.lateness.p99_ms)} ms",
        style="dim",
    )


def _verdict_line(mark: MarkDoc) -> Text:
    words = f"{'passed' if mark.holds else 'FAILED'}  {mark.mark}  (found {mark.shown})"
    return Text(words, style="green" if mark.holds else "bold red")


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 1_000 else f"{value:.3g}"
