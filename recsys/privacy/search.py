"""Searching files for names: their bytes as they are, and within Parquet the columns themselves.

Pages of Parquet are compressed, so their bytes say nothing: the columns of text are read instead. A name of
fewer than :data:`LEAST_BYTES` bytes (``42``) stands by chance in any file; of such a name only what is marked
as a user's counts, which each place looks for itself. Pseudonyms have 32.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

LEAST_BYTES = 8
_CHUNK_BYTES = 16 << 20


def long_enough(names: Iterable[str]) -> list[str]:
    """Return the names whose bytes stand in no file by chance."""
    return [name for name in names if len(name.encode()) >= LEAST_BYTES]


def files_under(folder: Path) -> list[Path]:
    """Return all files of a folder and of the folders in it; none when it is missing."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def traces(files: Iterable[Path], names: Sequence[str]) -> dict[str, int]:
    """Return file -> how many times it names one of these; files that do not are left out.

    A file that is removed meanwhile names nobody.

    Args:
        files: of any sort.
        names: those of :func:`long_enough`; an empty one is in every file, so it is never looked for.
    """
    wanted = long_enough(names)
    found: dict[str, int] = {}
    for path in files:
        try:
            count = _bytes_in(path, wanted) + (_texts_in(path, wanted) if path.suffix == ".parquet" else 0)
        except FileNotFoundError:
            continue
        if count:
            found[str(path)] = count
    return found


def _bytes_in(path: Path, names: Sequence[str]) -> int:
    """Return how often the bytes of the names stand in a file, read in parts that overlap."""
    needles = [name.encode() for name in names]
    overlap = max((len(needle) for needle in needles), default=1) - 1
    count, tail = 0, b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            held = tail + chunk
            count += sum(held.count(needle) - tail.count(needle) for needle in needles)
            tail = held[-overlap:] if overlap else b""
    return count


def _texts_in(path: Path, names: Sequence[str]) -> int:
    """Return in how many rows a column of text of a Parquet file holds a name."""
    if not names:
        return 0
    frame = pl.scan_parquet(path)
    texts = [pl.col(name) for name, of in frame.collect_schema().items() if of == pl.String]
    texts += [
        pl.col(name).list.join("\n", ignore_nulls=True)
        for name, of in frame.collect_schema().items()
        if of == pl.List(pl.String)
    ]
    if not texts:
        return 0
    held = pl.any_horizontal(text.str.contains_any(list(names)).fill_null(value=False) for text in texts)
    return int(frame.filter(held).select(pl.len()).collect().item())
