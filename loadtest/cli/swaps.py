"""``marquee swaps``: bundles swapped under load, and what that does to the tail."""

import json
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from loadtest.bench import servers
from loadtest.bench.bundle import N_ITEMS, N_USERS, bench_registry
from loadtest.soak.traffic import SoakTraffic
from loadtest.swap.drive import Load, Swaps, drive_swaps
from loadtest.swap.twins import twin_registry
from loadtest.swap.windows import compare
from recsys.core.clock import monotonic_clock, unix_clock
from recsys.registry.local import LocalRegistry

app = typer.Typer(pretty_exceptions_enable=False)

_TWINS = 3  # replicas keep the one before: with two, no swap after the first would load anything
_ASKED = {"recommend": 1.0}


@app.command(name="swaps")
def main(
    *,
    folder: Annotated[Path, typer.Option(help="Where the benchmark's bundle is kept.")] = Path(
        ".marquee/bench"
    ),
    turns: Annotated[int, typer.Option(min=1, help="How many swaps.")] = 8,
    window: Annotated[
        float, typer.Option(min=2, help="Seconds compared before and from each swap on.")
    ] = 8.0,
    rate: Annotated[float, typer.Option(min=1, help="Requests per second.")] = 100.0,
    most: Annotated[float, typer.Option(help="A p99 more than so many times that of before fails.")] = 2.0,
) -> None:
    """Swap equal bundles by turns while requests come at a steady rate; ends with one line of JSON."""
    console = Console(stderr=True)
    with console.status("the bundle: 20,000 items, 200 candidates, 100 trees (trained once), and a twin"):
        registry = bench_registry(folder, clock=unix_clock)
        bundle = LocalRegistry(registry).resolve("stable")
    with tempfile.TemporaryDirectory(prefix="mq-swaps-") as scratch:
        home = Path(scratch)
        bundles = twin_registry(registry / "bundles" / bundle, home / "twins", _TWINS, now_s=unix_clock())
        started_s = monotonic_clock()
        with servers.serve(home / "twins", home) as server:
            start_up_s = monotonic_clock() - started_s
            load = Load(server.url, SoakTraffic(N_USERS, N_ITEMS, seed=0, mix=_ASKED), rate)
            with console.status(f"{turns} swaps at {rate:g} requests/s, {2 * window:g} s each"):
                ended, swaps, total = drive_swaps(
                    load, Swaps(home / "traffic.json", bundles, turns, window), monotonic_clock
                )
    found = compare(ended, swaps, window)
    typer.echo(
        json.dumps(
            {
                "p99_ratio": round(found.ratio(99), 2),
                "p50_ratio": round(found.ratio(50), 2),
                "p99_ms_before": _ms(found.before),
                "p99_ms_during": _ms(found.during),
                "requests": total.n,
                "failed": total.failures,
                "shed": total.n_shed,
                "degraded": total.n_degraded,
                "swap_s": [round(swap.in_force_s - swap.began_s, 2) for swap in swaps],
                "start_up_s": round(start_up_s, 1),
            }
        )
    )
    broken = total.n_failed + total.n_shed > 0 or not found.ratio(99) <= most
    raise typer.Exit(1 if broken else 0)


def _ms(took_s: tuple[float, ...]) -> float | None:
    return round(1e3 * float(np.percentile(took_s, 99)), 1) if took_s else None
