"""One Delta table on the disk: the only file that knows deltalake (the Rust one: no Java, no Spark).

Every commit names the version it was made on and is refused when there is a newer one, so whoever looked for
duplicates before the commit knows that none came in between. Statistics are kept of the time alone: the log
holds the least and the greatest value of a column, and ids of people must not stand there.

Source: M. Armbrust et al., "Delta Lake: High-Performance ACID Table Storage over Cloud Object Stores",
VLDB 2020.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
from arro3.core import Table as ArrowTable
from deltalake import CommitProperties, DeltaTable, Schema, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from recsys.core.errors import DataFormatError, NotFoundError, UnavailableError
from recsys.lake.layout import DAY, LakeConfig, Layout

FORMAT_VERSION = 1
"""Of the tables' columns and their meaning; a table of a higher one is refused."""

_FORMAT = "marquee.formatVersion"
_UNKNOWN = ("unsupported", "feature")  # what the library says of a protocol that it does not know


class Delta:
    """One table.

    Methods raise UnavailableError when the disk refuses, DataFormatError for a table that this program cannot
    handle, and NotFoundError where there is no table yet.

    Args:
        path: its folder.
        layout: what it holds.
        config: how it is written.
    """

    def __init__(self, path: Path, layout: Layout, config: LakeConfig) -> None:
        self.path = path
        self.layout = layout
        self._config = config
        self._writer = WriterProperties(compression=config.compression)

    @property
    def exists(self) -> bool:
        """Whether there is a table."""
        return (self.path / "_delta_log").is_dir()

    def create(self, properties: Mapping[str, str] | None = None) -> None:
        """Make the table without rows, unless it is there; ``properties`` are kept with it."""
        kept = f"interval {self._config.keep_days} days"
        configuration = {
            "delta.dataSkippingStatsColumns": self.layout.time,
            "delta.deletedFileRetentionDuration": kept,
            "delta.logRetentionDuration": kept,
            _FORMAT: str(FORMAT_VERSION),
            **(properties or {}),
        }
        with self._speaking():
            self.path.mkdir(parents=True, exist_ok=True)
            DeltaTable.create(
                str(self.path),
                Schema.from_arrow(ArrowTable.from_arrow(pl.DataFrame(schema=self.layout.stored)).schema),
                mode="ignore",
                partition_by=[DAY] if self.layout.by_day else None,
                configuration=configuration,
                raise_if_key_not_exists=False,
            )

    def at(self, version: int | None = None) -> "Snapshot":
        """Return the table as it is now, or as it was at a version."""
        if not self.exists:
            raise NotFoundError("table", str(self.path))
        with self._speaking():
            try:
                table = DeltaTable(str(self.path), version=version)
            except DeltaError as error:
                if version is None:
                    raise
                raise DataFormatError(self.path, f"version {version}", _first_line(error)) from error
            found = table.metadata().configuration.get(_FORMAT, "1")
        if int(found) > FORMAT_VERSION:
            looked_for = f"a table of format version {FORMAT_VERSION} or lower"
            raise DataFormatError(self.path, looked_for, f"format version {found}: update this program")
        return Snapshot(self.path, self.layout, table)

    def append(
        self, snapshot: "Snapshot", rows: pl.DataFrame, *, source: str | None = None, upto: int = 0
    ) -> bool:
        """Commit rows, and how far their source was read, both or neither; return whether it was done.

        Args:
            snapshot: the newest version; is there a newer one, nothing is committed, and False returned.
            rows: columns of ``layout.stored``; may have none.
            source: where they come from; None: from nowhere that has positions.
            upto: the first position of the source that is not among them.

        Raises:
            DataFormatError: the table has columns that would be lost, so a newer program should write.
        """
        lost = [name for name in snapshot.columns if name not in self.layout.stored]
        if lost:
            looked_for = f"the columns {', '.join(self.layout.stored)}, to write them"
            found = f"{', '.join(lost)} too, of a newer version: update this program"
            raise DataFormatError(self.path, looked_for, found)
        grown = [name for name in self.layout.stored if name not in snapshot.columns]
        transactions = None if source is None else [Transaction(source, upto)]
        properties = CommitProperties(max_commit_retries=0, app_transactions=transactions)
        with self._speaking(), self._committing(snapshot) as done:
            write_deltalake(
                snapshot.table,
                rows.select(*self.layout.stored),
                mode="append",
                schema_mode="merge" if grown else None,
                writer_properties=self._writer,
                commit_properties=properties,
            )
        return not done.refused

    def replace_day(self, snapshot: "Snapshot", day: date | None, rows: pl.DataFrame) -> bool:
        """Let ``rows`` (all columns of the table) be all of a day; None: of the rows without one."""
        where = _where_day(day)
        properties = CommitProperties(max_commit_retries=0)
        with self._speaking(), self._committing(snapshot) as done:
            if rows.height:
                write_deltalake(
                    snapshot.table,
                    rows,
                    mode="overwrite",
                    predicate=where,
                    writer_properties=self._writer,
                    commit_properties=properties,
                )
            else:
                snapshot.table.delete(where, commit_properties=properties)
        return not done.refused

    def compact(self) -> dict[str, int]:
        """Put the small files of each day together; return how many files went and came."""
        table = self.at().table
        with self._speaking():
            done = table.optimize.compact(writer_properties=self._writer)
        return {"removed": int(done["numFilesRemoved"]), "added": int(done["numFilesAdded"])}

    def vacuum(self, *, keep_hours: int, keep_versions: Sequence[int] = ()) -> int:
        """Delete files that no version of the last hours needs, then log files; return how many data files.

        Nobody may be writing: a file that is about to be committed looks like one that nobody needs.

        Args:
            keep_hours: 0 keeps the newest version alone.
            keep_versions: older ones that stay readable.
        """
        table = self.at().table
        with self._speaking():
            gone = table.vacuum(
                keep_hours,
                dry_run=False,
                enforce_retention_duration=False,
                full=True,
                keep_versions=list(keep_versions) or None,
            )
            table.create_checkpoint()
            table.cleanup_metadata()
        return len(gone)

    @contextmanager
    def _committing(self, snapshot: "Snapshot") -> Iterator["_Commit"]:
        """Note that a commit was refused because there is a newer version; other refusals are errors."""
        commit, version = _Commit(), snapshot.version
        try:
            yield commit
        except CommitFailedError:
            if self.at().version == version:
                raise
            commit.refused = True

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        """Turn the library's errors into ours."""
        try:
            yield
        except TableNotFoundError as error:
            raise NotFoundError("table", str(self.path)) from error
        except (DeltaError, OSError) as error:
            said = _first_line(error)
            if any(word in said.lower() for word in _UNKNOWN):
                raise DataFormatError(
                    self.path, "a Delta table that deltalake can handle", f"{said}: update this program"
                ) from error
            raise UnavailableError("lake", f"{self.path}: {said}") from error


@dataclass(slots=True)
class _Commit:
    refused: bool = False


class Snapshot:
    """A table at one version; only :meth:`Delta.at` makes one."""

    def __init__(self, path: Path, layout: Layout, table: DeltaTable) -> None:
        self._path = path
        self._layout = layout
        self.table = table

    @property
    def version(self) -> int:
        """Its number: 0 is the table without rows, and every commit adds 1."""
        return int(self.table.version())

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns, also of those that only a newer program knows."""
        return tuple(field.name for field in self.table.schema().fields)

    @property
    def properties(self) -> dict[str, str]:
        """What is kept with the table besides rows."""
        return dict(self.table.metadata().configuration)

    @property
    def identity(self) -> str:
        """What no other table has."""
        return str(self.table.metadata().id)

    def taken(self, source: str) -> int:
        """Return the position up to which a source was read; 0 for one that was never seen."""
        return int(self.table.transaction_version(source) or 0)

    def files(self) -> pl.DataFrame:
        """Return a row per file: ``path``, ``n_bytes``, ``n_rows``, and ``day`` where there are days."""
        found = pl.DataFrame(self.table.get_add_actions(flatten=True))
        day = pl.col(f"partition.{DAY}") if f"partition.{DAY}" in found.columns else pl.lit(None, pl.Date())
        return found.select(
            pl.Series("path", [str(self._path / path) for path in found["path"]], dtype=pl.String()),
            pl.col("size_bytes").cast(pl.Int64()).alias("n_bytes"),
            pl.col("num_records").cast(pl.Int64()).alias("n_rows"),
            day.alias(DAY),
        )

    def read(self, columns: Sequence[str] | None = None, *, where: str | None = None) -> pl.DataFrame:
        """Return rows in no particular order; a wanted column that an older program left out is null.

        Args:
            columns: names; None: all.
            where: SQL, which the library evaluates.

        Raises:
            DataFormatError: files of this version are gone.
        """
        there = self.columns
        known = None if columns is None else [name for name in columns if name in there]
        try:
            rows = pl.DataFrame(self.table.scan(columns=known, predicate=where))
        except (DeltaError, OSError, pl.exceptions.PolarsError) as error:
            found = f"{_first_line(error)} (vacuumed, or somebody was erased?)"
            raise DataFormatError(self._path, f"the files of version {self.version}", found) from error
        wanted = there if columns is None else columns
        return rows.select(
            pl.col(name) if name in there else pl.lit(None, self._layout.stored[name]).alias(name)
            for name in wanted
        )

    def read_day(self, day: date | None) -> pl.DataFrame:
        """Return all rows and columns of a day; None: of the rows without one."""
        return self.read(where=_where_day(day))


def _where_day(day: date | None) -> str:
    return f"{DAY} IS NULL" if day is None else f"{DAY} = '{day.isoformat()}'"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
