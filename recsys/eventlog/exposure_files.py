"""Exposures on disk: Parquet files that appear whole, named by the time that they cover.

``<folder>/2026-11-21/exposures-<first>-<last>-<writer>-<number>.parquet``, both times in Unix milliseconds:
what a reader wants, and what is too old to keep, is told from the names alone.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import polars as pl

from recsys.core.clock import SECONDS_PER_DAY
from recsys.core.durable import sync_file

_NAME = re.compile(r"exposures-(\d{13,})-(\d{13,})-([A-Za-z0-9_.-]+)-(\d+)\.parquet")
_UNFINISHED = ".unfinished"
_UNFINISHED_AFTER_S = 3_600.0  # nobody writes a file for so long: its writer was killed
_COMPRESSION_LEVEL = 1  # of zstd: half the size of lz4 at the same speed


@dataclass(frozen=True, slots=True, order=True)
class ExposureFile:
    """One file; sorted by time."""

    first_s: float  # Unix time of its earliest and of its latest answer, rounded outwards to milliseconds
    last_s: float
    path: Path

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """Read a file's name; None when it is none of ours."""
        match = _NAME.fullmatch(path.name)
        return None if match is None else cls(int(match[1]) / 1_000, int(match[2]) / 1_000, path)


def exposure_files(folder: Path, *, since_s: float = 0.0) -> list[ExposureFile]:
    """Return the files of a folder that end at or after a time, by time; none when there is no such folder.

    Days are told from their names: of those long before ``since_s`` the files are not even listed.
    """
    first_day = datetime.fromtimestamp(max(0.0, since_s - SECONDS_PER_DAY), UTC).date().isoformat()
    found = (
        ExposureFile.of(path)
        for day in _days(folder)
        if day.name >= first_day  # a file is in the day in which it begins, and is never longer than a day
        for path in day.iterdir()
    )
    return sorted(file for file in found if file is not None and file.last_s >= since_s)


def write_exposures(folder: Path, writer_id: str, number: int, frame: pl.DataFrame) -> Path:
    """Write a file: on return it is on the disk with its name, and before that nobody finds it.

    Args:
        folder: where the days are.
        writer_id: says who writes; unique among those who write now.
        number: makes the names of one writer differ.
        frame: columns of :data:`recsys.eventlog.exposure.SCHEMA`, not empty.

    Raises:
        OSError: it cannot be written; nothing of it is left.
    """
    times_s = frame["served_at_s"].to_numpy()
    first_s, last_s = float(times_s.min()), float(times_s.max())
    day = folder / datetime.fromtimestamp(first_s, UTC).date().isoformat()
    if not day.is_dir():
        day.mkdir(parents=True, exist_ok=True)
        sync_file(folder)
    span = f"{int(first_s * 1_000):013d}-{int(last_s * 1_000) + 1:013d}"
    path = day / f"exposures-{span}-{writer_id}-{number}.parquet"
    put_exposures(path, frame)
    return path


def put_exposures(path: Path, frame: pl.DataFrame) -> None:
    """Write a file under this very name, in place of the one that may be there.

    Raises:
        OSError: it cannot be written; what was there stays.
    """
    unfinished = path.with_name(f".{path.name}{_UNFINISHED}")
    try:
        frame.write_parquet(unfinished, compression="zstd", compression_level=_COMPRESSION_LEVEL)
        sync_file(unfinished)
        unfinished.replace(path)
        sync_file(path.parent)
    except OSError:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise


class Retention:
    """Removes what is too old or too much, the oldest first; several may do it at once.

    Args:
        folder: where the days are.
        keep_days: a file goes when its latest answer is older.
        keep_bytes: the oldest files go until the rest fits.
    """

    def __init__(self, folder: Path, *, keep_days: float, keep_bytes: int) -> None:
        self._folder = folder
        self._keep_days = keep_days
        self._keep_bytes = keep_bytes

    def enforce(self, now_s: float) -> int:
        """Return how many files were removed.

        Raises:
            OSError: the folder cannot be read or changed.
        """
        kept: list[tuple[ExposureFile, int]] = []
        doomed: list[ExposureFile] = []
        for file in exposure_files(self._folder):
            if file.last_s < now_s - self._keep_days * SECONDS_PER_DAY:
                doomed.append(file)
            else:
                with suppress(FileNotFoundError):
                    kept.append((file, file.path.stat().st_size))
        n_bytes = sum(size for _, size in kept)
        for file, size in kept:
            if n_bytes <= self._keep_bytes:
                break
            doomed.append(file)
            n_bytes -= size
        for file in doomed:
            file.path.unlink(missing_ok=True)
        self._tidy(now_s)
        return len(doomed)

    def _tidy(self, now_s: float) -> None:
        """Remove what killed writers left, and days that have become empty."""
        for day in _days(self._folder):
            for path in day.glob(f".*{_UNFINISHED}"):
                with suppress(FileNotFoundError):
                    if path.stat().st_mtime < now_s - _UNFINISHED_AFTER_S:
                        path.unlink()
            with suppress(OSError):  # not empty, or somebody else was faster
                day.rmdir()


def _days(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (day for day in sorted(folder.iterdir()) if re.fullmatch(r"\d{4}-\d\d-\d\d", day.name))
