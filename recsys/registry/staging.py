"""Where a bundle is written before it is one: a folder that whoever comes next can tell from the living's.

``.writing-<pid>-<random>/`` lies beside the bundles (same file system, so one rename is enough) and holds a
file ``lock``, locked for as long as its writer lives, and the folder ``bundle``. A lock is let go by the
kernel even after ``kill -9`` and, unlike a process number, means the same in every container that shares the
folder.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recsys.core.durable import locked

PREFIX = ".writing-"
_SWEEP_LOCK = ".sweep.lock"


@contextmanager
def staging_folder(root: Path) -> Iterator[Path]:
    """Give an empty folder ``bundle`` to fill and rename away; what is left of it in the end is removed.

    What killed writers left in ``root`` is removed first.
    """
    stage = root / f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
    with locked(root / _SWEEP_LOCK):  # nobody may judge the stage between its making and its locking
        _sweep(root)
        (stage / "bundle").mkdir(parents=True)
        descriptor = os.open(stage / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield stage / "bundle"
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        os.close(descriptor)


def _sweep(root: Path) -> None:
    for stage in root.glob(f"{PREFIX}*"):
        if not _is_alive(stage):
            shutil.rmtree(stage, ignore_errors=True)


def _is_alive(stage: Path) -> bool:
    try:
        descriptor = os.open(stage / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
