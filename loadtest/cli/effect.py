"""``marquee effect``: how long it takes from an event to a changed answer."""

import json
import tempfile
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from loadtest.bench.bundle import bench_registry
from loadtest.bench.effect import Effect, Way, measure
from loadtest.bench.machine import in_words, this_machine
from recsys.core.clock import unix_clock

app = typer.Typer(pretty_exceptions_enable=False)


@app.command(name="effect")
def main(
    *,
    kafka: Annotated[
        str | None, typer.Option(help="kafka://HOST:PORT/PREFIX: measure what goes by Kafka too.")
    ] = None,
    probes: Annotated[int, typer.Option(min=1, help="Events of each way, one after the other.")] = 300,
    batch_seconds: Annotated[
        float | None, typer.Option(min=0.01, help="How long marquee ingest waits for more; its own default.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where the benchmark's bundle is kept.")] = Path(
        ".marquee/bench"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON per way.")] = False,
) -> None:
    """Let people watch a video, and measure how long it stays in their list; exit code 1 if it never goes."""
    console = Console(stderr=True)
    with console.status("the bundle: 20,000 items, 200 candidates, 100 trees (trained once)"):
        registry = bench_registry(folder, clock=unix_clock)
    machine = this_machine(unix_clock())
    found = []
    with Progress(console=console) as progress:
        for way in Way if kafka is not None else (Way.FILES,):
            task = progress.add_task(way.value, total=probes)
            with tempfile.TemporaryDirectory(prefix="mq-effect-") as home:
                effect = measure(
                    registry,
                    Path(home),
                    way,
                    kafka=kafka,
                    n_probes=probes,
                    batch_s=batch_seconds,
                    on_probe=partial(progress.advance, task),
                )
            found.append(effect)
    if as_json:
        for effect in found:
            typer.echo(json.dumps({**asdict(effect), "machine": machine}))
    else:
        Console().print(_table(found))
        typer.echo(in_words(machine))
    if any(effect.n_without_effect for effect in found):
        raise typer.Exit(1)


def _table(found: list[Effect]) -> Table:
    names = [field.name for field in fields(Effect)]
    table = Table(*(name.replace("_", " ") for name in names))
    for effect in found:
        table.add_row(*(f"{value}" for value in asdict(effect).values()))
    return table
