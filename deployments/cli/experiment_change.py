"""``marquee experiment start``, ``stop`` and ``list``."""

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from deployments.cli.traffic_option import TrafficOption, traffic_store
from recsys.core.clock import unix_clock
from recsys.core.errors import FieldError
from recsys.rollout.declarations import Declaration, Declarations
from recsys.rollout.experiment_plan import arm_of, plan_of, read_plan_fields
from recsys.rollout.experiments import begin, end, is_under_way
from recsys.rollout.traffic import Experiment, TrafficDocument

HomeOption = Annotated[
    Path, typer.Option("--home", envvar="MARQUEE_HOME", help="Where declarations and exposures lie.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
NameArgument = Annotated[str, typer.Argument(help="Of the experiment.")]
ByOption = Annotated[str | None, typer.Option("--by", help="Who asks for it; the user of this computer.")]
DEFAULT_HOME = Path(".marquee")


def start(
    name: NameArgument,
    *,
    arm: Annotated[
        list[str] | None, typer.Option(help="NAME=SHARE[:KNOB=VALUE]; the first is the control.")
    ] = None,
    plan: Annotated[
        Path | None, typer.Option(help="TOML file with arms and metrics; options go before it.")
    ] = None,
    primary: Annotated[str | None, typer.Option(help="The one metric that decides; watch_rate.")] = None,
    metric: Annotated[list[str] | None, typer.Option(help="Reported beside it; may be repeated.")] = None,
    guardrail: Annotated[
        list[str] | None, typer.Option(help="METRIC[=TOLERANCE]: may worsen by this share at most.")
    ] = None,
    planned_users: Annotated[int | None, typer.Option(help="Of all arms together; 10,000.")] = None,
    alpha: Annotated[float | None, typer.Option(help="Odds of finding what is not there; 0.05.")] = None,
    min_effect: Annotated[
        float | None, typer.Option(help="Smallest difference that matters, in the metric's unit; 0.01.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    traffic: TrafficOption = None,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Declare an experiment and deal users to its arms, within a second and without a restart."""
    given: dict[str, Any] = {
        "arms": dict(arm_of(text) for text in arm) if arm else None,
        "primary": primary,
        "further": metric,
        "guardrails": [guardrail_of(text) for text in guardrail] if guardrail else None,
        "planned_users": planned_users,
        "alpha": alpha,
        "minimum_effect": min_effect,
    }
    fields = {} if plan is None else read_plan_fields(plan)
    fields |= {field: value for field, value in given.items() if value is not None}
    declared = begin(
        traffic_store(traffic, home),
        declarations_of(home),
        name,
        plan_of(fields),
        now_s=unix_clock(),
        by=_who(by),
    )
    _say(declared, as_json)


def stop(
    name: NameArgument,
    *,
    home: HomeOption = DEFAULT_HOME,
    traffic: TrafficOption = None,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Deal nobody to it any more; what was served stays, and can be reported for ever."""
    stopped = end(traffic_store(traffic, home), declarations_of(home), name, now_s=unix_clock(), by=_who(by))
    if stopped is not None:
        _say(stopped, as_json)
    elif as_json:
        typer.echo(orjson.dumps({"name": name, "state": "stopped, was never declared"}))
    else:
        typer.echo(f"{name}: stopped; it was never declared")


def list_experiments(
    *, home: HomeOption = DEFAULT_HOME, traffic: TrafficOption = None, as_json: JsonOption = False
) -> None:
    """List all experiments, from old to new."""
    document = traffic_store(traffic, home).read()
    declared = declarations_of(home).all()
    names = {one.experiment.name for one in declared}
    wild = [experiment for experiment in document.experiments if experiment.name not in names]
    rows = [_row(one.experiment, _state(one, document), one) for one in declared]
    rows += [_row(experiment, "undeclared", None) for experiment in wild]
    if as_json:
        typer.echo(orjson.dumps({"experiments": rows}))
    elif rows:
        _print(rows)
    else:
        typer.echo("no experiment yet")


def declarations_of(home: Path) -> Declarations:
    """Return where declarations lie."""
    return Declarations(home / "experiments")


def guardrail_of(text: str) -> dict[str, Any]:
    """Return the fields of a guardrail that is written ``metric`` or ``metric=tolerance``.

    Raises:
        FieldError: it is written otherwise.
    """
    name, _, tolerance = text.partition("=")
    try:
        return {"name": name, "tolerance": float(tolerance or "0")}
    except ValueError as error:
        raise FieldError("--guardrail", text, "like skip_rate or skip_rate=0.02") from error


def _state(declared: Declaration, document: TrafficDocument) -> str:
    if declared.stopped_s is not None:
        return "stopped"
    return "running" if is_under_way(document, declared.experiment.name) else "never begun"


def _row(experiment: Experiment, state: str, declared: Declaration | None) -> dict[str, Any]:
    return {
        "name": experiment.name,
        "state": state,
        "started_s": experiment.started_s,
        "stopped_s": None if declared is None else declared.stopped_s,
        "arms": {arm.arm: {"share": arm.share, **arm.knobs.turned} for arm in experiment.arms},
        "primary": None if declared is None else declared.design.primary.name,
    }


def _print(rows: list[dict[str, Any]]) -> None:
    table = Table("experiment", "state", "since (UTC)", "until (UTC)", "arms", "primary metric")
    for row in rows:
        arms = ", ".join(_arm(arm, fields) for arm, fields in row["arms"].items())
        times = (_when(row["started_s"]), _when(row["stopped_s"]))
        table.add_row(row["name"], row["state"], *times, arms, row["primary"] or "-")
    Console().print(table)


def _arm(arm: str, fields: dict[str, float]) -> str:
    turned = ", ".join(f"{knob} {value:g}" for knob, value in fields.items() if knob != "share")
    return f"{arm} {fields['share']:.0%}" + (f" ({turned})" if turned else "")


def _when(time_s: float | None) -> str:
    return "-" if time_s is None else f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d %H:%M:%S}"


def _say(declared: Declaration, as_json: bool) -> None:
    if as_json:
        typer.echo(declared.model_dump_json())
        return
    state = "running" if declared.stopped_s is None else "stopped"
    _print([_row(declared.experiment, state, declared)])
    design = declared.design
    typer.echo(
        f"{design.primary.name} decides: a difference of {design.minimum_effect:g} matters, "
        f"{design.planned_users:,} users are planned, alpha {design.alpha:g}"
    )


def _who(by: str | None) -> str:
    return by or getpass.getuser()
