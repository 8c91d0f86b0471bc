"""What trials side by side bring and cost: ``python -m tuning.scaling --data FOLDER``."""

import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from recsys.core.clock import unix_clock
from recsys.core.memory import peak_watched
from recsys.data.formats import load_dataset
from tuning.command import machine
from tuning.journal import Ended, Outcome, open_journal
from tuning.parts import store_bytes
from tuning.problem import Problem, log_of, make_problem
from tuning.ray_tune import Cluster, RayTuneRunner
from tuning.run import run_sweep
from tuning.sweep import Sweep, checked_sweep

_WORKERS = (1, 2, 4)
_MANY_MINUTES = 600.0
_TRIALS_COMMAND = "ImplicitFunc"  # what Ray calls a process in which a trial is at work
_S_PER_HOUR = 3_600.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One sweep."""

    n_workers: int
    n_trials: int
    seconds: float  # from the beginning of the first trial to the end of the last
    peak_mb: float  # driver, Ray and trials together, shared pages once
    trials_mb: float  # the processes of the trials alone

    @property
    def trials_per_hour(self) -> float:
        """How many trials an hour brings."""
        return self.n_trials / self.seconds * _S_PER_HOUR


def equal_trials(n_trials: int, n_workers: int, n_trees: int, max_users: int) -> Sweep:
    """Return a sweep whose trials all grow a ranker of one size: nothing is stopped, nothing is cheaper."""
    return checked_sweep(
        {
            "data": {"max_users": max_users},
            "budget": {
                "trials": n_trials,
                "minutes": _MANY_MINUTES,
                "concurrent": n_workers,
                "grace_trees": n_trees,
            },
            "fixed": {"boosting.n_trees": n_trees},
            "space": {"ranker": {"boosting.learning_rate": {"low": 0.03, "high": 0.2, "log": True}}},
        }
    )


def measure(problem: Problem, sweep: Sweep, folder: Path) -> Measured:
    """Run one sweep on a Ray of its own, in an empty folder.

    Raises:
        InputError: no trial has finished.
        UnavailableError: the system does not tell of memory.
    """
    n_workers = sweep.budget.concurrent
    cluster = Cluster(None, n_workers, store_bytes(problem, sweep.base))
    with (
        open_journal(folder) as journal,
        peak_watched(lambda command: _TRIALS_COMMAND in command) as peak,
        RayTuneRunner(problem, folder, cluster) as runner,
    ):
        run_sweep(sweep, journal, runner)
        rows = [row for row in journal.rows() if row.outcome is Outcome.FINISHED]
    return Measured(n_workers, len(rows), span_s(rows), round(peak.all_mb), round(peak.some_mb))


def span_s(rows: list[Ended]) -> float:
    """Return the seconds from the beginning of the first trial to the end of the last."""
    return max(row.elapsed_s for row in rows) - min(row.elapsed_s - row.seconds for row in rows)


def main(
    *,
    data: Annotated[Path, typer.Option(help="A data set: ours, MovieLens or KuaiRand.")],
    workers: Annotated[
        list[int] | None, typer.Option(min=1, help="Trials side by side; 1, 2 and 4 when not given.")
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="Per measurement.")] = 8,
    trees: Annotated[int, typer.Option(min=1, help="Of every trial.")] = 300,
    max_users: Annotated[int, typer.Option(min=1, help="Asked in every trial.")] = 2_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON for machines.")] = False,
) -> None:
    """Measure trials per hour and memory by how many trials run side by side."""
    dataset = load_dataset(data, now_s=unix_clock()).dataset
    sweeps = [equal_trials(trials, n_workers, trees, max_users) for n_workers in workers or _WORKERS]
    problem = make_problem(log_of(dataset), dataset.items, sweeps[0].data, seed=0)
    measured = []
    for sweep in sweeps:
        folder = Path(tempfile.mkdtemp(prefix="marquee-scaling-"))
        try:
            measured.append(measure(problem, sweep, folder))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    if as_json:
        rows = [asdict(one) | {"trials_per_hour": round(one.trials_per_hour, 1)} for one in measured]
        typer.echo(orjson.dumps({"machine": machine(), "data": dataset.name, "rows": rows}))
    else:
        Console().print(table_of(measured, f"{dataset.name}, {machine()}"))


def table_of(measured: list[Measured], title: str) -> Table:
    """Return the figures as a table."""
    table = Table(
        "side by side", "trials", "s", "trials per hour", "MiB in all", "MiB of trials", title=title
    )
    for one in measured:
        figures = (one.n_workers, one.n_trials, one.seconds, one.trials_per_hour, one.peak_mb, one.trials_mb)
        table.add_row(*(f"{figure:,.0f}" for figure in figures))
    return table


if __name__ == "__main__":
    typer.run(main)
