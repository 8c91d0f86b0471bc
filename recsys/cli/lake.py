"""``marquee lake``: bring things in, look at the tables, keep them tidy."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from recsys.cli.data_source import data_source
from recsys.cli.places import LakeOption
from recsys.core.clock import unix_clock
from recsys.data.badrows import OnBadRow
from recsys.eventlog.reader import Damage
from recsys.eventlog.segment import segment_paths
from recsys.lake.open import open_lake

if TYPE_CHECKING:
    from recsys.lake.lake import Lake

app = typer.Typer(no_args_is_help=True, help="Delta tables of events, exposures and the catalogue.")

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@app.command("import")
def import_folder(
    source: Annotated[Path, typer.Argument(help="A data set, an event log, or with --exposures those.")],
    *,
    lake: LakeOption,
    exposures: Annotated[bool, typer.Option("--exposures", help="SOURCE holds exposures.")] = False,
    on_bad_row: Annotated[OnBadRow, typer.Option(help="What to do about rows that cannot be read.")] = (
        OnBadRow.FAIL
    ),
    as_json: JsonOption = False,
) -> None:
    """Bring a folder in; again, or after it was cut off, only what is not there yet comes in."""
    opened = open_lake(lake, make=True)
    from recsys.lake import importing  # noqa: PLC0415 - an extra: only who asks needs it

    if exposures:
        done = importing.import_exposures(opened, source)
    elif segment_paths(source):
        done = importing.import_log(opened, source, on_damage=_say)
    else:
        loaded = data_source(source).load(on_bad_row=on_bad_row, now_s=unix_clock())
        done = importing.import_dataset(opened, loaded.dataset)
    if as_json:
        typer.echo(orjson.dumps(done._asdict()))
        return
    new = ", ".join(f"{n:,} {what}" for what, n in done._asdict().items() if n) or "nothing"
    typer.echo(f"{lake}: new: {new}")


@app.command()
def show(*, lake: LakeOption, as_json: JsonOption = False) -> None:
    """Say of each table its version, rows, files, bytes and days."""
    opened = open_lake(lake)
    facts = {name: _facts(opened, name, version) for name, version in opened.versions().items()}
    if as_json:
        typer.echo(orjson.dumps(facts))
        return
    table = Table("table", "version", "rows", "files", "bytes", "days", "from", "to")
    for name, found in facts.items():
        table.add_row(name, *("" if value is None else str(value) for value in found.values()))
    Console().print(table)


@app.command()
def compact(*, lake: LakeOption, as_json: JsonOption = False) -> None:
    """Put small files together; the old ones stay for older versions until vacuum."""
    for name, done in (found := open_lake(lake).compact()).items():
        if not as_json:
            typer.echo(f"{name}: {done['removed']:,} files became {done['added']:,}")
    if as_json:
        typer.echo(orjson.dumps(found))


@app.command()
def vacuum(
    *,
    lake: LakeOption,
    keep_days: Annotated[
        float | None,
        typer.Option(min=0, show_default="30", help="Versions of these days can still be read."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Delete files that only older versions need, and what killed writers left; then write a checkpoint."""
    found = open_lake(lake).vacuum(keep_days=keep_days)
    if as_json:
        typer.echo(orjson.dumps(found))
        return
    for name, n_files in found.items():
        typer.echo(f"{name}: {n_files:,} files deleted")


def _facts(opened: "Lake", name: str, version: int) -> dict[str, int | str | None]:
    files = opened.files(name)
    days = files["day"].drop_nulls()
    first, last = days.min(), days.max()
    return {
        "version": version,
        "rows": int(files["n_rows"].sum()),
        "files": files.height,
        "bytes": int(files["n_bytes"].sum()),
        "days": days.n_unique(),
        "from": None if first is None else str(first),
        "to": None if last is None else str(last),
    }


def _say(damage: Damage) -> None:
    typer.echo(f"marquee: {damage}", err=True)
