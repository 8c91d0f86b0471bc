"""``marquee data``: look at a data set, check it, bring one's own, turn it into Marquee's format."""

import importlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.status import Status

from recsys.cli.data_source import data_source
from recsys.cli.data_tables import print_description, print_findings, print_report
from recsys.cli.simulate import simulate
from recsys.core.clock import unix_clock
from recsys.core.errors import FieldError, UnavailableError
from recsys.data import folder, mapped, sequence
from recsys.data.badrows import OnBadRow
from recsys.data.columns import TimeUnit
from recsys.data.describe import describe as describe_dataset
from recsys.data.loaded import Loaded
from recsys.data.quality import check_protocols, check_quality
from recsys.data.schema import Dataset, Kind

app = typer.Typer(no_args_is_help=True, help="Data sets: describe, check, import, convert, simulate.")

DataPath = Annotated[
    str, typer.Argument(help="Folder of a data set: Marquee, MovieLens, KuaiRand; or a lake.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
BadRows = Annotated[
    OnBadRow, typer.Option("--on-bad-row", help="Stop, or go on without them; both count them.")
]
ReportFile = Annotated[
    Path | None, typer.Option("--report", help="Write the account of bad rows here as JSON.")
]


class ImportFormat(StrEnum):
    """How foreign interactions are laid out."""

    TABLE = "table"
    SEQUENCE = "sequence"


@app.command()
def describe(
    path: DataPath,
    *,
    as_json: AsJson = False,
    plots: Annotated[Path | None, typer.Option(help="Folder for PNG plots.")] = None,
    on_bad_row: BadRows = OnBadRow.SKIP,
) -> None:
    """Print and plot what a data set is like."""
    now_s = unix_clock()
    loaded = _load(path, on_bad_row, now_s, None)
    with _working("describing"):
        description = describe_dataset(loaded.dataset, now_s=now_s)
        files = [] if plots is None else _draw(loaded.dataset, plots)
    if as_json:
        rows = loaded.report.to_dict()
        _print_json({**description.to_dict(), "rows": rows, "plots": [str(file) for file in files]})
        return
    print_description(description)
    print_findings(description.findings)
    print_report(loaded.report)
    for file in files:
        typer.echo(file)


@app.command()
def check(
    path: DataPath,
    *,
    as_json: AsJson = False,
    report: ReportFile = None,
    on_bad_row: BadRows = OnBadRow.SKIP,
) -> None:
    """Look for what spoils learning: bad rows, repeats, time travel, unknown items, leaks of the splits."""
    now_s = unix_clock()
    loaded = _load(path, on_bad_row, now_s, report)
    with _working("checking"):
        findings = check_quality(loaded.dataset, now_s=now_s)
        leaks = check_protocols(loaded.dataset)
    if as_json:
        _print_json({"findings": findings, "leakage": leaks, "rows": loaded.report.to_dict()})
        return
    print_findings(findings)
    for protocol, found in leaks.items():
        print_findings(found, title=f"leakage under {protocol}")
    print_report(loaded.report)


@app.command("import")
def import_tables(
    *,
    interactions: Annotated[
        Path, typer.Option(help="CSV or Parquet: who met what, and when. Or lines, see --format.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write; a data set there is replaced.")],
    layout: Annotated[
        ImportFormat,
        typer.Option("--format", help="sequence: lines of 'user item', in time order, without times."),
    ] = ImportFormat.TABLE,
    items: Annotated[Path | None, typer.Option(help="CSV or Parquet: the catalogue.")] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--map", metavar="OURS=THEIRS", help="user_id=uid; items.item_id=id for the catalogue alone."
        ),
    ] = None,
    kinds: Annotated[
        list[str] | None, typer.Option("--kind-map", metavar="THEIRS=KIND", help="For example 1=click.")
    ] = None,
    kind: Annotated[Kind, typer.Option(help="What a row is when there is no column for it.")] = Kind.WATCH,
    time_unit: Annotated[TimeUnit | None, typer.Option(help="Of all times; by default found out.")] = None,
    tags_separator: Annotated[
        str | None, typer.Option(help="Between tags that are one text; by default |.")
    ] = None,
    separator: Annotated[str | None, typer.Option(help="Between CSV values; by default a comma.")] = None,
    name: Annotated[str | None, typer.Option(help="Of the data set.")] = None,
    on_bad_row: BadRows = OnBadRow.FAIL,
    report: ReportFile = None,
    as_json: AsJson = False,
) -> None:
    """Turn any two tables, or lines of a user and an item, into a data set of Marquee's format."""
    read: Callable[..., Loaded]
    if layout is ImportFormat.SEQUENCE:
        _refuse(
            {
                "--items": items,
                "--map": columns,
                "--kind-map": kinds,
                "--time-unit": time_unit,
                "--tags-separator": tags_separator,
                "--separator": separator,
            }
        )
        read = partial(sequence.load, interactions, kind=kind)
    else:
        config = mapped.MappingConfig(
            columns=_pairs("map", columns),
            kinds={word: _kind(each) for word, each in _pairs("kind-map", kinds).items()},
            kind=kind,
            time_unit=time_unit,
            tags_separator="|" if tags_separator is None else tags_separator,
            separator=separator,
        )
        read = partial(mapped.load, interactions, items, config=config)
    with _working("reading"):
        loaded = read(on_bad_row=OnBadRow.SKIP, now_s=unix_clock(), name=name)
    _account(loaded, on_bad_row, report)
    _save(loaded, out, as_json=as_json)


@app.command()
def convert(
    path: DataPath,
    *,
    out: Annotated[Path, typer.Option(help="Folder to write; a data set there is replaced.")],
    on_bad_row: BadRows = OnBadRow.FAIL,
    report: ReportFile = None,
    as_json: AsJson = False,
) -> None:
    """Write a known data set in Marquee's format."""
    _save(_load(path, on_bad_row, unix_clock(), report), out, as_json=as_json)


app.command("simulate")(simulate)


def _load(path: str, on_bad_row: OnBadRow, now_s: float, report: Path | None) -> Loaded:
    with _working("reading"):
        loaded = data_source(path).load(on_bad_row=OnBadRow.SKIP, now_s=now_s)
    _account(loaded, on_bad_row, report)
    return loaded


def _account(loaded: Loaded, on_bad_row: OnBadRow, report: Path | None) -> None:
    """Write the account first, then fail if asked to: who has bad rows wants to see them."""
    if report is not None:
        with _writes("--report", report):
            loaded.report.write(report)
    if on_bad_row is OnBadRow.FAIL:
        loaded.report.raise_if_bad()


def _save(loaded: Loaded, out: Path, *, as_json: bool) -> None:
    dataset = loaded.dataset
    with _working("writing"), _writes("--out", out):
        folder.save_dataset(dataset, out)
    if as_json:
        sizes = {"n_interactions": dataset.interactions.height, "n_items": dataset.items.height}
        _print_json({"path": str(out), **sizes, "rows": loaded.report.to_dict()})
        return
    print_report(loaded.report)
    typer.echo(f"{out}: {dataset.interactions.height:,} interactions, {dataset.items.height:,} items")


def _draw(dataset: Dataset, target: Path) -> list[Path]:
    if importlib.util.find_spec("matplotlib") is None:
        raise UnavailableError("plotting", "matplotlib is missing; pip install 'marquee-recsys[plots]'")
    draw: Callable[[Dataset, Path], list[Path]] = importlib.import_module("recsys.data.plots").draw
    with _writes("--plots", target):
        return draw(dataset, target)


def _refuse(options: Mapping[str, object]) -> None:
    """Refuse options that speak of tables, rather than leave them unheard."""
    for option, value in options.items():
        if value:
            raise FieldError(option, "it with --format sequence", "it with tables alone")


def _pairs(option: str, texts: Sequence[str] | None) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts or ():
        left, equals, right = text.partition("=")
        if not (left and equals and right):
            raise FieldError(f"--{option}", repr(text), "NAME=NAME")
        if left in pairs:
            raise FieldError(f"--{option}", f"{left!r} twice", "each name once")
        pairs[left] = right
    return pairs


def _kind(text: str) -> Kind:
    try:
        return Kind(text)
    except ValueError as error:
        raise FieldError("--kind-map", repr(text), f"one of {', '.join(Kind)}") from error


@contextmanager
def _writes(option: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FieldError(option, f"{path} ({error.strerror})", "a place that can be written") from error


def _working(what: str) -> Status:
    """Show on a terminal that something goes on; silent elsewhere."""
    return Console(stderr=True).status(f"{what} ...")


def _print_json(value: object) -> None:
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
