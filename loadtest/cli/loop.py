"""``marquee loop``: tastes shift, and the service finds out, learns anew and recovers by itself."""

import json
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from loadtest.loop.past import prepare
from loadtest.loop.plot import draw
from loadtest.loop.run import run_loop
from loadtest.loop.settings import LoopSettings
from loadtest.loop.story import Moment, Story
from recsys.core.clock import SECONDS_PER_DAY
from recsys.core.errors import FieldError

app = typer.Typer(pretty_exceptions_enable=False)

_USUAL = LoopSettings()


@app.command(name="loop")
def main(
    *,
    home: Annotated[
        Path | None,
        typer.Option(help="A new folder for all that is written; a temporary one.", show_default=False),
    ] = None,
    kafka: Annotated[
        str | None, typer.Option(help="kafka://HOST:PORT/PREFIX: events go there first; else to files.")
    ] = None,
    day: Annotated[
        float, typer.Option(min=1.0, help="Seconds that a day of the world lasts.")
    ] = _USUAL.day_s,
    after: Annotated[int, typer.Option(min=1, help="Days after the promotion.")] = _USUAL.after_days,
    control: Annotated[bool, typer.Option(help="Run a second service that is never refreshed.")] = True,
    seed: Annotated[int, typer.Option(min=0, help="Of the world and its users.")] = _USUAL.seed,
    plot: Annotated[Path | None, typer.Option(help="Write a picture here, SVG.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON at the end.")] = False,
) -> None:
    """Shift everybody's tastes under a running service, and watch it notice and recover by itself.

    Exit code 1 when something of it did not happen, happened in another order, or a request failed.
    """
    console = Console(stderr=True)
    settings = LoopSettings(day_s=day, after_days=after, seed=seed)
    with ExitStack() as stack:
        where = home or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mq-loop-"))) / "home"
        if where.exists() and any(where.iterdir()):
            raise FieldError("--home", str(where), "a new folder, or an empty one")
        where.mkdir(parents=True, exist_ok=True)
        prepared = prepare(
            where.absolute(), settings, on_step=lambda what: console.print(f"preparing: {what}")
        )
        story = run_loop(
            prepared,
            settings,
            kafka=kafka,
            control=control,
            on_moment=lambda one: console.print(_line(one, settings.begins_s), highlight=False),
            on_step=console.print,
        )
    if plot is not None:
        draw(story, plot)
    if as_json:
        typer.echo(json.dumps(story.as_json()))
    else:
        _print(story, Console())
    for fault in story.faults():
        console.print(f"[red]{fault}[/red]")
    if story.faults():
        raise typer.Exit(1)


def _line(moment: Moment, begins_s: float) -> str:
    day = (moment.at_s - begins_s) / SECONDS_PER_DAY
    return f"day {day:5.2f}  {moment.what}, by {moment.by}: {moment.why}"


def _print(story: Story, console: Console) -> None:
    table = Table("day", *(f"{name}" for name in story.rates), title="chance that a shown video is watched")
    by_day = {(one.service, one.day): one.true_rate for one in story.days}
    for day in sorted({one.day for one in story.days}):
        rates = (by_day.get((name, day)) for name in story.rates)
        table.add_row(str(day), *("-" if rate is None else f"{rate:.4f}" for rate in rates))
    console.print(table)
    for moment in story.moments:
        console.print(_line(moment, story.begins_s), highlight=False, soft_wrap=True)
    if story.gain is not None:
        one = story.gain
        console.print(
            f"the same {one.n_lists:,} visits since then: {one.loop:.4f} against {one.control:.4f}, "
            f"{one.difference:+.4f} (standard error {one.error:.4f}, odds without an effect {one.odds:.1e})",
            highlight=False,
            soft_wrap=True,
        )
