"""What was served lately, in few bytes: each exposure file is read once, and again when it was rewritten."""

from pathlib import Path
from typing import NamedTuple

import polars as pl

from recsys.eventlog.exposure_files import ExposureFile, exposure_files
from recsys.eventlog.exposure_reader import scan_files

_RECOMMEND = "recommend"
_CANARY = "canary"

SERVED = pl.Schema(
    {
        "request": pl.UInt64(),  # hashes of polars: they differ between versions, so they are never kept
        "listed_for": pl.UInt64(),  # of the user's pseudonym; null when nobody was named
        "unit": pl.UInt64(),
        "arm": pl.String(),
        "served_at_s": pl.Float64(),
        "override": pl.Boolean(),
        "items": pl.List(pl.UInt64()),
        "by_canary": pl.List(pl.Boolean()),  # of an interleaved list: who picked each item; else null
    }
)
"""Columns of what is kept of a list."""


class _Part(NamedTuple):
    version: tuple[int, int, int]  # of the file: another one is another content
    lists: pl.DataFrame | None  # None: it cannot be read


def hashed(column: str) -> pl.Expr:
    """Return the 64-bit hash of a text column, null where it is null."""
    return pl.when(pl.col(column).is_not_null()).then(pl.col(column).hash())


class ServedParts:
    """The lists of a folder of exposures that are not too old, file by file.

    Holds about 130 bytes per list of ten items, and at most ``max_lists`` of them: beyond that the oldest
    files are let go and not read again.

    Args:
        folder: where the days are; may be missing, as before the first answer.
        max_lists: how many lists are held.
    """

    def __init__(self, folder: Path, *, max_lists: int) -> None:
        self._folder = folder
        self._max_lists = max_lists
        self._parts: dict[Path, _Part] = {}
        self.complete_since_s = 0.0
        """Unix time before which lists were let go."""

    def refresh(self, since_s: float) -> None:
        """Read what is new or was rewritten, and let go what was removed or ended before ``since_s``."""
        parts: dict[Path, _Part] = {}
        for file in exposure_files(self._folder, since_s=since_s):
            if file.last_s > self.complete_since_s and (part := self._part(file)) is not None:
                parts[file.path] = part
        self._parts = parts
        self._let_go()

    def lists(self) -> pl.DataFrame:
        """Return what is held from old to new, columns of :data:`SERVED`; of a repeated request the first."""
        found = [part.lists for part in self._parts.values() if part.lists is not None]
        return (
            pl.concat([pl.DataFrame(schema=SERVED), *found])
            .sort("served_at_s", maintain_order=True)
            .unique("request", keep="first", maintain_order=True)
        )

    @property
    def n_unreadable(self) -> int:
        """Files that hold no exposures, whatever their names say."""
        return sum(part.lists is None for part in self._parts.values())

    def _part(self, file: ExposureFile) -> _Part | None:
        """Return a file's part, read only when it is another version; None when the file is gone."""
        try:
            found = file.path.stat()
            version = (found.st_ino, found.st_mtime_ns, found.st_size)
            known = self._parts.get(file.path)
            if known is not None and known.version == version:
                return known
            return _Part(version, _read(file.path))
        except FileNotFoundError:
            return None

    def _let_go(self) -> None:
        """Drop the oldest files while there are too many lists."""
        n_lists = sum(part.lists.height for part in self._parts.values() if part.lists is not None)
        by_age = sorted(file for path in self._parts if (file := ExposureFile.of(path)) is not None)
        for file in by_age:
            if n_lists <= self._max_lists:
                return
            gone = self._parts.pop(file.path).lists
            n_lists -= 0 if gone is None else gone.height
            self.complete_since_s = max(self.complete_since_s, file.last_s)


def _read(path: Path) -> pl.DataFrame | None:
    """Return the lists of a file; None when it cannot be read."""
    unit = pl.coalesce("user_pseudonym", "session_pseudonym", "request_id")
    try:
        return (
            scan_files([path])
            .filter(pl.col("call") == _RECOMMEND)
            .select(
                request=hashed("request_id"),
                listed_for=hashed("user_pseudonym"),
                unit=unit.hash(),
                arm="arm",
                served_at_s="served_at_s",
                override=pl.col("override").fill_null(value=False),
                items=pl.col("item_ids").list.eval(pl.element().hash()),
                by_canary=pl.when(pl.col("teams").list.len() > 0).then(
                    pl.col("teams").list.eval(pl.element() == _CANARY)
                ),
            )
            .collect()
        )
    except pl.exceptions.PolarsError:
        return None
