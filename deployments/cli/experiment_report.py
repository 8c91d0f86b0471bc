"""``marquee experiment report``: what an experiment or a rollout has found so far, and what to do."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.console import Console

from deployments.cli.experiment_change import (
    DEFAULT_HOME,
    HomeOption,
    JsonOption,
    declarations_of,
    guardrail_of,
)
from deployments.cli.traffic_option import TrafficOption, traffic_store
from recsys.core.clock import unix_clock
from recsys.core.errors import DataFormatError, FieldError, NotFoundError
from recsys.core.pseudonyms import Pseudonyms
from recsys.data.formats import load_dataset
from recsys.eventlog.exposure import key_for
from recsys.eventlog.reader import Damage
from recsys.experiments.reactions import read_reactions
from recsys.experiments.report import ExperimentReport, Subject, report_on
from recsys.experiments.report_text import LEAST_WIDTH, printout
from recsys.experiments.units import CATALOGUE_METRICS, experiment_facts
from recsys.rollout.experiment_plan import plan_of
from recsys.rollout.names import ROLLOUT_EXPERIMENT
from recsys.rollout.subjects import subject_of_experiment, subject_of_rollout, subject_of_undeclared
from recsys.rollout.traffic_store import TrafficStore

_ANY_ARMS = {"control": {"share": 0.5}, "other": {"share": 0.5}}  # the subject knows its arms


def report(
    name: Annotated[str, typer.Argument(help="Of the experiment; or `rollout`, the running or last one.")],
    *,
    home: HomeOption = DEFAULT_HOME,
    traffic: TrafficOption = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with plots into this file too.")] = None,
    days: Annotated[bool, typer.Option("--days", help="Print the effect by day too.")] = False,
    segments: Annotated[list[str] | None, typer.Option(help="Print these alone; may be repeated.")] = None,
    primary: Annotated[str, typer.Option(help="Of a rollout: the metric that decides.")] = "watch_rate",
    metric: Annotated[list[str] | None, typer.Option(help="Of a rollout: reported beside it.")] = None,
    guardrail: Annotated[list[str] | None, typer.Option(help="Of a rollout: METRIC[=TOLERANCE].")] = None,
    planned_users: Annotated[int, typer.Option(min=1, help="Of a rollout: of both arms.")] = 10_000,
    min_effect: Annotated[float, typer.Option(help="Of a rollout: smallest difference that matters.")] = 0.01,
    pre_days: Annotated[float, typer.Option(min=0, help="How far back users' past goes.")] = 14.0,
    until_s: Annotated[float | None, typer.Option(help="As of this Unix time; now.")] = None,
    data: Annotated[Path | None, typer.Option(help="Data set with the catalogue: seconds, tags.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what an experiment has found so far; look as often as you like."""
    now_s = unix_clock() if until_s is None else until_s
    judged = {
        "arms": _ANY_ARMS,
        "primary": primary,
        "further": metric or [],
        "guardrails": [guardrail_of(text) for text in guardrail or []],
        "planned_users": planned_users,
        "minimum_effect": min_effect,
    }
    found = _report(_subject(traffic_store(traffic, home), home, name, judged, now_s), home, pre_days, data)
    if html is not None:
        _write_page(found, html)
    if as_json:
        typer.echo(found.model_dump_json())
    else:
        console = Console()
        console.width = max(LEAST_WIDTH, console.width)
        console.print(printout(found, days=days, segments=segments))


def _subject(store: TrafficStore, home: Path, name: str, judged: dict[str, Any], now_s: float) -> Subject:
    document = store.read()
    if name == ROLLOUT_EXPERIMENT:
        if document.rollout is None:
            raise NotFoundError("rollout", "now")
        return subject_of_rollout(document.rollout, plan_of(judged), document.killed, now_s)
    declarations = declarations_of(home)
    declared = declarations.find(name)
    if declared is not None:
        return subject_of_experiment(declared, document.killed, now_s)
    wild = next((experiment for experiment in document.experiments if experiment.name == name), None)
    if wild is None:
        known = {*declarations.names(), *(experiment.name for experiment in document.experiments)}
        raise NotFoundError("experiment", name, ", ".join(sorted(known)))
    return subject_of_undeclared(wild, plan_of(judged), document.killed, now_s)


def _report(subject: Subject, home: Path, pre_days: float, data: Path | None) -> ExperimentReport:
    catalogue = None if data is None else load_dataset(data, now_s=subject.until_s).dataset.items
    _check_catalogue(subject, catalogue)
    key = key_for(home / "exposures")
    if not key.is_file():
        raise DataFormatError(key, "the key of the pseudonyms", "no such file")
    facts = experiment_facts(
        home / "exposures",
        read_reactions(home / "events", Pseudonyms.of_file(key), on_damage=_tell),
        subject.experiment,
        start_s=subject.since_s,
        until_s=subject.until_s,
        pre_days=pre_days,
        catalogue=catalogue,
    )
    return report_on(subject, facts)


def _check_catalogue(subject: Subject, catalogue: pl.DataFrame | None) -> None:
    asked = [one.name for one in subject.design.metrics if one.name in CATALOGUE_METRICS]
    if asked and catalogue is None:
        raise FieldError("--data", "nothing", f"the data set with the catalogue, as {asked[0]} counts it")


def _write_page(found: ExperimentReport, path: Path) -> None:
    if find_spec("matplotlib") is None:
        raise FieldError("--html", "no matplotlib", "the extra: pip install 'marquee-recsys[plots]'")
    from recsys.experiments.report_html import write_html  # noqa: PLC0415 - an extra, for plots alone

    write_html(found, path)


def _tell(damage: Damage) -> None:
    typer.echo(f"left out: {damage}", err=True)
