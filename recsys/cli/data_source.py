"""Where a data set comes from: a folder of any format that we know, or a lake at some version."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from recsys.core.errors import FieldError
from recsys.core.hashing import digest_bytes
from recsys.data import formats
from recsys.data.badrows import BadRowCollector, OnBadRow
from recsys.data.impressions import impressions_of
from recsys.data.loaded import Loaded
from recsys.data.schema import Dataset
from recsys.lake.open import is_lake, open_lake

LakeVersionOption = Annotated[
    list[str] | None,
    typer.Option(
        "--lake-version",
        metavar="TABLE=NUMBER",
        help="Of a lake, as marquee lake show says; else the newest.",
    ),
]


@dataclass(frozen=True, slots=True)
class DataSource:
    """A data set that was not read yet."""

    path: str | Path
    fingerprint: str  # equal content, equal fingerprint
    lake_versions: Mapping[str, int] | None  # table -> version; None: no lake
    _load: Callable[..., Loaded]

    def load(self, *, on_bad_row: OnBadRow, now_s: float) -> Loaded:
        """Read it; see :func:`recsys.data.formats.load_dataset`. A lake has no bad rows."""
        return self._load(on_bad_row=on_bad_row, now_s=now_s)

    def impressions(self, dataset: Dataset, *, on_bad_row: OnBadRow, now_s: float) -> pl.DataFrame:
        """Read what was shown to whom; see :func:`recsys.data.formats.load_impressions`.

        Args:
            dataset: what :meth:`load` gave; a lake is not read again.
            on_bad_row: raise or go on.
            now_s: Unix time.
        """
        if self.lake_versions is not None:
            return impressions_of(dataset)
        return formats.load_impressions(Path(self.path), on_bad_row=on_bad_row, now_s=now_s)


def data_source(path: str | Path, lake_version: Sequence[str] | None = None) -> DataSource:
    """Look what lies in a folder.

    Args:
        path: a folder, or the address of a lake.
        lake_version: ``table=version`` of each table that is not to be read as it is now.

    Raises:
        DataFormatError: nothing is there.
        FieldError: a version is no number, or there is no lake that could have one.
        NotFoundError: there is no such table.
        UnavailableError: there is a lake, but the extra is not installed.
    """
    if "://" not in str(path) and not is_lake(path):
        if lake_version:
            raise FieldError("--lake-version", f"{path}, which is no lake", "--data with a lake")
        folder = Path(path)
        return DataSource(path, formats.fingerprint(folder), None, partial(formats.load_dataset, folder))
    lake = open_lake(path)
    versions = lake.versions() | _parsed(lake_version or ())
    digest = digest_bytes(lake.identity(versions).encode())
    return DataSource(path, digest, versions, partial(_load_lake, path, versions=versions))


def _load_lake(
    path: str | Path, *, on_bad_row: OnBadRow, now_s: float, versions: Mapping[str, int]
) -> Loaded:
    del on_bad_row, now_s  # what is in a lake was checked at the door
    dataset = open_lake(path).dataset(versions)
    collector = BadRowCollector()
    collector.read(dataset.interactions.height + dataset.items.height)
    return Loaded(dataset, collector.report())


def _parsed(texts: Sequence[str]) -> dict[str, int]:
    versions = {}
    for text in texts:
        table, _, number = text.partition("=")
        if not number.isdecimal():
            raise FieldError("--lake-version", repr(text), "TABLE=NUMBER, for example events=12")
        versions[table] = int(number)
    return versions
