"""A table that takes each row once, whoever sends it how often."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import polars as pl

from recsys.core.errors import ConflictError, DataFormatError, FieldError
from recsys.lake.days import with_day
from recsys.lake.delta import Delta, Snapshot
from recsys.lake.keys import KeySet
from recsys.lake.layout import LakeConfig
from recsys.lake.parts import read_columns

Filter = Callable[[pl.DataFrame], pl.DataFrame]


class Table:
    """Rows of one layout, appended batch by batch.

    The keys of all rows are kept in memory from the first batch on, see :class:`recsys.lake.keys.KeySet`.

    Args:
        delta: where it lies.
        config: bounds.
        alone: holds the lake for one writer among all processes of this machine, where it lies in a folder.
        admit: leaves rows out that must not come in; asked while alone.
    """

    def __init__(
        self,
        delta: Delta,
        config: LakeConfig,
        *,
        alone: Callable[[], AbstractContextManager[None]],
        admit: Filter = lambda rows: rows,
    ) -> None:
        self.delta = delta
        self._config = config
        self._alone = alone
        self._admit = admit
        self._keys = KeySet(delta.layout.key)
        self._read: set[str] = set()  # files whose keys are known

    def append_frame(self, rows: pl.DataFrame, *, source: str | None = None, upto: int = 1) -> int:
        """Commit a batch: its rows, and how far its source was read, stand or fall together.

        Left out are rows that stand in the table already or earlier in the batch, and those of people who
        left. A batch that was committed before changes nothing.

        Args:
            rows: the columns of the layout, in any order; those that may be null may be absent.
            source: whose positions ``upto`` counts: a file, a partition of a topic. No two processes read it
                at once. None: what has no positions, so that the keys alone tell what is new.
            upto: the first position that is not in the batch, at least 1.

        Returns:
            How many rows were new.

        Raises:
            FieldError: ``upto`` is below 1, or a column of the key is null or missing.
            ConflictError: somebody else was quicker every time.
            DataFormatError: the table is of a newer version.
            UnavailableError: disk or bucket refuse; whether or not it was committed, send it again.
        """
        if upto < 1:
            raise FieldError("upto", str(upto), "a position after the first, at least 1")
        whole = self._conform(rows)
        with self._alone():
            self.delta.create()
            for _ in range(self._config.commit_tries):
                snapshot = self.delta.at()
                if source is not None and snapshot.taken(source) >= upto:
                    return 0
                if not self._learn(snapshot):
                    continue
                new = self._dated(self._keys.unknown(self._admit(whole)))
                if source is None and not new.height:
                    return 0
                if self.delta.append(snapshot, new, source=source, upto=upto):
                    self._keys.add(new)
                    self._read.update(snapshot.files()["path"])
                    return new.height
        raise ConflictError(
            f"table {self.delta.address}", f"version {snapshot.version}", "a newer one each time"
        )

    def taken(self, source: str) -> int:
        """Return the position up to which a source was taken in; 0 when nothing was. Go on from here."""
        return self.delta.at().taken(source) if self.delta.exists else 0

    def _learn(self, snapshot: Snapshot) -> bool:
        """Take in the keys of files that this process has not seen yet; False: they have gone meanwhile."""
        new = [path for path in snapshot.files()["path"] if path not in self._read]
        if not new:
            return True
        try:
            rows = read_columns(self.delta.place, new, self.delta.layout.key)
        except DataFormatError:
            if self.delta.at().version == snapshot.version:
                raise
            return False
        self._keys.add(rows)
        self._read.update(new)
        return True

    def _dated(self, rows: pl.DataFrame) -> pl.DataFrame:
        layout = self.delta.layout
        return (
            with_day(rows, layout.time, max_days=self._config.max_days_per_batch) if layout.by_day else rows
        )

    def _conform(self, rows: pl.DataFrame) -> pl.DataFrame:
        layout = self.delta.layout
        columns = [
            pl.col(name).cast(dtype) if name in rows.columns else pl.lit(None, dtype=dtype).alias(name)
            for name, dtype in layout.columns.items()
        ]
        whole = rows.select(columns)
        for name in layout.key:
            if whole[name].null_count():
                raise FieldError(f"{layout.name}.{name}", "null", "a value")
        return whole
