"""``marquee data simulate``: write a data set of a world with known tastes."""

import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from recsys.core.clock import monotonic_clock
from recsys.core.errors import FieldError
from recsys.simulation.scenario import SCENARIOS, scenario_named
from recsys.simulation.writer import Progress as RowsDone
from recsys.simulation.writer import simulate as write_simulated


def simulate(
    *,
    out: Annotated[Path, typer.Option(help="Folder to write; a data set there is replaced.")],
    scenario: Annotated[str, typer.Option(help=f"One of: {', '.join(SCENARIOS)}.")] = "small",
    seed: Annotated[int, typer.Option(min=0, help="Same scenario and seed, same data.")] = 7,
    users: Annotated[int | None, typer.Option(help="Users, instead of the scenario's.")] = None,
    items: Annotated[int | None, typer.Option(help="Videos, instead of the scenario's.")] = None,
    events: Annotated[int | None, typer.Option(help="Rows, instead of the scenario's.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON for machines.")] = False,
) -> None:
    """Simulate users who meet videos, and write what happened as a data set."""
    wanted = scenario_named(scenario, n_users=users, n_items=items, n_events=events)
    with _stopped_like_ctrl_c(), _rows_shown() as show:
        began_s = monotonic_clock()
        try:
            done = write_simulated(wanted, seed, out, show)
        except OSError as error:
            raise FieldError("--out", f"{out} ({error.strerror})", "a place that can be written") from error
        seconds = monotonic_clock() - began_s
    if as_json:
        facts = asdict(done) | {
            "path": str(done.path),
            "scenario": wanted.name,
            "seed": seed,
            "seconds": round(seconds, 2),
            "interactions_per_s": round(done.n_interactions / seconds),
            "peak_mb": round(_peak_mb()),
        }
        typer.echo(orjson.dumps(facts))
        return
    positive = done.n_positive / done.n_interactions
    typer.echo(
        f"{out}: {done.n_interactions:,} interactions ({positive:.0%} positive), "
        f"{done.n_users:,} users, {done.n_items:,} items\n"
        f"{seconds:.1f} s, {done.n_interactions / seconds:,.0f} interactions/s, "
        f"at most {_peak_mb():,.0f} MB of memory"
    )


def _peak_mb() -> float:
    """Return the most memory this process has held, in 10^6 bytes."""
    unit_bytes = 1 if sys.platform == "darwin" else 1024  # man 2 getrusage
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit_bytes / 1e6


@contextmanager
def _rows_shown() -> Iterator[RowsDone]:
    """Show a bar of rows on standard error, only where a person watches."""
    console = Console(stderr=True)
    columns = (TextColumn("simulating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=None)

        def show(done: int, planned: int) -> None:
            bar.update(task, completed=done, total=planned)

        yield show


@contextmanager
def _stopped_like_ctrl_c() -> Iterator[None]:
    """Let SIGTERM unwind the stack as Ctrl-C does, so that nothing half written stays."""

    def leave(number: int, frame: FrameType | None) -> None:
        del frame
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
