"""``marquee experiment report``: what an experiment has found so far, and what to do."""

import tomllib
from pathlib import Path
from typing import Annotated

import orjson
import polars as pl
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Column, Table

from recsys.core.clock import unix_clock
from recsys.core.errors import DataFormatError, NotFoundError
from recsys.data.formats import load_dataset
from recsys.eventlog.exposure import Pseudonyms
from recsys.eventlog.reader import Damage
from recsys.experiments.analysis import analyse
from recsys.experiments.design import ExperimentDesign, Metric
from recsys.experiments.reactions import read_reactions
from recsys.experiments.results import ExperimentResult, Span
from recsys.experiments.units import experiment_facts
from recsys.experiments.user_tables import SEGMENTS, day_table, user_table
from recsys.rollout.traffic import Experiment
from recsys.rollout.traffic_file import FileTrafficStore

_PRE_DAYS = 14.0


def report(
    name: Annotated[str, typer.Argument(help="Of the experiment.")],
    *,
    home: Annotated[Path, typer.Option(help="Where exposures, events and the traffic document lie.")] = Path(
        ".marquee"
    ),
    design: Annotated[
        Path | None, typer.Option(help="TOML file with the design; else from the traffic document and below.")
    ] = None,
    since_s: Annotated[
        float | None, typer.Option(help="Unix time; else when it began, as the traffic document says.")
    ] = None,
    until_s: Annotated[float | None, typer.Option(help="Unix time; else now.")] = None,
    primary: Annotated[str, typer.Option(help="The one metric that decides.")] = "watch_rate",
    further: Annotated[list[str] | None, typer.Option(help="Reported beside it; may be repeated.")] = None,
    planned_users: Annotated[int, typer.Option(min=1, help="Of all arms together.")] = 10_000,
    minimum_effect: Annotated[float, typer.Option(help="Smallest difference that matters.")] = 0.01,
    pre_days: Annotated[float, typer.Option(min=0, help="How far back users' past goes.")] = _PRE_DAYS,
    data: Annotated[Path | None, typer.Option(help="Data set with the catalogue: seconds, tags.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Say what an experiment has found so far; look as often as you like."""
    now_s = unix_clock()
    if design is None:
        begun = _under_way(home / "traffic.json", name)
        wanted = _design_of(begun, primary, further or [], planned_users, minimum_effect)
        start_s = begun.started_s if since_s is None else since_s
    else:
        wanted = _read_design(design)
        start_s = _under_way(home / "traffic.json", name).started_s if since_s is None else since_s
    catalogue = None if data is None else load_dataset(data, now_s=now_s).dataset.items
    result, n_crossed = _analysed(wanted, home, start_s, until_s or now_s, pre_days, catalogue)
    if as_json:
        typer.echo(orjson.dumps({**result.model_dump(mode="json"), "crossed": n_crossed}))
    else:
        _print(result, n_crossed)


def _under_way(path: Path, name: str) -> Experiment:
    experiments = FileTrafficStore(path).read().experiments
    found = next((each for each in experiments if each.name == name), None)
    if found is None:
        raise NotFoundError("experiment under way", name, ", ".join(each.name for each in experiments))
    return found


def _design_of(
    begun: Experiment, primary: str, further: list[str], planned_users: int, minimum_effect: float
) -> ExperimentDesign:
    """Return the design of an experiment by its arms; those without users are not compared."""
    return ExperimentDesign(
        name=begun.name,
        arms={arm.arm: arm.share for arm in begun.arms if arm.share > 0.0},
        control=begun.arms[0].arm,
        primary=_metric(primary),
        further=tuple(_metric(name) for name in further),
        segments=tuple(SEGMENTS),
        planned_users=planned_users,
        minimum_effect=minimum_effect,
    )


def _metric(name: str) -> Metric:
    return Metric(name=name, better="lower" if name == "skip_rate" else "higher")


def _read_design(path: Path) -> ExperimentDesign:
    try:
        return ExperimentDesign.model_validate(tomllib.loads(path.read_text()))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise DataFormatError(path, "the design of an experiment in TOML", str(error)) from error


def _analysed(
    design: ExperimentDesign,
    home: Path,
    start_s: float,
    until_s: float,
    pre_days: float,
    catalogue: pl.DataFrame | None,
) -> tuple[ExperimentResult, int]:
    """Return the result, and how many users more than one arm served."""
    key = home / "exposures.key"
    if not key.is_file():
        raise DataFormatError(key, "the key of the pseudonyms", "no such file")
    reactions = read_reactions(home / "events", Pseudonyms.of_file(key), on_damage=_tell)
    facts = experiment_facts(
        home / "exposures",
        reactions,
        design.name,
        start_s=start_s,
        until_s=until_s,
        pre_days=pre_days,
        catalogue=catalogue,
    )
    units = facts.units()
    days = day_table(facts.during, design.primary.name, until_s=until_s)
    return analyse(design, user_table(units, [m.name for m in design.metrics]), days), units.n_crossed


def _tell(damage: Damage) -> None:
    typer.echo(f"left out: {damage}", err=True)


def _print(result: ExperimentResult, n_crossed: int) -> None:
    columns = ("control", "arm's", "lift", "for all times", "p", "past explains")
    table = Table("metric", "arm", *(Column(header, justify="right") for header in columns))
    for one in result.comparisons:
        counts = one.counts
        table.add_row(
            one.metric,
            one.arm,
            _number(counts.control),
            _number(counts.treatment),
            "-" if counts.lift is None else f"{counts.lift:+.2%}",
            _span(counts.at_all_times),
            _number(counts.p_at_all_times),
            f"{one.variance_removed:.0%}",
        )
    Console().print(table)
    users = ", ".join(f"{arm} {n:,}" for arm, n in result.sample_ratio.users.items())
    dealt = "as declared" if result.sample_ratio.trusted else "NOT as declared"
    typer.echo(f"users: {users}, dealt {dealt} (p = {result.sample_ratio.p_at_all_times:.2g})")
    if n_crossed:
        typer.echo(f"{n_crossed:,} were served by more than one arm and belong to their first")
    typer.echo(result.recommendation.sentence)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _span(span: Span) -> str:
    """Print the interval of a difference."""
    ends = ["open" if end is None else f"{end:+.3g}" for end in (span.lower, span.upper)]
    return f"{ends[0]} to {ends[1]}"
