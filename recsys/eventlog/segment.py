"""Segments on disk, ``events-<writer>-<sequence>.log``: each is written by one writer and never reopened."""

import contextlib
import fcntl
import os
import sys
from collections.abc import Callable
from pathlib import Path

from recsys.eventlog.frame import HEADER_BYTES, header

Sync = Callable[[int], None]
"""Brings what was written to a file descriptor to the disk, or raises OSError."""


def sync_to_disk(descriptor: int) -> None:
    """Wait until the data of a file, and the size needed to read it, are on the disk itself."""
    if sys.platform == "darwin":
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # fsync there stops at the drive's own cache
    else:
        os.fdatasync(descriptor)


def segment_paths(folder: Path, writer_id: str | None = None) -> list[Path]:
    """Return the segments of a folder (of one writer), each writer's from old to new."""
    paths = sorted(folder.glob("events-*.log"))
    if writer_id is None:
        return paths
    return [path for path in paths if path.stem.rpartition("-")[0] == f"events-{writer_id}"]


class Segment:
    """A new segment file, open for its only writer and locked by it: :func:`is_open` tells, until it ends.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, folder: Path, writer_id: str, *, sync: Sync = sync_to_disk) -> None:
        self._sync = sync
        self.path, self._descriptor = _create(folder, writer_id)
        self.n_bytes = 0
        self._n_synced_bytes = 0
        try:
            self.write(header())
            sync_folder(folder)
        except OSError:
            self.abandon()
            raise

    def write(self, data: bytes) -> None:
        """Append bytes; they are not on the disk before :meth:`sync`."""
        left = memoryview(data)
        while left:
            n_written = os.write(self._descriptor, left)
            left = left[n_written:]
            self.n_bytes += n_written

    def sync(self) -> None:
        """Wait until all that was written is on the disk.

        After an OSError the kernel may have dropped the unwritten pages and report success next time, so the
        segment must be abandoned, never synced again (https://lwn.net/Articles/752063).
        """
        self._sync(self._descriptor)
        self._n_synced_bytes = self.n_bytes

    def close(self) -> None:
        """Close a segment that is whole."""
        os.close(self._descriptor)

    def abandon(self) -> None:
        """Close a segment after an error; remove it when nothing in it was ever on the disk for sure."""
        with contextlib.suppress(OSError):
            os.close(self._descriptor)
        if self._n_synced_bytes <= HEADER_BYTES:
            with contextlib.suppress(OSError):
                self.path.unlink()


def is_open(path: Path) -> bool:
    """Return whether a writer still holds a segment; one that died holds none.

    Raises:
        FileNotFoundError: there is no such segment.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)  # on NFS a lock needs a file open for writing
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def sync_folder(folder: Path) -> None:
    """Bring the names of a folder's files to the disk: a file whose name is lost is lost."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _create(folder: Path, writer_id: str) -> tuple[Path, int]:
    """Make the next file of a writer; never one that is there, even when two share a writer id."""
    earlier = segment_paths(folder, writer_id)
    sequence = int(earlier[-1].stem.rpartition("-")[2]) + 1 if earlier else 1
    while True:
        path = folder / f"events-{writer_id}-{sequence:010d}.log"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        except FileExistsError:
            sequence += 1
            continue
        with contextlib.suppress(OSError):  # a file system without locks: then nobody can tell
            fcntl.flock(descriptor, fcntl.LOCK_SH)  # waits for nobody but who is just looking
        return path, descriptor
