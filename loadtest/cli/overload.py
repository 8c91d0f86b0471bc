"""``marquee overload``: the graph asked for up to three times what it can do, and whether it recovers."""

import json
import os
import platform
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from loadtest.bench import servers
from loadtest.bench.asked import requests_for
from loadtest.bench.bundle import bench_registry
from loadtest.bench.overload import OpenDrive
from loadtest.bench.overload_report import Found, plot, summary, table
from loadtest.transports.exchange import Request
from recsys.core.clock import monotonic_clock, unix_clock

app = typer.Typer(pretty_exceptions_enable=False)

_LOADS = (0.5, 1.0, 2.0, 3.0)
_POLICIES = ("shed", "popular")
_WARM_UP_S = 3.0
_WIDTH = 140  # the table is for a log as well as for a terminal


@app.command(name="overload")
def main(
    *,
    folder: Annotated[Path, typer.Option(help="Where the benchmark's bundle is kept.")] = Path(
        ".marquee/bench"
    ),
    seconds: Annotated[float, typer.Option(min=1, help="Per level; a spike takes 4 times that.")] = 10.0,
    loads: Annotated[list[float] | None, typer.Option(help="Times the capacity; 0.5, 1, 2 and 3.")] = None,
    policies: Annotated[list[str] | None, typer.Option(help="shed, popular, or both.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for overload.json and overload.png.")] = None,
) -> None:
    """Measure goodput beyond capacity and the time to recover; ends with one line of JSON."""
    console = Console(stderr=True)
    with console.status("the bundle: 20,000 items, 200 candidates, 100 trees (trained once)"):
        registry = bench_registry(folder, clock=unix_clock)
    requests = requests_for()
    found = [
        _measured(policy, registry, requests, tuple(loads or _LOADS), seconds, console)
        for policy in policies or _POLICIES
    ]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, client included"
    Console(width=_WIDTH).print(table(found, machine))
    if not all(one.tool_kept_up for one in found):
        console.print("not valid: this tool got too little of the machine to send on time", style="red")
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "overload.json").write_text(json.dumps(summary(found, machine), indent=1) + "\n")
        plot(found, out / "overload.png")
    typer.echo(json.dumps(summary(found, machine)))


def _measured(
    policy: str,
    registry: Path,
    requests: list[Request],
    loads: tuple[float, ...],
    seconds: float,
    console: Console,
) -> Found:
    with (
        tempfile.TemporaryDirectory(prefix="mq-over-") as home,
        console.status(policy) as status,
        servers.serve(registry, Path(home), ["--when-full", policy]) as graph,
    ):
        drive = OpenDrive(f"http://127.0.0.1:{graph.port}", requests, monotonic_clock)
        drive.capacity(_WARM_UP_S)
        capacity_per_s = drive.capacity(seconds)
        levels = []
        for load in loads:
            status.update(f"{policy}: {load:g} times {capacity_per_s:.0f} requests per second")
            levels.append(drive.level(load, capacity_per_s, seconds, server_cpu=graph.cpu_s))
        status.update(f"{policy}: a spike of three times as much")
        spike = drive.spike(capacity_per_s, seconds)
    return Found(policy, capacity_per_s, levels, spike)
