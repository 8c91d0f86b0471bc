"""What was collected before there was a lake: data sets, event logs and exposures, as if streamed in."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import polars as pl

from recsys.data.events import Event
from recsys.data.schema import Dataset
from recsys.eventlog.entry import Erasure
from recsys.eventlog.exposure_reader import scan_exposures
from recsys.eventlog.reader import OnDamage, read_entries, read_erasures
from recsys.lake.lake import Lake
from recsys.lake.rows import event_rows
from recsys.lake.table import Table

ROWS_PER_BATCH = 250_000
_ENTRIES_PER_BATCH = 20_000


class Imported(NamedTuple):
    """How many rows were new to the lake."""

    events: int
    items: int = 0
    exposures: int = 0
    erased: int = 0  # people


def import_dataset(lake: Lake, dataset: Dataset, *, rows_per_batch: int = ROWS_PER_BATCH) -> Imported:
    """Bring a data set in; again, or after it was cut off, it goes on where it was.

    An interaction gets the id ``name:row``, so a data set that has grown at its end brings what is new. Its
    catalogue holds from 1970 on: a data set does not say since when.
    """
    numbered = dataset.interactions.with_row_index("row").with_columns(
        event_id=pl.format("{}:{}", pl.lit(dataset.name), pl.col("row").cast(pl.String()).str.zfill(10)),
        kind=pl.col("kind").cast(pl.String()),
    )
    rows = numbered.sort("time_s", "row").drop("row")  # by time: each batch touches few days
    items = dataset.items.with_columns(since_s=pl.lit(0.0))
    return Imported(
        events=_in_batches(lake.events, rows, rows_per_batch),
        items=_in_batches(lake.items, items, rows_per_batch) if items.height else 0,
    )


def import_log(lake: Lake, folder: Path, *, on_damage: OnDamage) -> Imported:
    """Bring an event log in, and honour the erasures in it; what is there already is left out.

    Args:
        lake: where to.
        folder: the log.
        on_damage: is told what could not be read.

    Raises:
        DataFormatError: there is no such folder.
    """
    erasures = read_erasures(folder)
    if erasures:
        lake.erase_many(erasures)
    events = (one for one in read_entries(folder, on_damage=on_damage) if not isinstance(one, Erasure))
    n_new = 0
    for batch in _batches(events):
        # entries have no positions: a segment may appear between two others; their ids tell what is new
        n_new += lake.events.append_frame(event_rows(batch))
    return Imported(events=n_new, erased=len(erasures))


def import_exposures(lake: Lake, folder: Path) -> Imported:
    """Bring the exposures of a folder in; what is there already is left out."""
    rows = scan_exposures(folder).sort("served_at_s").collect()
    return Imported(events=0, exposures=_in_batches(lake.exposures, rows, ROWS_PER_BATCH))


def _in_batches(table: Table, rows: pl.DataFrame, n: int) -> int:
    """Append rows in their order; all of them are shown to the table, whose keys tell what is new."""
    return sum(table.append_frame(batch) for batch in rows.iter_slices(n))


def _batches(events: Iterator[Event]) -> Iterator[Sequence[Event]]:
    while batch := list(islice(events, _ENTRIES_PER_BATCH)):
        yield batch
