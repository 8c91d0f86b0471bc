"""``marquee catalogue``: what has become of items since the bundles that are served were made."""

import sys
from pathlib import Path
from typing import Annotated

import orjson
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from recsys.cli.places import RegistryOption, StateOption
from recsys.core.clock import unix_clock
from recsys.core.errors import DataFormatError, NotFoundError, UnavailableError
from recsys.core.settings import first_fault
from recsys.overlay.change import ItemChange
from recsys.overlay.open import open_overlay
from recsys.overlay.overlay import NOTHING, Overlay, Put
from recsys.overlay.store import PART
from recsys.pipeline.catalogue import Catalogue
from recsys.pipeline.overlaid import told_alike
from recsys.registry.channels import CHANNELS
from recsys.registry.open import open_registry
from recsys.registry.reader import open_bundle

app = typer.Typer(no_args_is_help=True, help="Change items under the running service.")

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@app.command()
def put(
    file: Annotated[Path, typer.Argument(help="Lines of JSON, an item each; - reads standard input.")],
    *,
    state: StateOption,
    as_json: JsonOption = False,
) -> None:
    """Make items known, or change them: each line is an item as it is from now on."""
    raw = sys.stdin.buffer.read() if str(file) == "-" else _read(file)
    changes = [
        _change(line, file, number) for number, line in enumerate(raw.splitlines(), start=1) if line.strip()
    ]
    _tell(_put(state, changes), as_json=as_json)


@app.command()
def remove(
    item_ids: Annotated[list[str], typer.Argument(help="Items that are gone.")],
    *,
    state: StateOption,
    as_json: JsonOption = False,
) -> None:
    """Take items out of all lists."""
    changes = [ItemChange(item_id=item_id, available=False) for item_id in item_ids]
    _tell(_put(state, changes), as_json=as_json)


@app.command()
def show(*, state: StateOption, as_json: JsonOption = False) -> None:
    """Print what the overlay holds."""
    overlay = _overlay(state)
    items = sorted(overlay.items.values(), key=lambda item: -item.version)
    if as_json:
        told = [item.change.model_dump(exclude_none=True) | {"version": item.version} for item in items]
        typer.echo(orjson.dumps({"version": overlay.version, "items": told}))
        return
    table = Table("item", "title", "tags", "state", "version")
    for item in items:
        there = "there" if item.change.available else "gone"
        tags = ", ".join(item.change.tags)
        table.add_row(item.change.item_id, item.change.title or "", tags, there, str(item.version))
    Console().print(table)


@app.command()
def prune(*, registry: RegistryOption, state: StateOption, as_json: JsonOption = False) -> None:
    """Forget what every bundle in a channel says as well: a later training has taken it over."""
    bundles = open_registry(registry)
    channels = bundles.channels()
    names = {name for channel in CHANNELS if (name := channels.named_by(channel)) is not None}
    if not names:
        raise NotFoundError("bundle in a channel of", registry)
    overlay = _overlay(state)
    known = set(overlay.items)
    for name in names:
        known &= told_alike(Catalogue.load(open_bundle(bundles.get(name), feature_schema=None)), overlay)
    with open_overlay(state) as store:
        n_removed = store.remove(known) if known else 0
    if as_json:
        typer.echo(orjson.dumps({"bundles": sorted(names), "removed": n_removed}))
    else:
        Console().print(
            f"{n_removed:,} of {len(overlay.items):,} items forgotten: bundles say the same of them"
        )


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise NotFoundError("file", str(file)) from error


def _change(line: bytes, file: Path, number: int) -> ItemChange:
    try:
        return ItemChange.model_validate_json(line, strict=True)
    except ValidationError as error:
        found = f"line {number}: {first_fault(error, 'item')}"
        raise DataFormatError(file, "an item as JSON in every line", found) from error


def _put(state: str, changes: list[ItemChange]) -> list[Put]:
    now_s = unix_clock()
    with open_overlay(state) as store:
        fates = store.put([change.dated(now_s) for change in changes], [now_s] * len(changes))
    if Put.FULL in fates:
        raise UnavailableError(
            PART, f"full: {fates.count(Put.FULL)} items left out; marquee catalogue prune makes room"
        )
    return fates


def _tell(fates: list[Put], *, as_json: bool) -> None:
    counts = {fate.value: fates.count(fate) for fate in Put if fates.count(fate)}
    if as_json:
        typer.echo(orjson.dumps(counts))
    else:
        Console().print(", ".join(f"{count:,} {fate}" for fate, count in counts.items()) or "nothing to do")


def _overlay(state: str) -> Overlay:
    with open_overlay(state) as store:
        return store.read(NOTHING)
