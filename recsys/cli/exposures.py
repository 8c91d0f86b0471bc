"""``marquee exposures``: look at what was served, and forget those who asked for it."""

import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import orjson
import polars as pl
import typer
from rich.console import Console
from rich.table import Table

from recsys.cli.places import EventsOption, ExposuresOption
from recsys.core.clock import SECONDS_PER_HOUR, unix_clock
from recsys.core.errors import DataFormatError
from recsys.core.pseudonyms import Pseudonyms
from recsys.eventlog.exposure import impressions, key_for
from recsys.eventlog.exposure_reader import forget_exposures, scan_exposures
from recsys.eventlog.reader import read_erasures

app = typer.Typer(no_args_is_help=True, help="What was served, to learn from.")

_POLL_S = 2.0
_LOOK_BACK_S = 120.0  # files come late by their age and hold what was served before
_Which = tuple[float, str]
_BY = ("arm", "bundle", "call", "source")
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@app.command()
def show(
    *,
    folder: ExposuresOption,
    hours: Annotated[float, typer.Option(min=0, help="How far to look back.")] = 24.0,
    as_json: JsonOption = False,
) -> None:
    """Count what was served: answers and items by arm, bundle, call and source."""
    since_s = unix_clock() - hours * SECONDS_PER_HOUR
    answers = _scan(folder, since_s).collect()
    items = impressions(answers.lazy()).collect()
    counts = {
        by: dict(Counter((items if by == "source" else answers)[by].to_list()).most_common()) for by in _BY
    }
    summary = {
        "answers": answers.height,
        "items": items.height,
        "users": answers["user_pseudonym"].drop_nulls().n_unique(),
        "cached": int(answers["cached"].sum()),
        "degraded": answers.filter(pl.col("degraded").list.len() > 0).height,
        "explored": answers["explored_rank"].drop_nulls().len(),
        "by": counts,
    }
    if as_json:
        typer.echo(orjson.dumps(summary))
        return
    table = Table("what", "which", "how many")
    for what in ("answers", "items", "users", "cached", "degraded", "explored"):
        table.add_row(what, "", f"{summary[what]:,}")
    for by, found in counts.items():
        for which, count in found.items():
            table.add_row(f"{'items' if by == 'source' else 'answers'} by {by}", str(which), f"{count:,}")
    Console().print(table)


@app.command()
def tail(
    *,
    folder: ExposuresOption,
    n: Annotated[int, typer.Option("-n", min=0, help="Answers to begin with.")] = 10,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print the latest answers, one per line; they come some seconds late, when their file is written."""
    recent = _scan(folder, unix_clock() - _LOOK_BACK_S).collect()
    printed = _which(recent)  # those that -n leaves out are not printed later either
    _print(_scan(folder, 0.0).sort("served_at_s").tail(n).collect(), set(), as_json)
    try:
        while follow:
            time.sleep(_POLL_S)
            new = _scan(folder, unix_clock() - _LOOK_BACK_S).sort("served_at_s").collect()
            _print(new, printed, as_json)
            printed = _which(new)
    except KeyboardInterrupt:
        return


@app.command()
def forget(
    *,
    folder: ExposuresOption,
    events: EventsOption,
    key: Annotated[Path | None, typer.Option(help="The key of the pseudonyms; beside the folder.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Remove what was served to users who asked to be forgotten. Run it daily: it may be repeated."""
    path = key or key_for(folder)
    if not path.is_file():
        raise DataFormatError(path, "the key of the pseudonyms", "no such file")
    pseudonyms = Pseudonyms.of_file(path)
    erasures = read_erasures(events)
    erased_at_s = {name: at_s for user, at_s in erasures.items() for name in pseudonyms.all_of(user)}
    n_forgotten = forget_exposures(folder, erased_at_s)
    if as_json:
        typer.echo(orjson.dumps({"users": len(erasures), "answers": n_forgotten}))
    else:
        typer.echo(f"{n_forgotten:,} answers to {len(erasures):,} users forgotten")


def _scan(folder: Path, since_s: float) -> pl.LazyFrame:
    if not folder.is_dir():
        raise DataFormatError(folder, "a folder of exposures", "no such folder")
    return scan_exposures(folder, since_s=since_s)


def _which(answers: pl.DataFrame) -> set[_Which]:
    return set(answers.select("served_at_s", "request_id").iter_rows())


def _print(answers: pl.DataFrame, printed: set[_Which], as_json: bool) -> None:
    """Print the answers that are not among ``printed``."""
    for row in answers.iter_rows(named=True):
        if (row["served_at_s"], row["request_id"]) in printed:
            continue
        if as_json:
            typer.echo(orjson.dumps(row))
        else:
            who = (row["user_pseudonym"] or "nobody")[:8]
            missing = f" without {', '.join(row['degraded'])}" if row["degraded"] else ""
            typer.echo(
                f"{row['served_at_s']:.3f} {row['arm']} {row['bundle'][:8]} to {who}: "
                f"{' '.join(row['item_ids'])}{missing}"
            )
