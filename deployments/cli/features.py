"""``marquee features``: features of all users and items as tables, here or on a Ray cluster."""

import importlib
import importlib.util
import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import orjson
import typer

from recsys.cli.data_source import LakeVersionOption, data_source
from recsys.cli.progress import steps_shown
from recsys.core.clock import unix_clock
from recsys.core.errors import FieldError, UnavailableError
from recsys.data.badrows import OnBadRow
from recsys.features.build import ROWS_PER_PARTITION, Executor, Here, build
from recsys.features.sources import source_of

app = typer.Typer(no_args_is_help=True, help="Features of users and items, as tables.")

_NEEDED = ("ray", "pandas", "pyarrow")
_INTERRUPTED = 130  # what a shell says of Ctrl-C


class ExecutorName(StrEnum):
    """What runs the tasks."""

    POLARS = "polars"
    RAY = "ray"


@app.callback()
def features() -> None:
    """Features of users and items, as tables."""


@app.command("build")
def build_features(
    *,
    data: Annotated[str, typer.Option(help="A data set in Marquee's own format, or a lake.")],
    out: Annotated[Path, typer.Option(help="A folder; one of features is replaced.")],
    executor: Annotated[
        ExecutorName, typer.Option(help="polars: this process; ray: Ray Data.")
    ] = ExecutorName.POLARS,
    workers: Annotated[
        int | None, typer.Option(min=1, show_default="cores of this machine", help="Of ray, a core each.")
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="A Ray cluster that sees both folders: auto or host:port; our own when absent."),
    ] = None,
    rows_per_partition: Annotated[
        int, typer.Option(min=1, help="Rows that a task holds at a time, about.")
    ] = ROWS_PER_PARTITION,
    lake_version: LakeVersionOption = None,
    on_bad_row: Annotated[OnBadRow, typer.Option(help="What to do about rows that cannot be read.")] = (
        OnBadRow.FAIL
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON for machines.")] = False,
) -> None:
    """Write every user's features at each of their choices, and the plays of every item hour by hour."""
    if executor is ExecutorName.POLARS and (workers is not None or address is not None):
        given = "--workers" if workers is not None else "--address"
        raise FieldError(given, "--executor polars", "--executor ray with it")
    versions = data_source(data, lake_version).lake_versions
    source = source_of(data, on_bad_row=on_bad_row, now_s=unix_clock(), lake_versions=versions)
    try:
        with _executor(executor, workers, address) as runs, steps_shown() as on_step:
            built = build(source, out, runs, rows_per_partition=rows_per_partition, on_step=on_step)
    except KeyboardInterrupt as error:
        typer.echo(f"stopped; {out} is as it was before", err=True)
        raise typer.Exit(_INTERRUPTED) from error
    if as_json:
        typer.echo(orjson.dumps({"out": str(out), **asdict(built)}))
        return
    bad = f", {built.n_bad:,} bad rows left out" if built.n_bad else ""
    typer.echo(
        f"{out}: {built.n_choices:,} choices of {built.n_users:,} users, "
        f"{built.n_item_rows:,} changes of items, of {built.n_rows_read:,} rows{bad}"
    )


def _executor(
    name: ExecutorName, workers: int | None, address: str | None
) -> AbstractContextManager[Executor]:
    if name is ExecutorName.POLARS:
        return nullcontext(Here())
    missing = [each for each in _NEEDED if importlib.util.find_spec(each) is None]
    if missing:
        why = f"{', '.join(missing)} not installed; pip install 'marquee-recsys[features]'"
        raise UnavailableError("--executor ray", why)
    ray_data = importlib.import_module("deployments.features.ray_data")
    runs: AbstractContextManager[Executor] = ray_data.RayData(workers or os.cpu_count() or 1, address)
    return runs
