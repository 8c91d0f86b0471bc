"""User state in one SQLite file: embedded, and safe for several processes and threads at once.

Write-ahead logging lets readers go on while one writer works. A commit survives the death of the process at
once, a power cut from the next checkpoint on: after one, replay the event log (it is idempotent).
"""

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from recsys.core.errors import UnavailableError
from recsys.core.pseudonyms import tombstone_of
from recsys.data.events import Event
from recsys.state.codec import decode_record, encode_record, read_view, view_of
from recsys.state.record import (
    Record,
    StateLimits,
    apply_events,
    changes,
    erase_until,
    parts_of,
    positions_by_user,
)
from recsys.state.store import EMPTY, Applied, UserState

_PART = "user state"
_MOST_PARAMETERS = 10_000  # SQLite's own limit is 32,766
_OPEN_ATTEMPTS = 50
_USERS, _TOMBSTONES = "users", "tombstones"
_SCHEMA = "CREATE TABLE IF NOT EXISTS {} (user_id TEXT PRIMARY KEY, view BLOB NOT NULL, ledger BLOB NOT NULL)"
_SELECT = {
    (table, column): f"SELECT user_id, {column} FROM {table} WHERE user_id IN "
    for table in (_USERS, _TOMBSTONES)
    for column in ("view", "ledger")
}
_WRITE = {
    table: f"INSERT OR REPLACE INTO {table} (user_id, view, ledger) VALUES (?, ?, ?)"
    for table in (_USERS, _TOMBSTONES)
}
_DELETE = "DELETE FROM users WHERE user_id = ?"


class SqliteUserState:
    """A :class:`recsys.state.store.UserStateStore` in a file; the file and its folder are made when missing.

    Args:
        path: the database. Processes on one machine share it; network file systems do not lock well enough.
        limits: how much is remembered of one user; the same for all who share the file.
        busy_timeout_s: how long a write waits for the writes of others.

    Raises:
        UnavailableError: the file cannot be opened, or is no database.
    """

    def __init__(self, path: Path, *, limits: StateLimits | None = None, busy_timeout_s: float = 2.0) -> None:
        self._path = path
        self._limits = limits or StateLimits()
        self._busy_timeout_s = busy_timeout_s
        self._idle: deque[sqlite3.Connection] = deque()  # append and pop are atomic: a pool without a lock
        self._closed = threading.Event()
        with self._connection() as connection:
            for table in (_USERS, _TOMBSTONES):
                connection.execute(_SCHEMA.format(table))

    @property
    def is_local(self) -> bool:
        """Whether reading asks no other machine: True, for the file lies on this one."""
        return True

    def read(self, user_ids: Sequence[str]) -> list[UserState]:
        """Return the states of many users with one query, in the order asked; EMPTY where unknown."""
        with self._connection() as connection:
            views = _select(connection, "view", user_ids)
        return [read_view(views[user_id]) if user_id in views else EMPTY for user_id in user_ids]

    def apply(self, events: Sequence[Event]) -> list[Applied]:
        """Apply events in one transaction: all of them, or none when it fails."""
        positions = positions_by_user(events)
        applied = [Applied.ACCEPTED] * len(events)
        changed: dict[str, Record] = {}
        with self._transaction() as connection:
            ledgers = _select(connection, "ledger", list(positions))
            for user_id, places in positions.items():
                record = decode_record(ledgers.get(user_id))
                record, results = apply_events(record, [events[place] for place in places], self._limits)
                for place, result in zip(places, results, strict=True):
                    applied[place] = result
                if changes(results):
                    changed[user_id] = record
            self._write(connection, changed)
        return applied

    def fill(self, records: Iterable[tuple[str, Record]]) -> int:
        """Write whole records, whatever was there before, some thousands per transaction; return how many."""
        n_written = 0
        for part in parts_of(records):
            with self._transaction() as connection:
                self._write(connection, dict(part))
            n_written += len(part)
        return n_written

    def erase(self, user_id: str, at_s: float) -> None:
        """Forget a user up to ``at_s``; the tombstone, a hash of the id, is on disk on return.

        The bytes are overwritten, the id's too when nothing later is left of the user; in the log of writes
        too unless a reader is in the middle of it: then they go with the next checkpoint (:meth:`scrub`).
        """
        with self._transaction(durable=True) as connection:
            ledger = _select(connection, "ledger", [user_id]).get(user_id)
            record = erase_until(decode_record(ledger), at_s)
            tombstone = Record(erased_at_s=record.erased_at_s)
            self._write(connection, {tombstone_of(user_id): tombstone}, _TOMBSTONES)
            connection.execute(_DELETE, (user_id,))
            if record != tombstone:
                self._write(connection, {user_id: record})
        self._checkpoint()

    def named(self, user_ids: Sequence[str]) -> int:
        """Return how many records are kept under one of these ids."""
        with self._connection() as connection:
            return len(_rows(connection, _USERS, "view", user_ids))

    def scrub(self) -> None:
        """Write the whole file anew, so that nothing is left in it of what was deleted: minutes per GB.

        Needs as much free disk again. Readers go on meanwhile, writers wait.
        """
        with self._connection() as connection:
            connection.execute("VACUUM")
        self._checkpoint()

    @property
    def files(self) -> tuple[Path, ...]:
        """Where the bytes lie: the database and what SQLite keeps beside it."""
        names = (self._path.name, f"{self._path.name}-wal", f"{self._path.name}-journal")
        return tuple(path for name in names if (path := self._path.with_name(name)).exists())

    def close(self) -> None:
        """Close the file; further calls raise UnavailableError."""
        self._closed.set()
        while self._idle:
            self._idle.pop().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _checkpoint(self) -> None:
        """Bring the log of writes into the database and empty it, unless a reader is in the middle of it."""
        with self._connection() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def _write(
        self, connection: sqlite3.Connection, records: Mapping[str, Record], table: str = _USERS
    ) -> None:
        rows = [
            (user_id, view_of(record, self._limits), encode_record(record))
            for user_id, record in records.items()
        ]
        connection.executemany(_WRITE[table], rows)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection; one on which anything went wrong is closed, not lent again."""
        if self._closed.is_set():
            raise UnavailableError(_PART, "closed")
        connection: sqlite3.Connection | None = None
        try:
            connection = self._idle.pop() if self._idle else self._open()
            yield connection
        except BaseException as error:
            if connection is not None:
                connection.close()
            if isinstance(error, (sqlite3.Error, OSError)):
                raise UnavailableError(_PART, f"{self._path}: {error}") from error
            raise
        self._idle.append(connection)
        if self._closed.is_set():  # closed meanwhile by another thread, which may have missed this one
            self.close()

    @contextmanager
    def _transaction(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """Lend a connection that holds the write lock; commit at the end, roll back after an error."""
        with self._connection() as connection:
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            yield connection  # after an error the connection is closed, which rolls back
            connection.execute("COMMIT")

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            self._path,
            timeout=self._busy_timeout_s,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        try:
            self._switch_to_wal(connection)
            connection.execute("PRAGMA secure_delete = ON")  # erased means overwritten
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _switch_to_wal(self, connection: sqlite3.Connection) -> None:
        """Turn the write-ahead log on; where several open a new file at once, SQLite itself does not wait."""
        for _ in range(_OPEN_ATTEMPTS):
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    raise
                time.sleep(self._busy_timeout_s / _OPEN_ATTEMPTS)
            else:
                return
        raise UnavailableError(_PART, f"{self._path}: locked for {self._busy_timeout_s:g} s while opening")


def _select(connection: sqlite3.Connection, column: str, user_ids: Sequence[str]) -> dict[str, bytes]:
    """Return one column of the users that are known, be it by their tombstone alone."""
    found = _rows(connection, _USERS, column, user_ids)
    of_tombstone = {tombstone_of(user_id): user_id for user_id in user_ids if user_id not in found}
    buried = _rows(connection, _TOMBSTONES, column, list(of_tombstone))
    return found | {of_tombstone[tombstone]: value for tombstone, value in buried.items()}


def _rows(connection: sqlite3.Connection, table: str, column: str, keys: Sequence[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for start in range(0, len(keys), _MOST_PARAMETERS):
        part = keys[start : start + _MOST_PARAMETERS]
        marks = ",".join("?" * len(part))
        found.update(connection.execute(f"{_SELECT[table, column]} ({marks})", part).fetchall())
    return found
