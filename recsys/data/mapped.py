"""Any two tables: interactions and, if there is one, a catalogue, whose columns are named by a mapping."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
from pydantic import Field

from recsys.core.errors import DataFormatError, FieldError
from recsys.core.settings import FrozenModel
from recsys.data.badrows import BadRowCollector, OnBadRow
from recsys.data.columns import (
    Column,
    TimeUnit,
    detect_unit,
    identifier,
    kind,
    moment,
    number,
    parse_rows,
    tags,
    text,
    truth,
)
from recsys.data.loaded import Loaded, finish, items_met
from recsys.data.repeats import without_repeated_ids
from recsys.data.schema import INTERACTIONS, ITEMS, KIND_DTYPE, Kind
from recsys.data.tables import column_names, read_table, require_columns

ITEMS_PREFIX = "items."
_TARGETS = frozenset([*INTERACTIONS, *ITEMS])


class MappingConfig(FrozenModel):
    """How the columns of foreign tables become ours."""

    columns: Mapping[str, str] = Field(default_factory=dict)
    """Our column -> theirs; ``items.item_id`` speaks of the catalogue alone. Not named: the same name."""

    time_unit: TimeUnit | None = None
    """Of all times; absent: found out from each column."""

    kind: Kind = Kind.WATCH
    """What an interaction is when there is no column for it."""

    kinds: Mapping[str, Kind] = Field(default_factory=dict)
    """Their word -> our kind; our own words are always understood, unless named here."""

    tags_separator: str = Field(default="|", min_length=1)
    """Between tags, where they are text."""

    separator: str | None = Field(default=None, min_length=1, max_length=1)
    """Between the values of a CSV line; absent: a tab for .tsv, a comma for the rest."""


def load(
    interactions: Path,
    items: Path | None = None,
    *,
    on_bad_row: OnBadRow,
    now_s: float,
    config: MappingConfig,
    name: str | None = None,
) -> Loaded:
    """Read two foreign tables.

    Args:
        interactions: CSV or Parquet; needs a user, an item and a time.
        items: CSV or Parquet; needs an item. Absent: the catalogue is the items that were met.
        on_bad_row: raise or go on.
        now_s: Unix time; interactions from more than a day later are bad rows.
        config: the mapping.
        name: of the data set; by default that of the interactions' file.

    Raises:
        FieldError: the mapping names a column that we do not have.
        DataFormatError: a file is unreadable or lacks a column.
        BadRowsError: rows were bad and ``on_bad_row`` is ``fail``.
    """
    _check_mapping(config)
    collector = BadRowCollector()
    met = _interactions(interactions, now_s, config, collector)
    catalogue = items_met(met) if items is None else _items(items, config, collector)
    return finish(name or interactions.stem, met, catalogue, collector, on_bad_row)


def _check_mapping(config: MappingConfig) -> None:
    for ours in config.columns:
        if ours.removeprefix(ITEMS_PREFIX) not in _TARGETS:
            expected = f"one of {', '.join(sorted(_TARGETS))}, or items. before one"
            raise FieldError("map", repr(ours), expected)


def _interactions(
    path: Path, now_s: float, config: MappingConfig, collector: BadRowCollector
) -> pl.DataFrame:
    found = column_names(path, config.separator)
    sources = _sources(path, found, list(INTERACTIONS), ("user_id", "item_id", "time_s"), config.columns)
    raw = read_table(path, list(sources.values()), collector, separator=config.separator)
    unit = _unit(raw, sources["time_s"], path, config, collector)
    words = {**{each.value: each for each in Kind}, **config.kinds}
    makers: dict[str, Column] = {
        ours: _MAKERS[ours](ours, source) for ours, source in sources.items() if ours in _MAKERS
    }
    makers["time_s"] = moment("time_s", sources["time_s"], unit, now_s=now_s)
    if "kind" in sources:
        makers["kind"] = kind("kind", sources["kind"], words)
    rows = parse_rows(raw, list(makers.values()), path.name, collector)
    if "kind" in sources:
        return rows
    collector.note(f"{path.name} has no column for the kind: every row counts as {config.kind.value}")
    return rows.with_columns(pl.lit(config.kind.value, dtype=KIND_DTYPE).alias("kind"))


def _items(path: Path, config: MappingConfig, collector: BadRowCollector) -> pl.DataFrame:
    found = column_names(path, config.separator)
    general = {ours: theirs for ours, theirs in config.columns.items() if theirs in found}
    special = {
        ours.removeprefix(ITEMS_PREFIX): theirs
        for ours, theirs in config.columns.items()
        if ours.startswith(ITEMS_PREFIX)
    }
    sources = _sources(path, found, list(ITEMS), ("item_id",), {**general, **special})
    raw = read_table(path, list(sources.values()), collector, separator=config.separator)
    makers = {ours: _MAKERS[ours](ours, source) for ours, source in sources.items() if ours in _MAKERS}
    if "published_s" in sources:
        unit = _unit(raw, sources["published_s"], path, config, collector)
        makers["published_s"] = moment(
            "published_s", sources["published_s"], unit, now_s=None, required=False, low=None
        )
    if "tags" in sources:
        makers["tags"] = tags("tags", sources["tags"], config.tags_separator)
    rows = parse_rows(raw, list(makers.values()), path.name, collector)
    return without_repeated_ids(rows, path.name, collector)


_MAKERS = {
    "user_id": identifier,
    "item_id": identifier,
    "value": number,
    "context": text,
    "title": text,
    "creator_id": text,
    "duration_s": lambda name, source: number(name, source, low=0.0),
    "cost": number,
    "available": truth,
}


def _sources(
    path: Path, found: Sequence[str], ours: Sequence[str], needed: Sequence[str], mapping: Mapping[str, str]
) -> dict[str, str]:
    """Return our column -> theirs for all that the file has.

    Raises:
        DataFormatError: a needed column, or one that the mapping names, is not there.
    """
    named = {each: mapping[each] for each in ours if each in mapping}
    require_columns(path, found, list(named.values()))
    sources = {each: named.get(each, each) for each in ours if each in named or each in found}
    missing = [each for each in needed if each not in sources]
    if missing:
        looked_for = " and ".join(f"a column for {each} (--map {each}=NAME)" for each in missing)
        raise DataFormatError(path, looked_for, f"the columns {', '.join(found)}")
    return sources


def _unit(
    raw: pl.DataFrame, source: str, path: Path, config: MappingConfig, collector: BadRowCollector
) -> TimeUnit:
    if config.time_unit is not None:
        return config.time_unit
    unit = detect_unit(raw[source])
    collector.note(f"{path.name}: {source} was read as {unit.value}")
    return unit
