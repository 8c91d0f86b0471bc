"""The report as one HTML file that needs nothing else."""

from collections.abc import Mapping
from html import escape
from pathlib import Path

from loadtest.reports.document import CellDoc, LatencyDoc, Report
from loadtest.reports.plots import plots_of
from loadtest.server_view.view import Spread
from recsys.core.html_page import page, table_of

_CELL_HEAD = ("", "good", "per s", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms", "errors", "shed",
              "degraded", "cached")  # fmt: skip
_CLIENT_HEAD = (
    "<h2>As the client saw it</h2><p class=muted>Latency counts from when a request was due; of good "
    "answers, and of requests that ran out of time.</p>"
)
_MS = 1e3


def html_of(report: Report) -> str:
    """Return the whole page."""
    parts = [
        f"<h1>{escape(report.mode)}</h1>",
        f"<p class=muted>{escape(report.url)}, {escape(report.environment.date)}</p>",
        *(_warning(text, invalid=n == 0 and not report.valid) for n, text in enumerate(report.warnings)),
        _tiles(report),
        _marks(report),
        _CLIENT_HEAD,
        _cells(report.by_call | ({"all": report.total} if len(report.by_call) > 1 else {}), report),
        _more("By arm", report.by_arm, report),
        _more("By kind of user", report.by_audience, report),
        _failures(report),
        _server(report),
        *(f"<h2>{escape(title)}</h2>{svg}" for title, svg in plots_of(report)),
        _curve(report),
        _workers(report),
        _environment(report),
    ]
    return page(f"{report.mode} against {report.url}", parts)


def write_html(report: Report, path: Path) -> None:
    """Write the page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html_of(report), encoding="utf-8")


def number(value: float | None) -> str:
    """Return a number in three digits; a dash for none."""
    if value is None:
        return "\N{EN DASH}"
    return f"{value:.0f}" if abs(value) >= 1_000 else f"{value:.3g}"


def _warning(text: str, *, invalid: bool) -> str:
    return f'<div class="warning{" invalid" if invalid else ""}">{escape(text)}</div>'


def _tiles(report: Report) -> str:
    tiles = (
        ("limit, per s", None if not report.curve else report.limit_per_s),
        ("good answers per s", report.good_per_s),
        ("p50 ms", report.total.latency.p50_ms),
        ("p99 ms", report.total.latency.p99_ms),
        ("errors", float(report.total.failed)),
        ("shed", float(report.total.shed)),
        ("degraded", float(report.total.degraded)),
    )
    shown = (f"<div class=tile><b>{number(value)}</b>{name}</div>" for name, value in tiles
             if report.curve or not name.startswith("limit"))  # fmt: skip
    return f"<div class=tiles>{''.join(shown)}</div>"


def _marks(report: Report) -> str:
    if not report.marks:
        return ""
    rows = (
        f"<tr><td>{escape(mark.mark)}</td><td>{escape(mark.shown)}</td>"
        f"<td class={'passed' if mark.holds else 'failed'}>{'passed' if mark.holds else 'FAILED'}</td></tr>"
        for mark in report.marks
    )
    return f"<h2>Marks</h2><table><tr><th>mark<th>found<th></tr>{''.join(rows)}</table>"


def _cells(cells: Mapping[str, CellDoc], report: Report) -> str:
    def row(name: str, cell: CellDoc) -> list[str]:
        latency: LatencyDoc = cell.latency
        times = (latency.p50_ms, latency.p90_ms, latency.p99_ms, latency.p999_ms, latency.max_ms)
        counts = (cell.failed, cell.shed, cell.degraded, cell.cached)
        per_s = cell.good / max(report.elapsed_s, 1e-9)
        return [name or "(none)", str(cell.good), number(per_s), *map(number, times), *map(str, counts)]

    return table_of(_CELL_HEAD, (row(name, cell) for name, cell in cells.items()))


def _more(title: str, cells: Mapping[str, CellDoc], report: Report) -> str:
    return f"<h2>{title}</h2>{_cells(cells, report)}" if len(cells) > 1 else ""


def _failures(report: Report) -> str:
    if not report.total.failures:
        return ""
    rows = ((kind, str(n), report.examples.get(kind, "")) for kind, n in report.total.failures.items())
    return f"<h2>Failures</h2>{table_of(('kind', 'requests', 'the first one'), rows)}"


def _server(report: Report) -> str:
    server = report.server
    if server is None:
        return ""

    def row(name: str, spread: Spread, scale: float) -> list[str]:
        values = (spread.mean, spread.p50, spread.p99)
        return [name, str(spread.n), *(number(None if v is None else v * scale) for v in values)]

    rows = [row(f"route {name}", spread, _MS) for name, spread in server.routes.items()]
    rows += [row(f"stage {name}", spread, _MS) for name, spread in server.stages.items()]
    if server.batch_size is not None:
        rows.append(row("batch size (requests)", server.batch_size, 1.0))
    counts: dict[str, float | None] = {
        "requests per s": server.requests_per_s,
        "shed": server.shed,
        "cache hits": server.cache_hits,
        "cache misses": server.cache_misses,
    }
    counts |= {f"degraded: {name}": n for name, n in server.degraded.items()}
    counts |= {f"status: {name}": n for name, n in server.statuses.items()}
    counts |= server.others
    return (
        "<h2>As the service saw it</h2><p class=muted>From its /metrics, after less before; percentiles are "
        "interpolated within its buckets.</p>"
        + table_of(("", "n", "mean ms", "p50 ms", "p99 ms"), rows)
        + f"<details><summary>counts</summary>"
        f"{table_of(('', ''), ([name, number(n)] for name, n in counts.items()))}</details>"
    )


def _curve(report: Report) -> str:
    if not report.curve:
        return ""
    rows = (
        [
            *map(number, (step.rate_per_s, step.good_per_s, step.p50_ms, step.p90_ms, step.p99_ms)),
            *(str(step.errors), str(step.shed), step.verdict),
        ]
        for step in report.curve
    )
    head = ("asked per s", "good per s", "p50 ms", "p90 ms", "p99 ms", "errors", "shed", "")
    return f"<h2>Every rate tried</h2>{table_of(head, rows)}"


def _workers(report: Report) -> str:
    rows = (
        [str(w.index), f"{w.cpu_share:.0%}", number(w.loop_lag_p99_ms), str(w.backlog_most), str(w.cut)]
        for w in report.workers
    )
    head = ("worker", "of a core", "event loop lag p99 ms", "most waiting for a connection", "cut off")
    late = report.lateness
    return (
        f"<h2>The load tester itself</h2>{table_of(head, rows)}<p>Requests left late by p50 "
        f"{number(late.p50_ms)} ms, p99 {number(late.p99_ms)} ms, at most {number(late.max_ms)} ms; "
        f"{number(report.cpu_us_per_request)} \N{MICRO SIGN}s of processor time per request.</p>"
    )


def _environment(report: Report) -> str:
    rows = [[name, str(value)] for name, value in report.environment.model_dump().items() if value]
    plan = escape(report.plan.model_dump_json(indent=1))
    return (
        f"<h2>Where and when</h2><div class=words>{table_of(('', ''), rows)}</div>"
        f"<details><summary>the plan</summary><pre><code>{plan}</code></pre></details>"
    )
