"""Files that survive a crash: replaced whole, synced, and changed by one process at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recsys.core.errors import ConflictError


def sync_file(path: Path) -> None:
    """Wait until the content of a file, or the names in a folder, would survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_durably(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Replace a file at once: readers see the old content or the new, never a part, even after ``kill -9``.

    The caller holds the lock of ``path``: the temporary name is always the same, so that nothing is left
    lying about.

    Args:
        path: the file.
        data: what it holds from then on.
        mode: permissions, less the umask.
    """
    temporary = path.with_name(f".{path.name}.new")
    with open(temporary, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_file(path.parent)


def append_lines(path: Path, lines: bytes) -> None:
    """Append whole lines to a file, which is made with its folder when missing, and wait for the disk.

    A line that a crash has cut off stays a line of its own: whoever reads passes over it and loses no other.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            lines = lines if file.read(1) == b"\n" else b"\n" + lines
        file.write(lines)
    sync_file(path)
    sync_file(path.parent)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file ``path`` alone among all threads and processes; a holder that dies lets go.

    Source: flock(2). On NFS the kernel turns it into a byte-range lock, hence the file is opened for writing.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def locked_if_free(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file ``path`` alone, or not at all; a holder that dies lets go.

    Raises:
        ConflictError: somebody else holds it; ``what`` names it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConflictError(what, "nobody else at it", "another process") from error
        yield
    finally:
        os.close(descriptor)
