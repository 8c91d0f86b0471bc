"""``marquee retrain``: a fresher bundle out of the one that users have, once or again and again."""

import getpass
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from recsys.cli.data_source import data_source
from recsys.cli.places import RegistryOption, home
from recsys.cli.progress import steps_shown
from recsys.cli.tracked import TrackOption, tell_of_training
from recsys.cli.train import read_config
from recsys.core.clock import monotonic_clock, unix_clock
from recsys.core.durable import locked_if_free
from recsys.core.durations import seconds_in
from recsys.core.errors import FieldError, IncompatibleBundleError, NotFoundError
from recsys.data.badrows import OnBadRow
from recsys.registry.channels import Channel
from recsys.registry.open import open_registry
from recsys.registry.store import Registry, let_channel_name
from recsys.rollout import transitions
from recsys.rollout.desk import change, rollout_id
from recsys.rollout.plan import DEFAULT_PLAN, RolloutPlan, read_plan
from recsys.rollout.traffic_file import FileTrafficStore
from recsys.training.gate import GateConfig
from recsys.training.kept_sums import open_sums
from recsys.training.refresh import (
    Parent,
    RankerOf,
    RefreshConfig,
    Refreshed,
    read_parent,
    refresh,
    training_of,
)
from recsys.training.rounds import in_rounds
from recsys.training.train import find_trained, training_key
from recsys.training.two_stage import TrainingConfig

app = typer.Typer(pretty_exceptions_enable=False)

_STOPPED = 130  # exit code after Ctrl-C


def _pace(text: str) -> float:
    try:
        every_s = seconds_in(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if every_s == 0.0:
        raise typer.BadParameter("a pace above 0 s")
    return every_s


@app.command(name="retrain")
def main(
    *,
    data: Annotated[
        str, typer.Option(help="A data set (ours, MovieLens or KuaiRand), or a lake; all that is known.")
    ],
    registry: RegistryOption,
    from_bundle: Annotated[
        str, typer.Option(help="What is made fresher: a channel, a bundle's name, or the beginning of one.")
    ] = "stable",
    config: Annotated[
        Path | None, typer.Option(help="JSON file with training settings; those of the bundle when absent.")
    ] = None,
    every: Annotated[
        str | None, typer.Option(help='Again and again, at this pace: "30m", "1h"; Ctrl-C ends it.')
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Fit everything from scratch, the ranker too.")
    ] = False,
    full_if_none: Annotated[
        bool, typer.Option("--full-if-none", help="From scratch where there is no usable bundle.")
    ] = False,
    ranker: Annotated[
        RankerOf, typer.Option(help="Kept, continued by trees grown on what is new, or all trees anew.")
    ] = "keep",
    channel: Annotated[Channel | None, typer.Option(help="Let this channel name the new bundle.")] = None,
    start_rollout: Annotated[
        bool,
        typer.Option(
            "--start-rollout",
            help="Name it candidate, which a controller follows; embedded, begin its canary too.",
        ),
    ] = False,
    traffic: Annotated[
        Path | None,
        typer.Option(help="Embedded: the traffic document's file.", show_default="HOME/traffic.json"),
    ] = None,
    plan: Annotated[
        Path | None, typer.Option(help="Of the rollout, TOML; a careful one when absent.")
    ] = None,
    on_bad_row: Annotated[OnBadRow, typer.Option(help="What to do about rows that cannot be read.")] = (
        OnBadRow.FAIL
    ),
    gate: Annotated[bool, typer.Option(help="Refuse to publish what does worse than popularity.")] = True,
    again: Annotated[bool, typer.Option("--again", help="Even if nothing has changed.")] = False,
    track: TrackOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON per bundle, for machines.")] = False,
) -> None:
    """Bring a bundle up to date with the data: what is new is counted, nothing else is fitted twice."""
    every_s = None if every is None else _pace(every)
    settings = None if config is None else read_config(config)
    wanted = DEFAULT_PLAN if plan is None else read_plan(plan)
    begin = _beginner(traffic or home() / "traffic.json", wanted) if start_rollout else None
    named: Channel | None = "candidate" if start_rollout and channel is None else channel
    how = RefreshConfig(ranker=ranker, gate=GateConfig() if gate else None)

    def once() -> None:
        opened = open_registry(registry)
        home().mkdir(parents=True, exist_ok=True)
        with locked_if_free(home() / ".retrain.lock", "retraining"):
            asked = _Asked(data, from_bundle, settings, how, full, full_if_none, again, on_bad_row)
            name, facts = _one(registry, opened, asked)
            if named is not None:
                let_channel_name(opened, name, named, by=getpass.getuser(), now_s=unix_clock())
            tell_of_training(track, opened, name, registry)
            if begin is not None:
                facts["rollout"] = begin(name)
        typer.echo(json.dumps({"bundle": name, **facts}) if as_json else _sentence(name, facts))

    if every_s is None:
        once()
        return
    try:
        in_rounds(once, every_s, clock=monotonic_clock, sleep=time.sleep, on_failure=_tell)
    except KeyboardInterrupt:
        typer.echo("marquee: stopped; no bundle was left half done", err=True)
        raise typer.Exit(_STOPPED) from None


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the arguments say of one refresh."""

    data: str
    ref: str
    settings: TrainingConfig | None
    how: RefreshConfig
    full: bool
    full_if_none: bool
    again: bool
    on_bad_row: OnBadRow


def _one(address: str, registry: Registry, asked: _Asked) -> tuple[str, dict[str, object]]:
    """Refresh once; return the bundle's name and what there is to say."""
    with steps_shown() as on_step:
        on_step(f"reading {asked.data}", 0.0)
        known = _settings(registry, asked)  # None: there is no bundle to begin with
        training = asked.settings or known or TrainingConfig()
        source = data_source(asked.data)
        key = training_key(source.fingerprint, training)
        if not asked.again and (there := find_trained(registry, key)) is not None:
            return there, {"refreshed": False}
        now_s = unix_clock()
        dataset = source.load(on_bad_row=asked.on_bad_row, now_s=now_s).dataset
        sums = open_sums(address)
        parent = None if asked.full or known is None else _parent(registry, sums, asked, training)
        done = refresh(
            dataset,
            registry,
            sums,
            parent,
            training,
            asked.how,
            key=key,
            now_s=now_s,
            lake_versions=source.lake_versions,
            on_step=on_step,
        )
    return done.bundle.name, {"refreshed": True, **_facts(done, parent)}


def _settings(registry: Registry, asked: _Asked) -> TrainingConfig | None:
    """Return the settings of the bundle to begin with; None where there is none and none is needed."""
    try:
        return training_of(registry, asked.ref)
    except NotFoundError:
        if asked.full or asked.full_if_none:
            return None
        raise


def _parent(registry: Registry, sums: Registry, asked: _Asked, training: TrainingConfig) -> Parent | None:
    """Return what is taken over; None where a program with other features made the bundle."""
    try:
        return read_parent(registry, sums, asked.ref, training)
    except IncompatibleBundleError:
        if asked.full_if_none:
            return None
        raise


def _facts(done: Refreshed, parent: Parent | None) -> dict[str, object]:
    difference = done.difference
    return {
        "parent": None if parent is None else parent.bundle,
        "counted": "everything" if difference is None else "differences",
        "n_users": None if difference is None else difference.n_users,
        "n_added": None if difference is None else difference.n_added,
        "n_removed": None if difference is None else difference.n_removed,
        "gate": dict(done.gate),
        "seconds": {step: round(seconds, 2) for step, seconds in done.seconds.items()},
    }


def _sentence(name: str, facts: dict[str, object]) -> str:
    if not facts["refreshed"]:
        return f"bundle {name}: nothing has changed since it was made (--again makes it anyway)"
    counted = "everything counted"
    if facts["counted"] == "differences":
        counted = f"{facts['n_users']} users changed, {facts['n_added']} rows came, {facts['n_removed']} went"
    seconds = facts["seconds"]
    total_s = sum(seconds.values()) if isinstance(seconds, dict) else 0.0
    rollout = f"; {facts['rollout']}" if "rollout" in facts else ""
    return f"bundle {name}: {counted}, {total_s:.1f} s{rollout}"


def _beginner(traffic: Path, plan: RolloutPlan) -> Callable[[str], str]:
    """Return what begins the canary of a bundle where the traffic document is a file."""
    store = FileTrafficStore(traffic)

    def begin(bundle: str) -> str:
        now_s = unix_clock()
        try:
            change(
                store,
                lambda document: transitions.start(
                    document,
                    bundle,
                    plan,
                    rollout_id=rollout_id(bundle, now_s),
                    now_s=now_s,
                    by=f"{getpass.getuser()}, marquee retrain",
                ),
            )
        except NotFoundError:
            return "channel candidate names it; a controller begins its canary"
        except FieldError as error:  # one is under way, or users have it: the next round sees
            return f"no canary begins: {error}"
        return "its canary begins"

    return begin


def _tell(error: Exception, retry_s: float) -> None:
    typer.echo(f"marquee: {error}; tried again in {retry_s:.0f} s", err=True)
