"""``marquee bench``: the graph against one plain process, in the same run on the same machine."""

import asyncio
import os
import platform
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Annotated

import numpy as np
import orjson
import typer
from rich.console import Console
from rich.progress import Progress

from loadtest.bench import servers
from loadtest.bench.bundle import N_ITEMS, N_USERS, bench_registry
from loadtest.bench.client import Outcome, drive, post
from loadtest.bench.report import line, row_of, table
from recsys.core.clock import monotonic_clock, unix_clock

app = typer.Typer(pretty_exceptions_enable=False)

_N_REQUESTS = 2_000
_SESSION = 5
_WARM_UP_S = 3.0
_WIDTH = 110  # the table is for a log as well as for a terminal


@app.command(name="bench")
def main(
    *,
    folder: Annotated[Path, typer.Option(help="Where the benchmark's bundle is kept.")] = Path(
        ".marquee/bench"
    ),
    seconds: Annotated[float, typer.Option(min=1, help="Per server, number of connections and turn.")] = 8.0,
    turns: Annotated[int, typer.Option(min=1, help="How often the servers take turns.")] = 2,
    connections: Annotated[list[int] | None, typer.Option(help="Requests under way; 1, 16 and 64.")] = None,
    in_flight: Annotated[int, typer.Option(min=1, help="Batches under way at once in the graph.")] = 3,
) -> None:
    """Measure throughput and latency; ends with one line of JSON."""
    console = Console(stderr=True)
    levels = connections or [1, 16, 64]
    with console.status("the bundle: 20,000 items, 200 candidates, 100 trees (trained once)"):
        registry = bench_registry(folder, clock=unix_clock)
    outcomes: dict[tuple[str, int], list[Outcome]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="mq-bench-") as home, Progress(console=console) as progress:
        steps = progress.add_task("starting", total=turns * len(levels) * 2)
        settings = ["--in-flight", str(in_flight)]
        with (
            servers.monolith(registry, Path(home)) as monolith,
            servers.graph(registry, Path(home), settings) as graph,
        ):
            ports = {"graph": graph, "monolith": monolith}
            for port in ports.values():
                _drive(port, levels[-1], _WARM_UP_S)
            for _ in range(turns):
                for level in levels:
                    for name, port in ports.items():
                        progress.update(steps, description=f"{name} at {level}")
                        outcomes[name, level].append(_drive(port, level, seconds))
                        progress.advance(steps)
    rows = [row_of(name, level, found) for (name, level), found in sorted(outcomes.items())]
    Console(width=_WIDTH).print(table(rows, f"{platform.machine()}, {os.cpu_count()} cores, client included"))
    typer.echo(line(rows))


def _requests() -> list[bytes]:
    rng = np.random.default_rng(0)
    users = rng.integers(0, 10 * N_USERS, _N_REQUESTS).astype(str).tolist()
    sessions = rng.integers(0, N_ITEMS, (_N_REQUESTS, _SESSION)).astype(str).tolist()
    return [
        post("/recommend", orjson.dumps({"user_id": user, "session": session, "top_n": 10}))
        for user, session in zip(users, sessions, strict=True)
    ]


def _drive(port: int, level: int, duration_s: float) -> Outcome:
    return asyncio.run(
        drive(
            "127.0.0.1",
            port,
            _requests(),
            connections=level,
            duration_s=duration_s,
            clock=monotonic_clock,
        )
    )
