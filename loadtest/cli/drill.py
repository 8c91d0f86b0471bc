"""``marquee drill``: a good canary and all sorts of bad ones, each walked through by the real service."""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from loadtest.drill.bundles import prepare
from loadtest.drill.run import Drill, Ended, drilling
from loadtest.drill.scenes import SCENES, Scene
from recsys.core.clock import unix_clock
from recsys.core.errors import FieldError

app = typer.Typer(pretty_exceptions_enable=False)

_NAMES = ", ".join(scene.name for scene in SCENES)


@app.command(name="drill")
def main(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[SCENE]...", help=f"All, or of: {_NAMES}.")
    ] = None,
    *,
    folder: Annotated[Path, typer.Option(help="Where the world and its bundles are kept.")] = Path(
        ".marquee/drill"
    ),
    rate: Annotated[float, typer.Option(min=1, help="Lists asked for per second.")] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON at the end.")] = False,
) -> None:
    """Roll bundles out under constant load: good ones come to everybody, bad ones are taken back.

    Exit code 1 when a scene ended otherwise, a request failed, or a user was moved that should not have been.
    """
    console = Console(stderr=True)
    scenes = [_scene(name) for name in names or [scene.name for scene in SCENES]]
    prepared = prepare(folder, clock=unix_clock, on_step=lambda what: console.print(f"preparing: {what}"))
    ended = []
    for better in (True, False):
        chosen = [scene for scene in scenes if scene.better is better]
        if chosen:
            with (
                tempfile.TemporaryDirectory(prefix="mq-drill-") as scratch,
                drilling(prepared, Path(scratch) / "home", better=better, rate_per_s=rate) as drill,
            ):
                ended += [_played(scene, drill, console) for scene in chosen]
    if as_json:
        typer.echo(json.dumps([_as_json(one) for one in ended]))
    else:
        Console().print(_table(ended))
    if any(one.faults() for one in ended):
        raise typer.Exit(1)


def _played(scene: Scene, drill: Drill, console: Console) -> Ended:
    console.print(f"[b]{scene.name}[/b]: {scene.what}")
    ended = drill.play(
        scene,
        on_decision=lambda decision: console.print(
            f"  {decision.what} to {decision.share:.0%}: {decision.why}"
        ),
    )
    for fault in ended.faults():
        console.print(f"  [red]{fault}[/red]")
    return ended


def _scene(name: str) -> Scene:
    found = next((scene for scene in SCENES if scene.name == name), None)
    if found is None:
        raise FieldError("scene", repr(name), _NAMES)
    return found


def _table(ended: list[Ended]) -> Table:
    table = Table("canary", "ended", "at", "after", "why", "answers", "failed", "back after")
    for one in ended:
        begun = one.rollout.decisions[0]
        table.add_row(
            one.scene.what,
            str(one.end.what),
            f"{_reached(one):.0%}",
            f"{one.end.at_s - begun.at_s:.0f} s",
            one.end.why,
            f"{one.live.n_answers:,}",
            str(one.live.n_failed),
            f"{one.back_s:.1f} s",
            style="red" if one.faults() else "",
        )
    return table


def _reached(one: Ended) -> float:
    """Return the largest share that the canary had."""
    return max(decision.share for decision in one.rollout.decisions)


def _as_json(one: Ended) -> dict[str, object]:
    return {
        "scene": one.scene.name,
        "ended": one.end.what,
        "why": one.end.why,
        "reached": _reached(one),
        "back_s": round(one.back_s, 2),
        "answers": one.live.n_answers,
        "failed": one.live.n_failed,
        "arms": [asdict(arm) for arm in one.live.arms],
        "faults": one.faults(),
    }
