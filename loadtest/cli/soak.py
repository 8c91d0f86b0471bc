"""``marquee soak``: steady load for minutes or hours; fails when memory grows or a request does."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from loadtest.bench import servers
from loadtest.bench.bundle import N_ITEMS, N_USERS, bench_registry
from loadtest.engine.result import Result
from loadtest.engine.run import drive_closed
from loadtest.soak.memory import Watch
from loadtest.soak.plot import draw
from loadtest.soak.traffic import SoakTraffic
from loadtest.soak.verdict import Row, rows
from recsys.core.clock import monotonic_clock, unix_clock

app = typer.Typer(pretty_exceptions_enable=False)

_MARK = "MARQUEE_SOAK"
_WARM_UP = 0.25  # of the time, unless told
_WIDTH = 110


@app.command(name="soak")
def main(
    *,
    folder: Annotated[Path, typer.Option(help="Where the benchmark's bundle is kept.")] = Path(
        ".marquee/bench"
    ),
    seconds: Annotated[float, typer.Option(min=20, help="How long.")] = 600.0,
    warm_up: Annotated[float | None, typer.Option(min=0, help="Seconds before the trend; a quarter.")] = None,
    connections: Annotated[int, typer.Option(min=1, help="Requests under way at any time.")] = 4,
    most_mb_per_hour: Annotated[
        float, typer.Option(help="A process that surely grows faster than this fails.")
    ] = 30.0,
    most_rise_mb: Annotated[
        float, typer.Option(help="A process that holds so much more than after its warm-up fails.")
    ] = 32.0,
    most_mb: Annotated[
        float, typer.Option(help="A process whose own memory is ever larger fails.")
    ] = 1_024.0,
    plot: Annotated[Path | None, typer.Option(help="Draw memory over time into this PNG or SVG.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON instead of a table.")
    ] = False,
) -> None:
    """Serve the benchmark's bundle, drive mixed calls at it, and sample the memory of every process."""
    console = Console(stderr=True)
    warm_up_s = _WARM_UP * seconds if warm_up is None else warm_up
    with console.status("the bundle: 20,000 items, 200 candidates, 100 trees (trained once)"):
        registry = bench_registry(folder, clock=unix_clock)
    with (
        tempfile.TemporaryDirectory(prefix="mq-soak-") as home,
        console.status("starting the graph") as status,
        servers.serve(registry, Path(home)) as server,
    ):
        watch = Watch(server.mark, 1.0, monotonic_clock)
        watch.sample()
        status.update(f"{connections} requests under way for {seconds:g} s")
        with watch.going_on():
            result = drive_closed(
                server.url,
                SoakTraffic(10 * N_USERS, N_ITEMS, seed=0),
                connections=connections,
                duration_s=seconds,
            )
    found = rows(watch.histories, warm_up_s=warm_up_s, until_s=seconds)
    if plot is not None:
        draw(watch.histories, plot, warm_up_s=warm_up_s)
    broken = _broken(found, result, Allowed(most_mb_per_hour, most_rise_mb, most_mb))
    if as_json:
        typer.echo(json.dumps(_summary(found, result, broken)))
    else:
        Console(width=_WIDTH).print(_table(found, result, seconds))
    for what in broken:
        console.print(f"[red]{what}")
    raise typer.Exit(1 if broken else 0)


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a process may hold, in MiB."""

    per_hour: float
    rise: float
    ever: float


def _broken(found: list[Row], result: Result, allowed: Allowed) -> list[str]:
    """Return what must not be, in words."""
    wrong = [
        f"{row.name} ({row.pid}) grows by {row.per_hour.low:.0f} MiB/h at least; {allowed.per_hour:g} may be"
        for row in found
        if row.per_hour is not None and row.grows(allowed.per_hour)
    ]
    wrong += [
        f"{row.name} ({row.pid}) held {row.peak:.0f} MiB; {allowed.ever:g} are allowed"
        for row in found
        if row.peak > allowed.ever
    ]
    wrong += [
        f"{row.name} ({row.pid}) holds {row.rise:.0f} MiB more than when warm; {allowed.rise:g} are allowed"
        for row in found
        if row.rise > allowed.rise
    ]
    total = result.total
    if total.n_failed or total.n_shed or result.cut:
        wrong.append(f"requests failed: {total.failures}, shed: {total.n_shed}, cut off: {result.cut}")
    if not total.n_good:
        wrong.append("no request was answered")
    return wrong


def _summary(found: list[Row], result: Result, broken: list[str]) -> dict[str, object]:
    return {
        "seconds": round(result.elapsed_s, 1),
        "answered": result.total.n_good,
        "degraded": result.total.n_degraded,
        "failed": result.total.n_failed,
        "p99_ms": round(result.latency_ms(99), 1),
        "processes": [
            {
                "name": row.name,
                "at_rest_mb": round(row.at_rest, 1),
                "after_mb": round(row.after, 1),
                "shared_mb": round(row.shared, 1),
                "mb_per_hour": None if row.per_hour is None else round(row.per_hour.slope, 1),
            }
            for row in found
        ],
        "broken": broken,
    }


def _table(found: list[Row], result: Result, seconds: float) -> Table:
    total = result.total
    table = Table(
        title=f"{total.n_good:,} answered in {seconds:g} s, {total.n_failed} failed, "
        f"{total.n_degraded} degraded; memory in MiB"
    )
    table.add_column("process")
    for name in ("own, at rest", "own, after", "own, peak", "shared", "per hour (99 % interval)"):
        table.add_column(name, justify="right")
    for row in found:
        slope = row.per_hour
        change = "" if slope is None else f"{slope.slope:+.1f} ({slope.low:+.1f} to {slope.high:+.1f})"
        sizes = (row.at_rest, row.after, row.peak, row.shared)
        table.add_row(row.name, *(f"{size:.0f}" for size in sizes), change)
    return table
