"""The overlay in an SQLite file, beside the user state."""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Self, TypeVar

from recsys.core.errors import UnavailableError
from recsys.overlay.change import ItemChange
from recsys.overlay.overlay import CAPACITY, NOTHING, Overlay, Put, decoded, put_into, without
from recsys.overlay.store import PART

_ITEMS = "CREATE TABLE IF NOT EXISTS items (item_id TEXT PRIMARY KEY, item BLOB NOT NULL)"
_STATE = """CREATE TABLE IF NOT EXISTS state
(one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL, next_slot INTEGER NOT NULL)"""
_WRITE = "INSERT OR REPLACE INTO items (item_id, item) VALUES (?, ?)"
_WRITE_STATE = "INSERT OR REPLACE INTO state (one, version, next_slot) VALUES (1, ?, ?)"

Result = TypeVar("Result")


class SqliteOverlay:
    """A :class:`recsys.overlay.store.OverlayStore` in a file, made when the first change is put in.

    Args:
        path: the file. Processes on one machine share it.
        capacity: items that it holds; the same for all who write.
        busy_timeout_s: how long a write waits for the writes of others.
    """

    def __init__(self, path: Path, *, capacity: int = CAPACITY, busy_timeout_s: float = 5.0) -> None:
        self._path = path
        self._capacity = capacity
        self._busy_timeout_s = busy_timeout_s
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def put(self, changes: Sequence[ItemChange], accepted_s: Sequence[float]) -> list[Put]:
        """Put changes in, in one transaction."""
        return self._changed(lambda now: put_into(now, changes, accepted_s, self._capacity))

    def remove(self, item_ids: Iterable[str]) -> int:
        """Forget what is held of items."""

        def change(now: Overlay) -> tuple[Overlay, int]:
            left = without(now, item_ids)
            return left, len(now.items) - len(left.items)

        return self._changed(change)

    def read(self, known: Overlay) -> Overlay:
        """Return what is held now; nothing where there is no file yet."""
        if self._connection is None and not self._path.exists():
            return known if not known.version else NOTHING
        with self._opened() as connection:
            return _read(connection, known)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _changed(self, change: Callable[[Overlay], tuple[Overlay, Result]]) -> Result:
        with self._opened() as connection:
            connection.execute("BEGIN IMMEDIATE")
            before = _read(connection, NOTHING)
            after, result = change(before)
            if after is not before:
                gone = before.items.keys() - after.items.keys()
                connection.executemany("DELETE FROM items WHERE item_id = ?", [(one,) for one in gone])
                changed = [item for item in after.items.values() if item.version == after.version]
                connection.executemany(_WRITE, [(item.change.item_id, item.encoded()) for item in changed])
                connection.execute(_WRITE_STATE, (after.version, after.next_slot))
            connection.execute("COMMIT")
        return result

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection; after an error it is closed, which rolls back."""
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._open()
                yield self._connection
            except BaseException as error:
                if self._connection is not None:
                    self._connection.close()
                self._connection = None
                if isinstance(error, (sqlite3.Error, OSError)):
                    raise UnavailableError(PART, f"{self._path}: {error}") from error
                raise

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            self._path, timeout=self._busy_timeout_s, isolation_level=None, check_same_thread=False
        )
        connection.execute(_ITEMS)  # a rollback journal, not WAL: reads are rare, and the file stays one file
        connection.execute(_STATE)
        return connection


def _read(connection: sqlite3.Connection, known: Overlay) -> Overlay:
    state = connection.execute("SELECT version, next_slot FROM state").fetchone()
    version, next_slot = state or (0, 0)
    if version == known.version:
        return known
    read = connection.execute(
        "SELECT item_id, item, version, next_slot FROM items, state"  # one statement: of one moment
    ).fetchall()
    if read:
        version, next_slot = read[0][2:]
    items = {item_id: decoded(raw) for item_id, raw, _, _ in read}
    return Overlay(version, MappingProxyType(items), next_slot)
