"""``marquee rollout``: bring a bundle to all users step by step, watch it, and take it back."""

import getpass
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deployments.cli.rollout_arrived import arrived
from deployments.cli.rollout_control import control
from deployments.cli.rollout_watch import follow
from deployments.cli.traffic_option import TrafficOption, traffic_store
from deployments.control.show import history_tables, plot_history, summary
from recsys.cli.places import RegistryBesideOption
from recsys.core.clock import unix_clock
from recsys.ranking.matrix import FEATURE_SCHEMA
from recsys.registry.open import open_registry
from recsys.registry.reader import open_bundle
from recsys.rollout import transitions
from recsys.rollout.desk import Change, change, rollout_id, rollouts
from recsys.rollout.plan import DEFAULT_PLAN, read_plan
from recsys.rollout.state import Phase
from recsys.rollout.traffic import TrafficDocument
from recsys.rollout.traffic_store import TrafficStore

app = typer.Typer(no_args_is_help=True, help="Bring a bundle to all users step by step, or take it back.")

_ABORTED = 3  # exit code of `watch`

HomeOption = Annotated[
    Path, typer.Option("--home", envvar="MARQUEE_HOME", help="Where the service keeps its files.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
ByOption = Annotated[str | None, typer.Option("--by", help="Who asks for it; the user of this computer.")]
WhyOption = Annotated[str, typer.Option("--why", help="The reason, for the history.")]
DEFAULT_HOME = Path(".marquee")


@app.command()
def start(
    bundle: Annotated[str, typer.Argument(help="A bundle's name, the beginning of one, or a channel.")],
    *,
    plan: Annotated[
        Path | None, typer.Option(help="TOML file with steps and guardrails; a careful one when absent.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    traffic: TrafficOption = None,
    registry: RegistryBesideOption = None,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Verify a bundle and let the controller bring it to the users, as the plan says."""
    wanted = DEFAULT_PLAN if plan is None else read_plan(plan)
    opened = open_registry(registry or home / "registry")
    name = opened.resolve(bundle)
    open_bundle(opened.get(name), feature_schema=FEATURE_SCHEMA)  # every digest
    now_s = unix_clock()
    written = change(
        traffic_store(traffic, home),
        lambda document: transitions.start(
            document, name, wanted, rollout_id=rollout_id(name, now_s), now_s=now_s, by=_who(by)
        ),
    )
    _say(written, as_json)


@app.command()
def status(
    *, home: HomeOption = DEFAULT_HOME, traffic: TrafficOption = None, as_json: JsonOption = False
) -> None:
    """Say where the rollout stands."""
    _say(traffic_store(traffic, home).read(), as_json)


@app.command()
def watch(
    *, home: HomeOption = DEFAULT_HOME, traffic: TrafficOption = None, as_json: JsonOption = False
) -> None:
    """Follow the rollout to its end; exit code 0 when promoted, 3 when taken back."""
    store = traffic_store(traffic, home)
    try:
        state = follow(store, as_json=as_json)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    raise typer.Exit(_ABORTED if state is not None and state.phase is Phase.ABORTED else 0)


@app.command()
def pause(
    *,
    home: HomeOption = DEFAULT_HOME,
    traffic: TrafficOption = None,
    by: ByOption = None,
    why: WhyOption = "",
    as_json: JsonOption = False,
) -> None:
    """Let it go no further; guardrails go on watching."""
    _change(
        traffic_store(traffic, home),
        lambda now: transitions.pause(now, now_s=unix_clock(), by=_who(by), why=why),
        as_json,
    )


@app.command()
def resume(
    *,
    home: HomeOption = DEFAULT_HOME,
    traffic: TrafficOption = None,
    by: ByOption = None,
    why: WhyOption = "",
    as_json: JsonOption = False,
) -> None:
    """Let it go on."""
    _change(
        traffic_store(traffic, home),
        lambda now: transitions.resume(now, now_s=unix_clock(), by=_who(by), why=why),
        as_json,
    )


@app.command()
def promote(
    *,
    home: HomeOption = DEFAULT_HOME,
    traffic: TrafficOption = None,
    by: ByOption = None,
    why: WhyOption = "asked for",
    as_json: JsonOption = False,
) -> None:
    """Give all users the canary's bundle now, whatever steps are left."""
    _change(
        traffic_store(traffic, home),
        lambda now: transitions.promote(now, now_s=unix_clock(), by=_who(by), why=why),
        as_json,
    )


@app.command()
def abort(
    *,
    home: HomeOption = DEFAULT_HOME,
    traffic: TrafficOption = None,
    by: ByOption = None,
    why: WhyOption = "asked for",
    as_json: JsonOption = False,
) -> None:
    """Give all users the bundle they had before, at once; works without the controller."""
    _change(
        traffic_store(traffic, home),
        lambda now: transitions.abort(now, now_s=unix_clock(), by=_who(by), why=why),
        as_json,
    )


@app.command()
def history(
    *,
    home: HomeOption = DEFAULT_HOME,
    traffic: TrafficOption = None,
    last: Annotated[int, typer.Option(min=1, help="So many rollouts, the latest.")] = 5,
    plot: Annotated[Path | None, typer.Option(help="Draw it into this file too, PNG or SVG.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List every decision with the numbers behind it."""
    states = rollouts(traffic_store(traffic, home))[-last:]
    if plot is not None and states:
        plot_history(states, plot)
    if as_json:
        typer.echo(json.dumps([state.model_dump(mode="json") for state in states]))
    elif states:
        Console().print(history_tables(states))
    else:
        typer.echo("no rollout yet")


@app.command()
def kill(
    arm: Annotated[str, typer.Argument(help="canary, or EXPERIMENT/ARM.")] = "canary",
    *,
    home: HomeOption = DEFAULT_HOME,
    traffic: TrafficOption = None,
    by: ByOption = None,
    why: WhyOption = "",
    as_json: JsonOption = False,
) -> None:
    """Take all users off an arm at once, until `revive`; needs no controller, and none undoes it."""
    _change(
        traffic_store(traffic, home),
        lambda now: transitions.kill(now, arm, now_s=unix_clock(), by=_who(by), why=why),
        as_json,
    )


@app.command()
def revive(
    arm: Annotated[str, typer.Argument(help="canary, or EXPERIMENT/ARM.")] = "canary",
    *,
    home: HomeOption = DEFAULT_HOME,
    traffic: TrafficOption = None,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Allow users on a killed arm again."""
    _change(
        traffic_store(traffic, home),
        lambda now: transitions.revive(now, arm, now_s=unix_clock(), by=_who(by)),
        as_json,
    )


@app.command()
def allow(
    user_id: Annotated[str, typer.Argument(help="The user.")],
    arm: Annotated[str | None, typer.Argument(help="The arm; absent: no more.")] = None,
    *,
    home: HomeOption = DEFAULT_HOME,
    traffic: TrafficOption = None,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a user to an arm whatever chance says; such users are kept out of statistics."""
    _change(
        traffic_store(traffic, home),
        lambda now: transitions.allow(now, user_id, arm, now_s=unix_clock(), by=_who(by)),
        as_json,
    )


app.command()(control)
app.command()(arrived)


def _change(store: TrafficStore, how: Change, as_json: bool) -> None:
    _say(change(store, how), as_json)


def _say(document: TrafficDocument, as_json: bool) -> None:
    if as_json:
        typer.echo(document.model_dump_json())
    else:
        Console().print(summary(document, unix_clock()))


def _who(by: str | None) -> str:
    return by or getpass.getuser()
