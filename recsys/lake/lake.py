"""The lake: four tables side by side, in a folder or in a bucket."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

import polars as pl

from recsys.core.errors import NotFoundError
from recsys.data.event_rows import NEEDED
from recsys.data.schema import Dataset
from recsys.lake.dataset import dataset_of, items_of
from recsys.lake.delta import Delta, Snapshot
from recsys.lake.layout import CATALOGUE, DAY, EVENTS, EXPOSURES, LAYOUTS, USERS, LakeConfig
from recsys.lake.left import Left
from recsys.lake.parts import items_in, read_part
from recsys.lake.place import place_of
from recsys.lake.rows import EventTable, ExposureTable, ItemTable


@dataclass(frozen=True, slots=True)
class Erased:
    """What was removed when somebody left."""

    n_events: int
    n_exposures: int
    n_files: int  # files of older versions too


class Lake:
    """Events, exposures, the catalogue, and who left; tables are made by the first batch.

    In a folder one process at a time writes, whichever it is: all of them hold a lock file in ``root``
    meanwhile. In a bucket there is no lock: who commits second is refused and begins again, so nothing is
    lost and nothing is there twice. Reading needs no lock. Threads may share a lake.

    Args:
        root: the folder, or ``s3://bucket/prefix``.
        config: how tables are written.
    """

    def __init__(self, root: str | Path, config: LakeConfig | None = None) -> None:
        self.place = place_of(root)
        self._alone = self.place.alone
        self._config = config or LakeConfig()
        self._deltas = {each.name: Delta(self.place, each, self._config) for each in LAYOUTS}
        self._left = Left(self._deltas[USERS.name])
        self.events = EventTable(
            self._deltas[EVENTS.name], self._config, alone=self._alone, admit=self._left.drop
        )
        self.exposures = ExposureTable(self._deltas[EXPOSURES.name], self._config, alone=self._alone)
        self.items = ItemTable(self._deltas[CATALOGUE.name], self._config, alone=self._alone)

    def versions(self) -> dict[str, int]:
        """Return the newest version of each table that is there."""
        return {name: delta.at().version for name, delta in self._deltas.items() if delta.exists}

    def identity(self, versions: Mapping[str, int] | None = None) -> str:
        """Return what names the content at these versions, in words that no other lake would use."""
        which = self.versions() | dict(versions or {})
        return " ".join(f"{name}@{n}:{self._delta(name).at().identity}" for name, n in sorted(which.items()))

    def read(self, table: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Return rows of a table, in no particular order.

        Raises:
            NotFoundError: there is no such table.
        """
        return self._delta(table).at().read(columns)

    def files(self, table: str, version: int | None = None) -> pl.DataFrame:
        """Return a row per file of a table; see :meth:`recsys.lake.delta.Snapshot.files`."""
        return self._delta(table).at(version).files()

    def events_in(self, path: str, rows: slice) -> pl.DataFrame:
        """Return some events, one file at a time, without those of people who left.

        Whoever puts all events of a user together hands them to
        :func:`recsys.lake.dataset.interactions_of`.

        Args:
            path: of a file, as :meth:`files` says.
            rows: which of its rows (no step).

        Raises:
            DataFormatError: the file is gone or cannot be read.
        """
        return self._left.drop(read_part(self.place, path, NEEDED, EVENTS.columns, rows))

    def catalogue(self, version: int | None = None, *, events: int | None = None) -> pl.DataFrame:
        """Return the items, schema :data:`recsys.data.schema.ITEMS`, as they were at a version of theirs.

        Without a table of items they are what the events of the version ``events`` speak of.
        """
        delta = self._deltas[CATALOGUE.name]
        if delta.exists:
            return items_of(pl.DataFrame(), delta.at(version))
        return items_of(items_in(self.place, self.files(EVENTS.name, events)["path"].to_list()), None)

    def dataset(
        self,
        versions: Mapping[str, int] | None = None,
        *,
        since_s: float | None = None,
        until_s: float | None = None,
        name: str | None = None,
    ) -> Dataset:
        """Return interactions and catalogue as they were at these versions.

        Left out: events that were taken back, and those of people who left, even if they left later. Equal
        versions give equal rows in equal order, also after compaction.

        Args:
            versions: table -> version; those that are not named are read as they are now.
            since_s: Unix time; no event of earlier days is read, and none before it comes back.
            until_s: Unix time; nothing later is read, and items are as they were then.
            name: of the data set; by default the last part of the lake's address.

        Raises:
            NotFoundError: there are no events.
            DataFormatError: a version is not there, or not any more: vacuumed, or somebody was erased.
        """
        wanted = dict(versions or {})
        for table in wanted:
            self._delta(table)
        events = self._delta(EVENTS.name).at(wanted.get(EVENTS.name))
        items = self._deltas[CATALOGUE.name]
        return dataset_of(
            name or self.place.name,
            events,
            items.at(wanted.get(CATALOGUE.name)) if items.exists else None,
            drop=self._left.drop,
            since_s=since_s,
            until_s=until_s,
        )

    def erase(self, user_id: str, at_s: float, *, pseudonym: str | None = None) -> Erased:
        """Remove what a user did up to ``at_s``: no byte of any file holds it afterwards.

        Older versions of the tables cannot be read any more where they held it. Done again, it does what was
        left undone. A bucket that keeps versions of its objects keeps the old bytes in them.

        Args:
            user_id: who.
            at_s: Unix time; what comes later stays.
            pseudonym: theirs in the exposures; without it, exposures are left alone.

        Raises:
            ConflictError: others wrote all the time meanwhile; do it again.
        """
        pseudonyms = {} if pseudonym is None else {pseudonym: at_s}
        return self.erase_many({user_id: at_s}, pseudonyms)

    def erase_many(
        self, erased_at_s: Mapping[str, float], pseudonyms_at_s: Mapping[str, float] | None = None
    ) -> Erased:
        """Remove what many users did, see :meth:`erase`, for the price of one.

        Args:
            erased_at_s: user id -> Unix time up to which everything goes.
            pseudonyms_at_s: pseudonym in the exposures -> the same.
        """
        concerned = {EVENTS.name: ("user_id", erased_at_s)}
        if pseudonyms_at_s:
            concerned[EXPOSURES.name] = ("user_pseudonym", pseudonyms_at_s)
        with self._alone():
            self._left.add(erased_at_s)
            done = {
                table: self._remove(self._deltas[table], column, whom)
                for table, (column, whom) in concerned.items()
                if self._deltas[table].exists
            }
        n_rows = {table: rows for table, (rows, _) in done.items()}
        n_files = sum(files for _, files in done.values())
        return Erased(n_rows.get(EVENTS.name, 0), n_rows.get(EXPOSURES.name, 0), n_files)

    def compact(self) -> dict[str, dict[str, int]]:
        """Put small files together; return per table how many were ``removed`` and ``added``."""
        with self._alone():
            return {
                name: delta.on_newest(delta.compact) for name, delta in self._deltas.items() if delta.exists
            }

    def vacuum(
        self, *, keep_days: float | None = None, keep_versions: Mapping[str, Sequence[int]] | None = None
    ) -> dict[str, int]:
        """Delete files that no version of the last days needs; return per table how many.

        Args:
            keep_days: None: what the settings say.
            keep_versions: table -> older versions that stay readable, for example those of bundles.
        """
        hours = round((self._config.keep_days if keep_days is None else keep_days) * 24)
        kept = keep_versions or {}
        with self._alone():
            return {
                name: delta.on_newest(
                    partial(delta.vacuum, keep_hours=hours, keep_versions=kept.get(name, ()))
                )
                for name, delta in self._deltas.items()
                if delta.exists
            }

    def _remove(self, delta: Delta, column: str, erased_at_s: Mapping[str, float]) -> tuple[int, int]:
        """Rewrite the days that hold rows of somebody, whom the log does not name; delete what held them.

        Behind the fence nobody commits who has not been told yet that they left, so the days found there are
        all of them.

        Returns:
            How many rows went, and how many files, those of older versions too.
        """
        until_s = pl.col(column).replace_strict(
            list(erased_at_s), list(erased_at_s.values()), default=None, return_dtype=pl.Float64()
        )
        theirs = (pl.col(delta.layout.time) <= until_s).fill_null(value=False)
        delta.on_newest(delta.fence)
        concerned = delta.at().read([column, delta.layout.time, DAY]).filter(theirs)

        def rewrite(snapshot: Snapshot, day: date | None) -> bool:
            return delta.replace_day(snapshot, day, snapshot.read_day(day).filter(~theirs))

        for day in concerned[DAY].unique():
            delta.on_newest(partial(rewrite, day=day))
        return concerned.height, delta.on_newest(partial(delta.vacuum, keep_hours=0))

    def _delta(self, table: str) -> Delta:
        if table not in self._deltas:
            raise NotFoundError("table", table, ", ".join(self._deltas))
        return self._deltas[table]
