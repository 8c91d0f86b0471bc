"""Progress of long work, on standard error, only where a person watches."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from recsys.training.cross_fit import Step


@contextmanager
def steps_shown() -> Iterator[Step]:
    """Show one line that names the step at work and fills a bar while its share is known."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=None)

        def show(name: str, share: float) -> None:
            total = 1.0 if share > 0.0 else None  # a pulse while the share is unknown
            progress.update(task, description=name, completed=share, total=total)

        yield show
