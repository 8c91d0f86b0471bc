"""``marquee tune``: search the settings of a training, and publish what is found."""

import importlib
import importlib.util
from pathlib import Path
from typing import Annotated, Any, TypeVar

import orjson
import typer

from recsys.cli.places import RegistryOption
from recsys.cli.tracked import TrackOption, telling
from recsys.core.clock import unix_clock
from recsys.core.errors import FieldError, UnavailableError
from recsys.data.badrows import OnBadRow
from recsys.registry.channels import Channel
from recsys.registry.open import open_registry
from recsys.tracking.open import AUTO
from tuning.objectives import Objective

app = typer.Typer(pretty_exceptions_enable=False)

_NEEDED = ("optuna", "ray", "pandas", "matplotlib")
_INTERRUPTED = 130  # what a shell says of Ctrl-C

Given = TypeVar("Given")


@app.command(name="tune")
def main(
    *,
    data: Annotated[str | None, typer.Option(help="A data set: ours, MovieLens or KuaiRand.")] = None,
    sweep: Annotated[str, typer.Option(help="quick, standard, thorough, or a TOML file.")] = "standard",
    out: Annotated[Path | None, typer.Option(help="A new folder for journal, report and choice.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the sweep in this folder.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="In all steps, not the sweep's.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0.01, help="Of search, not the sweep's.")] = None,
    concurrent: Annotated[int | None, typer.Option(min=1, help="Trials side by side, a core each.")] = None,
    address: Annotated[
        str | None, typer.Option(help="A Ray cluster: auto or host:port; one of its own when absent.")
    ] = None,
    prefer: Annotated[Objective | None, typer.Option(help="Choose by this; else by the first.")] = None,
    max_latency_ms: Annotated[
        float | None, typer.Option(min=0.0, help="Choose among trials that answer within this.")
    ] = None,
    registry: RegistryOption,
    channel: Annotated[Channel | None, typer.Option(help="Let this channel name the new bundle.")] = None,
    refit: Annotated[bool, typer.Option(help="Measure on the test, train on all data, publish.")] = True,
    on_bad_row: Annotated[OnBadRow, typer.Option(help="What to do about rows that cannot be read.")] = (
        OnBadRow.FAIL
    ),
    track: TrackOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON for machines.")] = False,
) -> None:
    """Search settings with Ray Tune and Optuna; report, refit and publish the best."""
    command = _command()
    limits = command.Limits(trials, minutes, concurrent)
    ending = command.Ending(open_registry(registry), registry, channel, refit)
    if resume is not None:
        place = command.resume(resume, data, limits)
    else:
        place = command.begin(_given("--data", data), sweep, _given("--out", out), limits)
    wish = command.Wish(prefer, max_latency_ms)
    to = f" --track {track}" if track == AUTO else " --track URI"
    later = f"marquee tune --resume {place.folder}{to}"
    now_s = unix_clock()
    try:
        with telling(track, later=later) as tell:
            report = command.tune(
                place, wish, ending, address=address, on_bad_row=on_bad_row, now_s=now_s, tell=tell
            )
    except KeyboardInterrupt as error:
        folder = place.folder
        typer.echo(f"stopped; every finished trial is kept. Go on: marquee tune --resume {folder}", err=True)
        raise typer.Exit(_INTERRUPTED) from error
    summary = importlib.import_module("tuning.summary")
    facts = summary.facts_of(report, place.folder)
    typer.echo(orjson.dumps(facts) if as_json else summary.sentence_of(facts))


def _given(option: str, path: Given | None) -> Given:
    if path is None:
        raise FieldError(option, "nothing", "a folder (or --resume FOLDER)")
    return path


def _command() -> Any:  # noqa: ANN401 - a module
    """Import what does the work; without the extra, everything but this command runs."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UnavailableError(
            "tuning", f"{', '.join(missing)} is missing; pip install 'marquee-recsys[tune]'"
        )
    return importlib.import_module("tuning.command")
