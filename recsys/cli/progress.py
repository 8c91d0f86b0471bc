"""Progress of long work, on standard error: a bar where a person watches, now and then a line elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from recsys.core.clock import Clock, monotonic_clock
from recsys.training.cross_fit import Step

LINE_EVERY_S: Final = 30.0
"""Where nobody watches (a pod's log, a file) work says so often what it is at; shorter work says nothing."""


@contextmanager
def steps_shown(clock: Clock = monotonic_clock) -> Iterator[Step]:
    """Show one line that names the step at work and fills a bar while its share is known."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _now_and_then(console, clock)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None)

        def show(name: str, share: float) -> None:
            total = 1.0 if share > 0.0 else None  # a pulse while the share is unknown
            progress.update(task, description=name, completed=share, total=total)

        yield show


def _now_and_then(console: Console, clock: Clock) -> Step:
    """Return what prints a step when the last line is old enough."""
    began_s = said_s = clock()

    def show(name: str, share: float) -> None:
        nonlocal said_s
        now_s = clock()
        if now_s - said_s < LINE_EVERY_S:
            return
        said_s = now_s
        done = f" {share:.0%}" if share > 0.0 else ""
        console.print(f"{now_s - began_s:.0f} s: {name}{done}", highlight=False, markup=False, soft_wrap=True)

    return show
