"""``marquee experiment``: how many users a question needs, and whether the answers can be believed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from deployments.cli.experiment_change import list_experiments, start, stop
from deployments.cli.experiment_estimate import print_estimate
from deployments.cli.experiment_preference import preference
from deployments.cli.experiment_report import report
from recsys.core.errors import FieldError
from recsys.experiments.calibration import Calibration, CalibrationConfig, calibrate
from recsys.experiments.calibration import Progress as Shown
from recsys.experiments.power import (
    PowerPlan,
    Test,
    days_needed,
    mean_users,
    power,
    smallest_effect,
    users_needed,
)

app = typer.Typer(no_args_is_help=True, help="Experiments: before, during and after.")
app.command("start")(start)
app.command("stop")(stop)
app.command("list")(list_experiments)
app.command("report")(report)
app.command("preference")(preference)
app.command("estimate")(print_estimate)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
_TESTS: tuple[Test, ...] = ("sequential", "one look")


@app.command("power")
def print_power(
    *,
    mean: Annotated[float, typer.Option(help="Of the metric in the control, per user.")],
    std: Annotated[
        float | None, typer.Option(help="Its standard deviation between users; of a proportion it is known.")
    ] = None,
    lift: Annotated[float | None, typer.Option(help="To be found, for example 0.02 for 2 %.")] = None,
    users: Annotated[int | None, typer.Option(min=1, help="In all arms; says what they find.")] = None,
    users_per_day: Annotated[float | None, typer.Option(min=0, help="New users a day, all arms.")] = None,
    arms: Annotated[int, typer.Option(min=1, help="Arms that are compared with the control.")] = 1,
    control_share: Annotated[float | None, typer.Option(help="By default as much as each arm.")] = None,
    alpha: Annotated[float, typer.Option(help="Odds of finding what is not there.")] = 0.05,
    wanted: Annotated[float, typer.Option("--power", help="Odds of finding what is there.")] = 0.8,
    looks: Annotated[int, typer.Option(min=1, help="How often one looks, the last time at the end.")] = 14,
    as_json: JsonOption = False,
) -> None:
    """Say how many users and days a lift needs; or with --users, which lift they find, and how surely."""
    if lift is None and users is None:
        raise FieldError("--lift", "neither --lift nor --users", "one of them, or both")
    share = 1.0 / (arms + 1) if control_share is None else control_share
    rows = [
        _planned(_plan(mean, std, arms, share, alpha, test, looks), mean, lift, users, wanted, users_per_day)
        for test in _TESTS
    ]
    if as_json:
        typer.echo(orjson.dumps({"power": rows}))
        return
    _print_power(rows)


@app.command("calibrate")
def print_calibration(
    *,
    experiments: Annotated[int, typer.Option(min=1, help="Of each kind.")] = 1_000,
    days: Annotated[int, typer.Option(min=1, help="Each ends with a look.")] = 14,
    users: Annotated[int, typer.Option(min=1, help="New users per day and arm.")] = 500,
    alpha: Annotated[float, typer.Option(help="Odds of finding what is not there.")] = 0.05,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same figures.")] = 7,
    as_json: JsonOption = False,
) -> None:
    """Simulate experiments with a known truth, and count how often the analysis is right."""
    if not 0.0 < alpha < 0.5:
        raise FieldError("--alpha", str(alpha), "a number between 0 and 0.5")
    config = CalibrationConfig(
        n_experiments=experiments, n_days=days, users_per_day_and_arm=users, alpha=alpha, seed=seed
    )
    with _work_shown() as show:
        found = calibrate(config, show)
    if as_json:
        typer.echo(found.model_dump_json())
        return
    _print_calibration(found)


def _plan(
    mean: float, std: float | None, arms: int, share: float, alpha: float, test: Test, looks: int
) -> PowerPlan:
    if std is None:
        if not 0.0 < mean < 1.0:
            raise FieldError("--std", "nothing", f"a number: a mean of {mean:g} is no proportion")
        std = (mean * (1.0 - mean)) ** 0.5
    for option, value, fits, expected in (
        ("--std", std, std > 0.0, "more than 0"),
        ("--alpha", alpha, 0.0 < alpha < 1.0, "a number between 0 and 1"),
        ("--control-share", share, 0.0 < share < 1.0, "a number between 0 and 1"),
    ):
        if not fits:
            raise FieldError(option, f"{value:g}", expected)
    return PowerPlan(std=std, n_arms=arms, control_share=share, alpha=alpha, test=test, n_looks=looks)


def _planned(
    plan: PowerPlan,
    mean: float,
    lift: float | None,
    users: int | None,
    wanted: float,
    users_per_day: float | None,
) -> dict[str, float | int | str | None]:
    """Return one row: what a test needs, or what it finds."""
    if mean == 0.0:
        raise FieldError("--mean", "0", "another number: lifts are shares of it")
    effect = None if lift is None else lift * mean
    n = users if users is not None else users_needed(plan, effect or 0.0, wanted)
    found = effect if effect is not None else smallest_effect(plan, n, wanted)
    return {
        "test": plan.test,
        "users": n,
        "mean_users": round(mean_users(plan, n, found)),
        "days": None if users_per_day is None else days_needed(n, users_per_day),
        "lift": found / mean,
        "effect": found,
        "power": power(plan, n, found),
        "smallest_lift": smallest_effect(plan, n, wanted) / mean,
        "alpha_per_arm": plan.alpha_per_arm,
    }


def _print_power(rows: list[dict[str, float | int | str | None]]) -> None:
    table = Table(
        "test",
        *(Column(header, justify="right") for header in ("users", "on average", "days", "lift", "power")),
    )
    for row in rows:
        days = "-" if row["days"] is None else f"{row['days']:,}"
        table.add_row(
            str(row["test"]),
            f"{row['users']:,}",
            f"{row['mean_users']:,}",
            days,
            f"{row['lift']:+.2%}",
            f"{row['power']:.1%}",
        )
    Console().print(table)
    typer.echo(
        "users: of all arms, at most; on average: if the lift is there and one stops when it is found.\n"
        "sequential: look as often as you like. one look: right only if nobody looks before the end."
    )


def _print_calibration(found: Calibration) -> None:
    config = found.config
    table = Table(
        "",
        *(Column(m.metric, justify="right") for m in found.metrics),
        title=_title(config),
        title_justify="left",
    )
    for label, values in {
        "without a difference, found one:": [""] * len(found.metrics),
        "  sequential test, daily looks": [f"{m.false_sequential:.1%}" for m in found.metrics],
        "  sequential test with CUPED": [f"{m.false_sequential_cuped:.1%}" for m in found.metrics],
        "  test for one look, at the end": [f"{m.false_at_the_end:.1%}" for m in found.metrics],
        "  test for one look, daily looks": [f"{m.false_daily:.1%}" for m in found.metrics],
        "with a difference of": [f"{m.effect:.4g}" for m in found.metrics],
        "  power promised": [f"{m.power_promised:.1%}" for m in found.metrics],
        "  power found": [f"{m.power_found:.1%}" for m in found.metrics],
        "  power found with CUPED": [f"{m.power_found_cuped:.1%}" for m in found.metrics],
        "variance removed by CUPED": [f"{m.variance_removed:.1%}" for m in found.metrics],
    }.items():
        table.add_row(label, *values)
    Console().print(table)
    typer.echo(
        f"sample ratio, at 0.1 %: {found.false_sample_ratio:.1%} false alarms with daily looks; "
        f"51 to 49 instead of 50 to 50 seen in {found.skew_detected:.1%} with {config.skewed_users:,} users"
    )


def _title(config: CalibrationConfig) -> str:
    return (
        f"{config.n_experiments:,} experiments of each kind, {config.n_days} days, "
        f"{config.users_per_day_and_arm:,} users per day and arm, alpha {config.alpha:g}, seed {config.seed}"
    )


@contextmanager
def _work_shown() -> Iterator[Shown]:
    """Show a bar on standard error, only where a person watches."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=1.0)

        def show(name: str, share: float) -> None:
            progress.update(task, description=name, completed=share)

        yield show
