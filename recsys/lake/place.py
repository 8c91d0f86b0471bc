"""Where tables lie: a folder of this machine, or a bucket of S3."""

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Any, Final

from recsys.core.durable import locked
from recsys.core.errors import FieldError, UnavailableError

BUCKET: Final = r"s3://[^/\s%?#*\[\]]+(/[^\s%?#*\[\]]*)?"
"""Addresses in a bucket that no library reads as a pattern."""

_LOCK: Final = ".lock"


class FolderPlace:
    """A folder, which may be missing."""

    for_delta: dict[str, str] | None = None
    """``storage_options`` of deltalake."""

    for_polars: Mapping[str, Any] = MappingProxyType({})
    """What Polars needs to know to read files."""

    commits_per_checkpoint = 100
    """Whoever opens a table reads every commit since the last checkpoint."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.address = str(root)
        self.name = root.name

    @property
    def exists(self) -> bool:
        """Whether there is anything."""
        return self._root.is_dir()

    def has(self, folder: str) -> bool:
        """Return whether there is this folder.

        Raises:
            UnavailableError: a bucket cannot be reached or refuses.
        """
        return (self._root / folder).is_dir()

    def make(self, folder: str) -> None:
        """Make a folder, where folders have to be made."""
        (self._root / folder).mkdir(parents=True, exist_ok=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the place for one writer: among all processes of this machine, or in a bucket all threads."""
        self._root.mkdir(parents=True, exist_ok=True)
        with locked(self._root / _LOCK):
            yield

    def delete(self, files: Sequence[str]) -> None:
        """Delete files, named by their way from here; those that are gone are no error."""
        for file in files:
            (self._root / file).unlink(missing_ok=True)

    def copies(self) -> Iterator[tuple[str, Path]]:
        """Yield the address of each file, and where its bytes are until the next."""
        for path in sorted(path for path in self._root.rglob("*") if path.is_file()):
            yield str(path), path


class BucketPlace:
    """A bucket, or what lies below a prefix in it; the environment says how it is reached.

    Raises:
        UnavailableError: obstore is not installed.
    """

    commits_per_checkpoint = 10  # each is a request

    def __init__(self, address: str) -> None:
        try:
            from recsys.core import bucket  # noqa: PLC0415 - an extra: only who asks needs it
        except ModuleNotFoundError as error:
            raise UnavailableError(
                f"lake {address}", "obstore is missing; pip install 'marquee-recsys[lake,objects]'"
            ) from error
        self.address = address.rstrip("/")
        self.name = self.address.rpartition("/")[2]
        self._bucket = bucket.Bucket(self.address, part="lake")
        self._options = bucket.storage_options()
        self._lock = Lock()

    @property
    def for_delta(self) -> dict[str, str]:
        """See :class:`FolderPlace`. A commit is an object that must not be there yet, whatever is set."""
        safe = {"aws_conditional_put": "etag", "aws_s3_allow_unsafe_rename": "false"}
        return self._options | safe | {"max_retries": "3", "retry_timeout": "20s"}

    @property
    def for_polars(self) -> Mapping[str, Any]:
        """See :class:`FolderPlace`."""
        return {
            "storage_options": dict(self._options),
            "credential_provider": None,  # else it asks boto3, where that happens to be installed
        }

    @property
    def exists(self) -> bool:
        """See :class:`FolderPlace`."""
        return self._bucket.has("")

    def has(self, folder: str) -> bool:
        """See :class:`FolderPlace`."""
        return self._bucket.has(folder)

    def make(self, folder: str) -> None:
        """See :class:`FolderPlace`."""

    @contextmanager
    def alone(self) -> Iterator[None]:
        """See :class:`FolderPlace`."""
        with self._lock:
            yield

    def delete(self, files: Sequence[str]) -> None:
        """See :class:`FolderPlace`."""
        self._bucket.delete(list(files))

    def copies(self) -> Iterator[tuple[str, Path]]:
        """See :class:`FolderPlace`."""
        with tempfile.TemporaryDirectory() as folder:
            for path in self._bucket.paths(""):
                copy = Path(folder) / path.rpartition("/")[2]
                if self._bucket.download(path, copy):
                    yield f"{self.address}/{path}", copy
                    copy.unlink()


Place = FolderPlace | BucketPlace


def place_of(root: str | Path) -> Place:
    """Return the place that an address names.

    Raises:
        FieldError: there is no such place.
        UnavailableError: obstore is not installed.
    """
    text = str(root)
    if "://" not in text:
        return FolderPlace(Path(root))
    if not re.fullmatch(BUCKET, text):
        raise FieldError("lake", repr(text[:80]), "a folder, or s3://bucket/prefix")
    return BucketPlace(text)
