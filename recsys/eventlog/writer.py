"""Group commit: whoever waits while the disk is busy shares the next write and the next sync."""

import asyncio
import re
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Self

from pydantic import PositiveInt

from recsys.core.errors import FieldError, UnavailableError
from recsys.core.settings import FrozenModel
from recsys.eventlog.entry import Entry, encode_entry
from recsys.eventlog.frame import frame
from recsys.eventlog.segment import Segment, Sync, sync_folder, sync_to_disk

_PART = "event log"
_WRITER_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


_Append = tuple[bytes, "Future[None]"]


class EventLogConfig(FrozenModel):
    """How the log is cut into files, and how much may wait."""

    segment_bytes: PositiveInt = 64 << 20
    """A segment that would grow beyond this is closed and a new one begun. Readers hold one in memory."""

    max_waiting_bytes: PositiveInt = 16 << 20
    """More than this on its way to the disk, and appending fails at once instead of waiting."""


class EventLogWriter:
    """Appends entries to segments of its own; any number of threads and event loops may share one.

    Several writers, in any number of processes, work side by side in one folder: a segment belongs to the
    writer that made it, and a restarted writer begins a new one, never behind what was left half written.

    When the disk refuses, the appends concerned fail, the segment is given up for good, and the next append
    tries a new one. An entry whose append failed may still turn up in the log: send it again with the same
    event id.

    Args:
        folder: where segments go; made when missing.
        writer_id: letters, digits, ``_``, ``.`` and ``-``; says in the file names who wrote. Best unique.
        config: sizes.
        sync: replaces the system call in tests.

    Raises:
        FieldError: ``writer_id`` does not suit a file name.
        UnavailableError: the folder cannot be made.
    """

    def __init__(
        self,
        folder: Path,
        writer_id: str,
        *,
        config: EventLogConfig | None = None,
        sync: Sync = sync_to_disk,
    ) -> None:
        if not _WRITER_ID.fullmatch(writer_id):
            raise FieldError("writer_id", repr(writer_id[:80]), "1 to 64 of A-Z a-z 0-9 _ . -")
        self._folder = folder
        self._writer_id = writer_id
        self._config = config or EventLogConfig()
        self._sync = sync
        self._segment: Segment | None = None
        self._condition = threading.Condition()
        self._waiting: list[_Append] = []
        self._unsynced_bytes = 0  # waiting, or being written
        self._closed = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            sync_folder(folder.absolute().parent)
        except OSError as error:
            raise UnavailableError(_PART, str(error)) from error
        self._thread = threading.Thread(target=self._run, name=f"event-log-{writer_id}", daemon=True)
        self._thread.start()

    def append(self, entries: Sequence[Entry]) -> "Future[None]":
        """Hand entries over; the future is done once all of them are on the disk, in this order.

        Raises:
            FieldError: an entry cannot be written down; none of them is.
            UnavailableError: too much waits already, or the writer is closed; the future fails with it too.
        """
        data = b"".join([frame(encode_entry(entry)) for entry in entries])
        future: Future[None] = Future()
        if not entries:
            future.set_result(None)
            return future
        with self._condition:
            if self._closed:
                raise UnavailableError(_PART, "closed")
            if self._unsynced_bytes and self._unsynced_bytes + len(data) > self._config.max_waiting_bytes:
                raise UnavailableError(_PART, f"{self._unsynced_bytes} bytes are waiting for the disk")
            self._waiting.append((data, future))
            self._unsynced_bytes += len(data)
            self._condition.notify()
        return future

    def append_durably(self, entries: Sequence[Entry], *, timeout_s: float | None = None) -> None:
        """Append entries and return once they are on the disk.

        Raises:
            FieldError: an entry cannot be written down.
            UnavailableError: they are not known to be on the disk, or not within ``timeout_s``.
        """
        future = self.append(entries)
        try:
            future.result(timeout_s)
        except TimeoutError as error:
            future.cancel()
            raise UnavailableError(_PART, f"not on the disk within {timeout_s:g} s") from error

    async def append_soon(self, entries: Sequence[Entry]) -> None:
        """Append entries and return once they are on the disk, without holding up the event loop.

        Raises:
            FieldError: an entry cannot be written down.
            UnavailableError: they are not known to be on the disk.
        """
        await asyncio.wrap_future(self.append(entries))

    def close(self) -> None:
        """Write what waits, then close; further appends raise UnavailableError."""
        with self._condition:
            self._closed = True
            self._condition.notify()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _run(self) -> None:
        """Commit group after group until closed: the only code that touches files."""
        group: list[_Append] = []
        try:
            while group := self._next_group():
                alive = [append for append in group if append[1].set_running_or_notify_cancel()]
                error = self._commit(b"".join([data for data, _ in alive])) if alive else None
                with self._condition:
                    self._unsynced_bytes -= sum(len(data) for data, _ in group)
                _answer(alive, error)
        finally:  # nobody waits for ever, not even after an error that nobody thought of
            with self._condition:
                self._closed = True
            _answer([append for append in group + self._waiting if not append[1].done()], "the writer ended")
            if self._segment is not None:
                with suppress(OSError):  # all that was promised is on the disk already
                    self._segment.close()

    def _next_group(self) -> "list[_Append]":
        """Wait for work and take all of it; nothing when closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._waiting or self._closed)
            group, self._waiting = self._waiting, []
            return group

    def _commit(self, data: bytes) -> OSError | None:
        """Bring a group to the disk with one write and one sync; return what went wrong."""
        try:
            segment = self._segment_for(len(data))
            segment.write(data)
            segment.sync()
        except OSError as error:
            if self._segment is not None:
                self._segment.abandon()
                self._segment = None
            return error
        return None

    def _segment_for(self, n_bytes: int) -> Segment:
        """Return the open segment, or a new one when there is none or it would grow too large."""
        if self._segment is not None and self._segment.n_bytes + n_bytes > self._config.segment_bytes:
            full, self._segment = self._segment, None
            full.close()
        if self._segment is None:
            self._segment = Segment(self._folder, self._writer_id, sync=self._sync)
        return self._segment


def _answer(appends: Sequence[_Append], error: OSError | str | None) -> None:
    """Tell those who wait that their entries are on the disk, or why that is not known."""
    for _, future in appends:
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(UnavailableError(_PART, str(error)))
