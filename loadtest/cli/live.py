"""``marquee live``: users of a known world use a running service, and react by their true tastes."""

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import orjson
import polars as pl
import typer
from pydantic import ValidationError
from rich.console import Console

from loadtest.engine.event_loops import run_loop
from loadtest.live.driver import Look, play
from loadtest.live.population import Population
from loadtest.live.result import LiveResult
from loadtest.live.scale import watch_scale
from loadtest.live.settings import LiveSettings, PopulationSettings
from loadtest.live.show import live_view, print_result
from recsys.core.clock import unix_clock
from recsys.core.errors import FieldError, RecsysError
from recsys.simulation.reader import world_of
from recsys.simulation.scenario import SCENARIOS, scenario_named
from recsys.simulation.world import World, make_world

app = typer.Typer(pretty_exceptions_enable=False)

PASSED, FAILED, UNUSABLE = 0, 1, 2
_EXITS = "Exit codes: 0 nothing failed, 1 something did, 2 wrong usage or not one list came."
_WIDTH = 132  # for logs; a terminal has its own


@app.command(name="live", epilog=_EXITS)
def main(
    *,
    url: Annotated[str, typer.Option(help="Of the service.")] = "http://127.0.0.1:8000",
    data: Annotated[
        Path | None, typer.Option(help="Simulated data set that the service learned from; names the world.")
    ] = None,
    scenario: Annotated[str, typer.Option(help=f"Without --data: {', '.join(SCENARIOS)}.")] = "small",
    seed: Annotated[int, typer.Option(min=0, help="Without --data: of the world.")] = 7,
    users: Annotated[int | None, typer.Option(help="Without --data: users of the world.")] = None,
    items: Annotated[int | None, typer.Option(help="Without --data: videos of the world.")] = None,
    events: Annotated[int | None, typer.Option(help="Without --data: rows of its past.")] = None,
    rate: Annotated[float, typer.Option(min=0.01, help="Lists asked for per second.")] = 20.0,
    speed: Annotated[float, typer.Option(min=0.001, help="World seconds per second.")] = 2_880.0,
    from_day: Annotated[
        float | None, typer.Option(min=0, help="World time at the beginning, in days; its last moment.")
    ] = None,
    new: Annotated[float, typer.Option(min=0, max=1, help="Share of sessions of new users.")] = 0.1,
    anonymous: Annotated[float, typer.Option(min=0, max=1, help="Share of nameless sessions.")] = 0.05,
    top_n: Annotated[int, typer.Option(min=1, max=100, help="Videos per list.")] = 10,
    timeout: Annotated[float, typer.Option(min=0.01, help="Seconds until an answer is late.")] = 10.0,
    play_seed: Annotated[int, typer.Option(min=0, help="Of arrivals and reactions.")] = 0,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="How long; until Ctrl-C.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for live.json, timeline.parquet, arms_met.parquet.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one line of JSON.")] = False,
) -> None:
    """Play the world behind the service's data against it: ask, look, react, tell; count per arm."""
    console = Console(stderr=True)
    try:
        settings = LiveSettings(
            population=PopulationSettings(
                rate_per_s=rate, speed=speed, from_day=from_day, new_share=new, anonymous_share=anonymous
            ),
            seed=play_seed,
            top_n=top_n,
            timeout_s=timeout,
        )
        with console.status("drawing the world"):
            world = _world(data, scenario, seed, users, items, events)
        run_id = f"{int(unix_clock() * 1e3):x}"
        with live_view(console) as view:
            result = run_loop(_stoppable(world, url, settings, run_id, seconds, view.show))
    except ValidationError as error:
        raise _unusable(str(error.errors()[0]["msg"])) from error
    except RecsysError as error:
        raise _unusable(str(error)) from error
    begins_s = Population(world, settings.population, seed=play_seed, run_id=run_id).begins_s
    scale = watch_scale(world, top_n, begins_s)
    if as_json:
        typer.echo(orjson.dumps({**result.summary(), "scale": asdict(scale)}))
    else:
        shown = Console()
        print_result(result, scale, shown if shown.is_terminal else Console(width=_WIDTH))
    if out is not None:  # last: what was printed is safe
        try:
            _write(result, out)
        except RecsysError as error:
            raise _unusable(str(error)) from error
    raise typer.Exit(exit_code_of(result))


def exit_code_of(result: LiveResult) -> int:
    """Return the verdict as an exit code."""
    if not result.n_answers:
        return UNUSABLE
    return FAILED if result.n_failed else PASSED


def _world(
    data: Path | None, scenario: str, seed: int, users: int | None, items: int | None, events: int | None
) -> World:
    if data is None:
        return make_world(scenario_named(scenario, n_users=users, n_items=items, n_events=events), seed)
    if (users, items, events) != (None, None, None):
        raise FieldError("--users, --items, --events", "with --data", "one or the other: the data says it")
    return world_of(data)


async def _stoppable(
    world: World, url: str, settings: LiveSettings, run_id: str, seconds: float | None, look: Look
) -> LiveResult:
    stop = asyncio.Event()
    with _interrupts_to(stop):
        return await play(world, url, settings, run_id=run_id, seconds=seconds, stop=stop, look=look)


@contextmanager
def _interrupts_to(stop: asyncio.Event) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM set an event, so that the report is not lost."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _write(result: LiveResult, out: Path) -> None:
    """Write the summary, the time line, and who met which arm when."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "live.json").write_bytes(orjson.dumps(result.summary(), option=orjson.OPT_INDENT_2) + b"\n")
        pl.DataFrame([asdict(second) for second in result.seconds], infer_schema_length=None).write_parquet(
            out / "timeline.parquet"
        )
        steps = [(user_id, step.at_s, step.arm) for user_id, path in result.paths.items() for step in path]
        pl.DataFrame(
            steps, {"user_id": pl.String, "at_s": pl.Float64, "arm": pl.String}, orient="row"
        ).write_parquet(out / "arms_met.parquet")
    except OSError as error:
        raise FieldError("--out", f"{out} ({error.strerror})", "a place that can be written") from error


def _unusable(sentence: str) -> typer.Exit:
    typer.echo(f"marquee live: {sentence}", err=True)
    return typer.Exit(UNUSABLE)
