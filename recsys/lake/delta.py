"""One Delta table in its place: the only file that knows deltalake (the Rust one: no Java, no Spark).

Every commit names the version it was made on and is refused when there is a newer one, so whoever looked for
duplicates before the commit knows that none came in between. That holds in a bucket too, where no lock is: a
version is a file that must not be there yet. Statistics are kept of the time alone: the log
holds the least and the greatest value of a column, and ids of people must not stand there.

Source: M. Armbrust et al., "Delta Lake: High-Performance ACID Table Storage over Cloud Object Stores",
VLDB 2020.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

import polars as pl
from arro3.core import Table as ArrowTable
from deltalake import CommitProperties, DeltaTable, Schema, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from recsys.core.errors import ConflictError, DataFormatError, NotFoundError, UnavailableError
from recsys.lake.layout import DAY, LakeConfig, Layout
from recsys.lake.place import Place

FORMAT_VERSION = 1
"""Of the tables' columns and their meaning; a table of a higher one is refused."""

_FORMAT = "marquee.formatVersion"
_FENCE = "marquee.fence"
_UNKNOWN = ("unsupported", "feature")  # what the library says of a protocol that it does not know
_DRAWN = re.compile(r"\x1b\[[0-9;]*m|↳")  # how it draws causes under each other
_LONGEST = 400
_ONCE = CommitProperties(max_commit_retries=0)


Done = TypeVar("Done")


class Delta:
    """One table.

    Methods raise UnavailableError when disk or bucket refuse, DataFormatError for a table that this program
    cannot handle, and NotFoundError where there is no table yet.

    Args:
        place: where its folder is.
        layout: what it holds.
        config: how it is written.
    """

    def __init__(self, place: Place, layout: Layout, config: LakeConfig) -> None:
        self.place = place
        self.address = f"{place.address}/{layout.name}"
        self.layout = layout
        self._config = config
        self._writer = WriterProperties(compression=config.compression)

    @property
    def exists(self) -> bool:
        """Whether there is a table."""
        return self.place.has(f"{self.layout.name}/_delta_log")

    def create(self, properties: Mapping[str, str] | None = None) -> None:
        """Make the table without rows, unless it is there; ``properties`` are kept with it."""
        kept = f"interval {self._config.keep_days} days"
        configuration = {
            "delta.dataSkippingStatsColumns": self.layout.time,
            "delta.deletedFileRetentionDuration": kept,
            "delta.logRetentionDuration": kept,
            "delta.checkpointInterval": str(self.place.commits_per_checkpoint),
            _FORMAT: str(FORMAT_VERSION),
            **(properties or {}),
        }
        if self.exists:
            return
        with self._speaking():
            self.place.make(self.layout.name)
            try:
                DeltaTable.create(
                    self.address,
                    Schema.from_arrow(ArrowTable.from_arrow(pl.DataFrame(schema=self.layout.stored)).schema),
                    mode="ignore",
                    partition_by=[DAY] if self.layout.by_day else None,
                    configuration=configuration,
                    storage_options=self.place.for_delta,
                    raise_if_key_not_exists=False,
                )
            except CommitFailedError:
                if not self.exists:  # else somebody made it at the same moment
                    raise

    def at(self, version: int | None = None) -> "Snapshot":
        """Return the table as it is now, or as it was at a version."""
        with self._speaking():
            try:
                table = DeltaTable(self.address, version=version, storage_options=self.place.for_delta)
            except DeltaError as error:
                if version is None or not self.exists:
                    raise
                raise DataFormatError(self.address, f"version {version}", _said(error)) from error
            found = table.metadata().configuration.get(_FORMAT, "1")
        if int(found) > FORMAT_VERSION:
            looked_for = f"a table of format version {FORMAT_VERSION} or lower"
            raise DataFormatError(self.address, looked_for, f"format version {found}: update this program")
        return Snapshot(self.place, self.address, self.layout, table)

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
            raise DataFormatError(self.address, looked_for, found)
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
        with self._speaking(), self._committing(snapshot) as done:
            if rows.height:
                write_deltalake(
                    snapshot.table,
                    rows,
                    mode="overwrite",
                    predicate=where,
                    writer_properties=self._writer,
                    commit_properties=_ONCE,
                )
            else:
                snapshot.table.delete(where, commit_properties=_ONCE)
        return not done.refused

    def compact(self, snapshot: "Snapshot") -> dict[str, int] | None:
        """Put the small files of each day together; return how many went and came.

        Rows that came meanwhile are no obstacle; None: files went meanwhile, or a fence was set.
        """
        with self._speaking(), self._committing(snapshot) as done:
            figures = snapshot.table.optimize.compact(writer_properties=self._writer)
        if done.refused:
            return None
        return {"removed": int(figures["numFilesRemoved"]), "added": int(figures["numFilesAdded"])}

    def fence(self, snapshot: "Snapshot") -> bool:
        """Let nobody commit who began before; return whether it was done, not so if there is a newer version.

        It is a change of the table's description, behind which Delta's protocol lets nobody put a commit that
        was made before it: ours begin again, others fail.
        """
        with self._speaking(), self._committing(snapshot) as done:
            # a column is described, for set_table_properties holds all threads until the bucket has answered
            snapshot.table.alter.set_column_metadata(
                self.layout.time, {_FENCE: str(snapshot.version)}, commit_properties=_ONCE
            )
        return not done.refused

    def vacuum(
        self, snapshot: "Snapshot", *, keep_hours: int, keep_versions: Sequence[int] = ()
    ) -> int | None:
        """Delete files that no version of the last hours needs, then log files; return how many data files.

        A file that somebody is about to commit looks like one that nobody needs. So a fence comes between
        looking and deleting: who was that far is refused.

        Args:
            snapshot: the newest version; is there a newer one, nothing is deleted, and None returned.
            keep_hours: 0 keeps the newest version alone.
            keep_versions: older ones that stay readable.
        """
        with self._speaking():
            unused = snapshot.table.vacuum(
                keep_hours,
                dry_run=True,
                enforce_retention_duration=False,
                full=True,
                keep_versions=list(keep_versions) or None,
            )
        if unused and not self.fence(snapshot):
            return None
        with self._speaking():
            self.place.delete([f"{self.layout.name}/{file}" for file in unused])
            table = self.at().table
            table.create_checkpoint()
            table.cleanup_metadata()
        return len(unused)

    def on_newest(self, change: Callable[["Snapshot"], Done | None]) -> Done:
        """Change the table on its newest version, again as long as somebody else is quicker.

        Args:
            change: returns None, or False, when there was a newer version.

        Raises:
            ConflictError: somebody else was quicker every time.
        """
        for _ in range(self._config.commit_tries):
            snapshot = self.at()
            done = change(snapshot)
            if done is not None and done is not False:
                return done
        raise ConflictError(f"table {self.address}", f"version {snapshot.version}", "a newer one each time")

    @contextmanager
    def _committing(self, snapshot: "Snapshot") -> Iterator["_Commit"]:
        """Note that it failed because there is a newer version; other failures are errors."""
        commit, version = _Commit(), snapshot.version
        try:
            yield commit
        except DeltaError:
            if self.at().version == version:
                raise
            commit.refused = True

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        """Turn the library's errors into ours."""
        try:
            yield
        except TableNotFoundError as error:
            raise NotFoundError("table", self.address) from error
        except (DeltaError, OSError) as error:
            said = _said(error)
            if any(word in said.lower() for word in _UNKNOWN):
                raise DataFormatError(
                    self.address, "a Delta table that deltalake can handle", f"{said}: update this program"
                ) from error
            raise UnavailableError("lake", f"{self.address}: {said}") from error


@dataclass(slots=True)
class _Commit:
    refused: bool = False


class Snapshot:
    """A table at one version; only :meth:`Delta.at` makes one."""

    def __init__(self, place: Place, address: str, layout: Layout, table: DeltaTable) -> None:
        self._place = place
        self._address = address
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
            pl.Series("path", [f"{self._address}/{path}" for path in found["path"]], dtype=pl.String()),
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
            UnavailableError: the bucket cannot be reached or refuses.
        """
        there = self.columns
        known = None if columns is None else [name for name in columns if name in there]
        try:
            rows = pl.DataFrame(self.table.scan(columns=known, predicate=where))
        except (DeltaError, OSError, pl.exceptions.PolarsError) as error:
            self._place.has("")  # a bucket that is away says so itself
            found = f"{_said(error)} (vacuumed, or somebody was erased?)"
            raise DataFormatError(self._address, f"the files of version {self.version}", found) from error
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


def _said(error: Exception) -> str:
    """Return what the library says, in one line: its first lines name no cause."""
    lines = (line.strip() for line in _DRAWN.sub("", str(error)).splitlines())
    return ": ".join(line for line in lines if line)[:_LONGEST]
