"""Interactions in pieces, for whoever cannot hold all of them: a folder of ours, or a lake at some version.

Sources travel to other processes; they hold paths and numbers only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import polars as pl

from recsys.core.errors import DataFormatError
from recsys.data import formats
from recsys.data.badrows import BadRowCollector, OnBadRow
from recsys.data.events import EventKind
from recsys.data.folder import DESCRIPTION, interaction_files, read_interactions, read_items
from recsys.data.loaded import finish
from recsys.data.schema import INTERACTIONS, POSITIVE_KINDS
from recsys.lake.dataset import interactions_of
from recsys.lake.layout import CATALOGUE, EVENTS
from recsys.lake.open import absolute_address, is_lake, open_lake

ROWS_PER_PIECE = 500_000
"""Rows that are read at a time."""

_OF_USE = [*(kind.value for kind in POSITIVE_KINDS), EventKind.RETRACTION.value]


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows of a file."""

    path: str
    start: int
    n_rows: int

    @property
    def rows(self) -> slice:
        """Which."""
        return slice(self.start, self.start + self.n_rows)


class Source(Protocol):
    """Interactions that are read piece by piece."""

    @property
    def identity(self) -> str:
        """Equal content, equal words."""
        ...

    def pieces(self) -> list[Piece]:
        """Return what there is, in order."""
        ...

    def read(self, piece: Piece) -> tuple[pl.DataFrame, int]:
        """Return the rows of a piece that can matter, and how many could not be read."""
        ...

    def interactions(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Make interactions of all rows of some users, put together in the order of the pieces."""
        ...

    def items(self) -> pl.DataFrame:
        """Return the catalogue, schema :data:`recsys.data.schema.ITEMS`."""
        ...


def source_of(
    path: str | Path,
    *,
    on_bad_row: OnBadRow,
    now_s: float,
    lake_versions: Mapping[str, int] | None = None,
    rows_per_piece: int = ROWS_PER_PIECE,
) -> Source:
    """Look what lies in a folder.

    Args:
        path: a data set in Marquee's own format, or a lake, also one in a bucket.
        on_bad_row: of a data set; a lake has no bad rows.
        now_s: Unix time; interactions from more than a day later are bad rows.
        lake_versions: table -> version, of a lake; by default the newest.
        rows_per_piece: at most.

    Raises:
        DataFormatError: it is something else.
    """
    if "://" in str(path) or is_lake(path):
        versions = open_lake(path).versions() | dict(lake_versions or {})
        return LakeSource(absolute_address(path), versions, rows_per_piece)
    path = Path(path)
    if not interaction_files(path) or not (path / DESCRIPTION).is_file():
        looked_for = (
            "a lake, or a data set in Marquee's own format (marquee data convert makes one of others)"
        )
        raise DataFormatError(path, looked_for, "something else" if path.exists() else "no folder")
    return FolderSource(path.absolute(), on_bad_row, now_s, rows_per_piece)


@dataclass(frozen=True, slots=True)
class FolderSource:
    """A data set in Marquee's own format."""

    path: Path
    on_bad_row: OnBadRow
    now_s: float
    rows_per_piece: int

    @property
    def identity(self) -> str:
        """See :class:`Source`."""
        return formats.fingerprint(self.path)

    def pieces(self) -> list[Piece]:
        """See :class:`Source`."""
        sizes = [(str(file), _n_rows(file)) for file in interaction_files(self.path)]
        return _cut(sizes, self.rows_per_piece)

    def read(self, piece: Piece) -> tuple[pl.DataFrame, int]:
        """See :class:`Source`.

        Raises:
            BadRowsError: rows were bad, and ``on_bad_row`` is ``fail``.
            DataFormatError: the file is unreadable or lacks a column.
        """
        collector = BadRowCollector()
        rows = read_interactions(self.path, Path(piece.path), self.now_s, collector, rows=piece.rows)
        loaded = finish("", rows, pl.DataFrame(schema={"item_id": pl.String()}), collector, self.on_bad_row)
        return _of_use(loaded.dataset.interactions), loaded.report.n_bad

    def interactions(self, rows: pl.DataFrame) -> pl.DataFrame:
        """See :class:`Source`: they are that already."""
        return rows

    def items(self) -> pl.DataFrame:
        """See :class:`Source`."""
        collector = BadRowCollector()
        items = read_items(self.path, collector)
        none = pl.DataFrame(schema=INTERACTIONS)
        return finish("", none, items, collector, self.on_bad_row).dataset.items


@dataclass(frozen=True, slots=True)
class LakeSource:
    """The tables of a lake, at fixed versions."""

    path: str
    versions: Mapping[str, int]
    rows_per_piece: int

    @property
    def identity(self) -> str:
        """See :class:`Source`."""
        return open_lake(self.path).identity(self.versions)

    def pieces(self) -> list[Piece]:
        """See :class:`Source`."""
        files = open_lake(self.path).files(EVENTS.name, self.versions.get(EVENTS.name))
        sizes = list(files.sort("path").select("path", "n_rows").iter_rows())
        return _cut(sizes, self.rows_per_piece)

    def read(self, piece: Piece) -> tuple[pl.DataFrame, int]:
        """See :class:`Source`. People who left are left out."""
        return _of_use(open_lake(self.path).events_in(piece.path, piece.rows)), 0

    def interactions(self, rows: pl.DataFrame) -> pl.DataFrame:
        """See :class:`Source`: what was taken back goes; ties in time are in order of the events' ids."""
        return interactions_of(rows)

    def items(self) -> pl.DataFrame:
        """See :class:`Source`."""
        lake = open_lake(self.path)
        return lake.catalogue(self.versions.get(CATALOGUE.name), events=self.versions.get(EVENTS.name))


def _of_use(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("kind").cast(pl.String()).is_in(_OF_USE))


def _n_rows(file: Path) -> int:
    try:
        return int(pl.scan_parquet(file, glob=False).select(pl.len()).collect().item())
    except (OSError, pl.exceptions.PolarsError) as error:
        found = str(error).strip().partition("\n")[0]
        raise DataFormatError(file, "a readable Parquet file", found) from error


def _cut(sizes: list[tuple[str, int]], rows_per_piece: int) -> list[Piece]:
    return [
        Piece(path, start, min(rows_per_piece, n_rows - start))
        for path, n_rows in sizes
        for start in range(0, n_rows, rows_per_piece)
    ]
