"""Marquee's own format: a folder with three things in it.

They are ``interactions.parquet`` (or ``interactions/*.parquet``), ``items.parquet`` and ``dataset.json``.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import polars as pl

from recsys.core.durable import sync_file
from recsys.core.errors import DataFormatError
from recsys.data.badrows import BadRowCollector, OnBadRow
from recsys.data.columns import TimeUnit, identifier, kind, moment, number, parse_rows, tags, text, truth
from recsys.data.loaded import Loaded, finish
from recsys.data.repeats import without_repeated_ids
from recsys.data.schema import Dataset, Kind
from recsys.data.tables import read_table

DESCRIPTION = "dataset.json"
ITEMS_FILE = "items.parquet"
INTERACTIONS_FILE = "interactions.parquet"
INTERACTIONS_FOLDER = "interactions"


def interaction_files(path: Path) -> list[Path]:
    """Return the files that hold the interactions, in order; none when the folder has none."""
    single = path / INTERACTIONS_FILE
    return [single] if single.is_file() else sorted((path / INTERACTIONS_FOLDER).glob("*.parquet"))


def load(path: Path, *, on_bad_row: OnBadRow, now_s: float) -> Loaded:
    """Read a folder of ours; other programs may have written it, so every row is checked.

    Args:
        path: the folder.
        on_bad_row: raise or go on.
        now_s: Unix time; interactions from more than a day later are bad rows.

    Raises:
        DataFormatError: a file is missing or unreadable, or lacks a column.
        BadRowsError: rows were bad and ``on_bad_row`` is ``fail``.
    """
    files = interaction_files(path)
    if not files:
        looked_for = f"{INTERACTIONS_FILE} or {INTERACTIONS_FOLDER}/*.parquet"
        raise DataFormatError(path, looked_for, "neither" if path.is_dir() else "no folder")
    collector = BadRowCollector()
    parts = [read_interactions(path, file, now_s, collector) for file in files]
    items = read_items(path, collector)
    return finish(_name(path), pl.concat(parts, how="diagonal"), items, collector, on_bad_row)


def save_dataset(dataset: Dataset, folder: Path) -> None:
    """Write a data set; the folder is there whole or not at all, and one of ours is replaced.

    Raises:
        DataFormatError: something else lies at ``folder``.
    """
    with whole_folder(folder) as temporary:
        dataset.interactions.write_parquet(temporary / INTERACTIONS_FILE)
        dataset.items.write_parquet(temporary / ITEMS_FILE)
        write_description(
            temporary,
            dataset.name,
            n_interactions=dataset.interactions.height,
            n_items=dataset.items.height,
        )


def write_description(folder: Path, name: str, *, n_interactions: int, n_items: int) -> None:
    """Write ``dataset.json``: what a folder is, for people and for :func:`recsys.data.formats.detect`."""
    described = {
        "format": "marquee-dataset",
        "version": 1,
        "name": name,
        "n_interactions": n_interactions,
        "n_items": n_items,
    }
    (folder / DESCRIPTION).write_bytes(orjson.dumps(described, option=orjson.OPT_INDENT_2) + b"\n")


@contextmanager
def whole_folder(folder: Path, *, description: str = DESCRIPTION, kind: str = "a data set") -> Iterator[Path]:
    """Give a temporary folder that takes the place of ``folder`` at the end, and is removed after an error.

    Args:
        folder: what there will be.
        description: the file by which one of that kind is known; only such a one is replaced.
        kind: what errors call it.

    Raises:
        DataFormatError: something other than an empty folder or one of that kind lies at ``folder``.
    """
    if folder.exists() and not _replaceable(folder, description):
        raise DataFormatError(folder, f"nothing, an empty folder, or {kind} to replace", "something else")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.new")
    temporary.mkdir()
    try:
        yield temporary
        for file in temporary.rglob("*"):
            sync_file(file)
        _swap(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _replaceable(folder: Path, description: str) -> bool:
    return folder.is_dir() and ((folder / description).is_file() or not any(folder.iterdir()))


def _swap(temporary: Path, folder: Path) -> None:
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    if folder.exists():
        folder.rename(old)
    temporary.rename(folder)
    sync_file(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def read_interactions(
    path: Path, file: Path, now_s: float, collector: BadRowCollector, *, rows: slice | None = None
) -> pl.DataFrame:
    """Read one file of a folder, or some rows of it: those columns of INTERACTIONS that it has, and ROW.

    Args:
        path: the folder.
        file: one of :func:`interaction_files`.
        now_s: Unix time; interactions from more than a day later are bad rows.
        collector: the bad rows.
        rows: which (no step); by default all.

    Raises:
        DataFormatError: the file is unreadable, or lacks a column.
    """
    needed = ("user_id", "item_id", "kind", "time_s")
    raw = read_table(file, needed, collector, optional=("value", "context"), rows=rows)
    columns = [
        identifier("user_id", "user_id"),
        identifier("item_id", "item_id"),
        kind("kind", "kind", {each.value: each for each in Kind}),
        moment("time_s", "time_s", TimeUnit.S, now_s=now_s),
    ]
    if "value" in raw.columns:
        columns.append(number("value", "value"))
    if "context" in raw.columns:
        columns.append(text("context", "context"))
    return parse_rows(raw, columns, str(file.relative_to(path)), collector)


def read_items(path: Path, collector: BadRowCollector) -> pl.DataFrame:
    """Read the catalogue of a folder: those columns of ITEMS that it has, and ROW.

    Raises:
        DataFormatError: the file is unreadable, or has no column ``item_id``.
    """
    file = path / ITEMS_FILE
    makers = {
        "title": text("title", "title"),
        "tags": tags("tags", "tags", "|"),
        "creator_id": text("creator_id", "creator_id"),
        "duration_s": number("duration_s", "duration_s", low=0.0),
        "published_s": moment("published_s", "published_s", TimeUnit.S, now_s=None, required=False, low=None),
        "cost": number("cost", "cost"),
        "available": truth("available", "available"),
    }
    raw = read_table(file, ("item_id",), collector, optional=tuple(makers))
    columns = [identifier("item_id", "item_id"), *(makers[name] for name in raw.columns if name in makers)]
    return without_repeated_ids(parse_rows(raw, columns, file.name, collector), file.name, collector)


def _name(path: Path) -> str:
    try:
        described = orjson.loads((path / DESCRIPTION).read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise DataFormatError(path / DESCRIPTION, "a JSON object with a name", str(error)) from error
    name = described.get("name") if isinstance(described, dict) else None
    if not isinstance(name, str):
        raise DataFormatError(path / DESCRIPTION, "a JSON object with a name", "something else")
    return name
