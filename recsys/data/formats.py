"""Which data set lies in a folder, and what identifies its content."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import polars as pl

from recsys.core.errors import DataFormatError
from recsys.core.hashing import digest_file
from recsys.data import folder, kuairand, movielens
from recsys.data.badrows import OnBadRow
from recsys.data.impressions import impressions_of
from recsys.data.loaded import Loaded

_WHOLE_BYTES = 512 << 20  # a data set up to this size is digested whole
_END_BYTES = 1 << 20


class Loader(Protocol):
    """Reads a folder of one format."""

    def __call__(self, path: Path, *, on_bad_row: OnBadRow, now_s: float) -> Loaded:
        """Return the data set and the account of its rows."""
        ...


@dataclass(frozen=True, slots=True)
class Format:
    """One format: how to tell it, how to read it, and how to name it in a sentence."""

    name: str
    is_at: Callable[[Path], bool]
    load: Loader
    looks_like: str


FORMATS = (
    Format(
        "marquee",
        lambda path: (path / folder.DESCRIPTION).is_file() and bool(folder.interaction_files(path)),
        folder.load,
        "Marquee (dataset.json, items.parquet and interactions.parquet or interactions/*.parquet)",
    ),
    Format(
        "movielens",
        lambda path: movielens.find_layout(path) is not None,
        movielens.load,
        "MovieLens (ratings.csv and movies.csv, ratings.dat and movies.dat, or u.data and u.item)",
    ),
    Format(
        "kuairand",
        lambda path: bool(kuairand.find_logs(path)),
        kuairand.load,
        "KuaiRand (standard_*.parquet or log_standard_*.csv, and video_features_basic*.csv)",
    ),
)
"""Tried in this order."""


def detect(path: Path) -> str:
    """Return the name of the format that lies in a folder.

    Raises:
        DataFormatError: it is missing, empty, or none that we know; any other goes through
            ``marquee data import``.
    """
    return _format_at(path).name


def load_dataset(path: Path, *, on_bad_row: OnBadRow = OnBadRow.FAIL, now_s: float) -> Loaded:
    """Read a folder of any format that we know.

    Args:
        path: the folder.
        on_bad_row: raise or go on.
        now_s: Unix time; interactions from more than a day later are bad rows.

    Raises:
        DataFormatError: see :func:`detect`; or a file of the format is unreadable.
        BadRowsError: rows were bad and ``on_bad_row`` is ``fail``.
    """
    return _format_at(path).load(path, on_bad_row=on_bad_row, now_s=now_s)


def load_impressions(path: Path, *, on_bad_row: OnBadRow = OnBadRow.FAIL, now_s: float) -> pl.DataFrame:
    """Read what was shown to whom out of a folder of any format that says so.

    Args:
        path: the folder.
        on_bad_row: raise or go on.
        now_s: Unix time; impressions from more than a day later are bad rows.

    Returns:
        Schema :data:`recsys.data.impressions.IMPRESSIONS`.

    Raises:
        DataFormatError: see :func:`load_dataset`.
        BadRowsError: see there.
        InputError: nothing shown and not chosen was logged.
    """
    found = _format_at(path)
    if found.load is kuairand.load:
        return kuairand.load_impressions(path, on_bad_row=on_bad_row, now_s=now_s)
    return impressions_of(found.load(path, on_bad_row=on_bad_row, now_s=now_s).dataset)


def fingerprint(path: Path) -> str:
    """Return a digest of a file, or of all files in a folder: names, sizes and content, 64 hex digits.

    When they are more than 512 MiB together, of each file the size, the time of change and the first and last
    MiB stand for the content.

    Raises:
        DataFormatError: nothing is there.
    """
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    if not files:
        raise DataFormatError(path, "a data set", "nothing there" if not path.exists() else "an empty folder")
    whole = sum(file.stat().st_size for file in files) <= _WHOLE_BYTES
    digest = hashlib.sha256()
    for file in files:
        content = digest_file(file) if whole else _digest_ends(file)
        digest.update(f"{file.relative_to(path)}\0{file.stat().st_size}\0{content}\n".encode())
    return digest.hexdigest()


def _digest_ends(file: Path) -> str:
    size = file.stat().st_size
    digest = hashlib.sha256(f"{file.stat().st_mtime_ns}\0".encode())
    with file.open("rb") as opened:
        digest.update(opened.read(_END_BYTES))
        opened.seek(max(0, size - _END_BYTES))
        digest.update(opened.read(_END_BYTES))
    return digest.hexdigest()


def _format_at(path: Path) -> Format:
    found = next((each for each in FORMATS if path.is_dir() and each.is_at(path)), None)
    if found is None:
        looked_for = "; or ".join(each.looks_like for each in FORMATS)
        raise DataFormatError(path, f"{looked_for}; or import tables with: marquee data import", _found(path))
    return found


def _found(path: Path) -> str:
    if not path.exists():
        return "nothing there"
    if not path.is_dir():
        return "a file, not a folder"
    names = sorted(each.name for each in path.iterdir())
    if not names:
        return "an empty folder"
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
