"""``marquee bench``: every figure of docs/performance.md, measured and written down."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from loadtest.bench import caching, crowds, dealing, floor, growth, rivals
from loadtest.bench.bundle import N_ITEMS, bench_registry
from loadtest.bench.document import Figures, last_line, read_figures, tables, write_document, write_figures
from loadtest.bench.machine import this_machine
from recsys.core.clock import monotonic_clock, unix_clock

app = typer.Typer(pretty_exceptions_enable=False)

_WIDTH = 130  # the tables are for a log as well as for a terminal
_BATCHES = (1, 16, 64)
_MANY_ITEMS = 200_000
_FEW_USERS, _MANY_USERS = 10_000, 1_000_000
_ITEM_SIZES = (5_000, N_ITEMS, 50_000, _MANY_ITEMS)


class Section(StrEnum):
    """Parts of the benchmark, in their order."""

    RIVALS = "rivals"  # the graph against a plain process, two of them, and Serve's defaults; and the floor
    CROWDS = "crowds"  # a million users in SQLite and in Redis, 200,000 items
    GROWTH = "growth"  # time and memory against every size
    CACHE = "cache"  # lists of a moment ago: on and off
    ROLLOUT = "rollout"  # what arms, experiments and overrides cost


@dataclass(slots=True)
class Run:
    """What every section needs."""

    folder: Path
    home: Path
    seconds: float
    turns: int
    levels: list[int]
    on_step: Callable[[str], None]
    figures: Figures = field(default_factory=dict)

    def registry(self, n_items: int = N_ITEMS) -> Path:
        """Return a registry with a bundle of so many items, trained if need be."""
        self.on_step(f"the bundle of {n_items:,} items (trained once)")
        return bench_registry(self.folder, clock=unix_clock, n_items=n_items)

    def room(self, name: str) -> Path:
        """Return an empty folder."""
        room = self.home / name
        room.mkdir()
        return room


@app.command(name="bench")
def main(
    *,
    folder: Annotated[Path, typer.Option(help="Where the benchmark's bundles are kept.")] = Path(
        ".marquee/bench"
    ),
    only: Annotated[list[Section] | None, typer.Option(help="Sections to measure; all when absent.")] = None,
    seconds: Annotated[float, typer.Option(min=1, help="Per server, load and turn.")] = 8.0,
    turns: Annotated[int, typer.Option(min=1, help="How often the servers take turns.")] = 2,
    connections: Annotated[list[int] | None, typer.Option(help="Requests under way; 1, 16 and 64.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for figures and plots; performance.md goes beside it.")
    ] = None,
) -> None:
    """Measure throughput, latency and memory; ends with one line of JSON."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), TimeElapsedColumn())
    with (
        tempfile.TemporaryDirectory(prefix="mq-bench-") as home,
        Progress(*columns, console=console) as progress,
    ):
        step = progress.add_task("starting", total=None)

        def on_step(what: str) -> None:
            progress.update(step, description=what)

        run = Run(folder, Path(home), seconds, turns, sorted(connections or [1, 16, 64]), on_step)
        for section in only or list(Section):
            run.figures[section.value] = {
                "machine": this_machine(unix_clock()),
                **_MEASURES[section](run),
            }
            if out is not None:
                write_figures(section.value, run.figures[section.value], out)
    shown = Console(width=_WIDTH)
    for table in tables(run.figures):
        shown.print(table)
    if out is not None:
        write_document(read_figures(out, [section.value for section in Section]), out)
    if Section.RIVALS in run.figures:
        typer.echo(last_line(run.figures[Section.RIVALS.value]))


def _rivals(run: Run) -> dict[str, Any]:
    registry = run.registry()
    run.on_step("the floor: models without a server")
    floors = floor.measure(registry, _BATCHES, time.process_time, seconds=run.seconds)
    rows = rivals.measure(
        rivals.rivals(registry, run.room("rivals")),
        levels=run.levels,
        seconds=run.seconds,
        n_turns=run.turns,
        on_step=run.on_step,
    )
    return {"floors": floors, "rows": rows}


def _crowds(run: Run) -> dict[str, Any]:
    found = []
    for store, n_users, n_items in (
        ("sqlite", _FEW_USERS, N_ITEMS),
        ("sqlite", _MANY_USERS, N_ITEMS),
        ("redis", _MANY_USERS, N_ITEMS),
        ("sqlite", _MANY_USERS, _MANY_ITEMS),
    ):
        registry, room = run.registry(n_items), run.room(f"{store}-{n_users}-{n_items}")
        found.append(
            crowds.measure(
                registry,
                room,
                store,
                n_users,
                n_items,
                seconds=run.seconds,
                clock=monotonic_clock,
                on_step=run.on_step,
            )
        )
    return {"crowds": found}


def _growth(run: Run) -> dict[str, Any]:
    registries = {n_items: run.registry(n_items) for n_items in _ITEM_SIZES}
    curves = growth.measure(
        registries,
        run.room("growth"),
        time.process_time,
        usual_items=N_ITEMS,
        seconds=run.seconds / 4,
        on_step=run.on_step,
    )
    return {"curves": curves}


def _cache(run: Run) -> dict[str, Any]:
    run.on_step("the cache off and on")
    rows = caching.compare(run.registry(), run.room("cache"), seconds=run.seconds)
    return {"rows": [asdict(row) for row in rows]}


def _rollout(run: Run) -> dict[str, Any]:
    rows = dealing.measure(
        run.registry(),
        run.room("rollout"),
        seconds=run.seconds,
        n_turns=run.turns,
        clock=unix_clock,
        on_step=run.on_step,
    )
    return {"rows": rows}


_MEASURES: dict[Section, Callable[[Run], dict[str, Any]]] = {
    Section.RIVALS: _rivals,
    Section.CROWDS: _crowds,
    Section.GROWTH: _growth,
    Section.CACHE: _cache,
    Section.ROLLOUT: _rollout,
}
