"""How a sweep goes, on standard error."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tuning.ledger import Show, Standing


@contextmanager
def trials_shown() -> Iterator[Show]:
    """Show a bar of trials where a person watches; elsewhere a line per trial."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[best]}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None, best="", left="")

        def show(standing: Standing) -> None:
            best, left = best_of(standing), f"at most {standing.time_left_s / 60:.0f} min left"
            if console.is_terminal:
                progress.update(
                    task,
                    description=standing.step.value,
                    completed=standing.n_over,
                    total=standing.n_trials,
                    best=best,
                    left=left,
                )
            else:
                counts = f"{standing.n_over} of {standing.n_trials}"
                console.print(f"{standing.step.value}: {counts} trials  {best}  {left}", highlight=False)

        yield show


def best_of(standing: Standing) -> str:
    """Return the best value in words; nothing when no trial has finished."""
    if standing.best is None:
        return ""
    objective, value = standing.best
    return f"best {objective.value} {value:.4g}"
