"""Writing exposures in the background: whoever answers hands over and goes on, whatever the disk does."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import polars as pl
from pydantic import PositiveFloat, PositiveInt

from recsys.core.clock import Clock
from recsys.core.settings import FrozenModel
from recsys.eventlog.exposure import Chunk, Exposure, chunk_of, frame_of
from recsys.eventlog.exposure_files import Retention, write_exposures

_log = logging.getLogger(__name__)

_CHUNK_ROWS = 128  # made into columns in one go: half a millisecond in which nothing else of Python runs
_PAUSE_S = 0.001  # between two of them, so that whoever answers gets the interpreter back at once
_POLL_S = 0.25
_ENFORCE_EVERY_S = 600.0
_UNWRITABLE = (OSError, ValueError, TypeError, pl.exceptions.PolarsError)
"""What a full disk and strange values raise."""


class Fate(StrEnum):
    """What became of an exposure."""

    WRITTEN = "written"  # on the disk
    DROPPED = "dropped"  # the writer could not keep up, or the disk refused


class ExposureConfig(FrozenModel):
    """How exposures are cut into files, how much may wait, and how long they are kept."""

    max_age_s: PositiveFloat = 15.0
    """A file is written when its first answer is this old: what a crash can lose."""

    max_rows: PositiveInt = 16_384
    """Or when so many answers are in it: about 8 MB in memory with 10 items each."""

    max_file_bytes: PositiveInt = 64 << 20
    """Or when they took so much before they were columns, which is more than they take as columns."""

    max_waiting_rows: PositiveInt = 16_384
    """More answers on their way to a file, and whole batches are dropped."""

    max_waiting_bytes: PositiveInt = 64 << 20
    """The same, by what they take in memory."""

    keep_days: PositiveFloat = 30.0
    """Files whose answers are all older are removed."""

    keep_bytes: PositiveInt = 10 << 30
    """The oldest files are removed until the rest fits."""


class _Batch(NamedTuple):
    exposures: Callable[[], Sequence[Exposure]]
    n_rows: int
    n_bytes: int


class ExposureWriter:
    """Gathers exposures and writes them as files. Nothing happens of itself: :meth:`work` does all of it.

    Any thread may offer; one works.

    Args:
        folder: where the files go; made when the first is written.
        writer_id: letters, digits, ``_``, ``.`` and ``-``; unique among those who write now.
        config: sizes.
        clock: monotonic seconds.
        unix_clock: Unix time, for what is too old to keep.
        on_fate: is told what became of how many.
        pause: called between chunks.
        publish: is given the exposures too, before they are columns; raises nothing and does not wait.
    """

    def __init__(
        self,
        folder: Path,
        writer_id: str,
        *,
        config: ExposureConfig,
        clock: Clock,
        unix_clock: Clock,
        on_fate: Callable[[Fate, int], None],
        pause: Callable[[], None] = lambda: time.sleep(_PAUSE_S),
        publish: Callable[[Sequence[Exposure]], None] = lambda _: None,
    ) -> None:
        self._folder = folder
        self._writer_id = writer_id
        self._config = config
        self._clock = clock
        self._unix_clock = unix_clock
        self._on_fate = on_fate
        self._pause = pause
        self._publish = publish
        self._lock = threading.Lock()
        self._waiting: deque[_Batch] = deque()
        self._waiting_rows = self._waiting_bytes = 0
        self._begun_s: float | None = None  # when the oldest answer that is not in a file was offered
        self._chunks: list[Chunk] = []  # of the next file
        self._n_rows = self._n_bytes = 0
        self._n_files = 0
        self._retention = Retention(folder, keep_days=config.keep_days, keep_bytes=config.keep_bytes)
        self._enforce_at_s = clock()

    def offer(self, exposures: Callable[[], Sequence[Exposure]], n_rows: int, n_bytes: int) -> bool:
        """Hand over the exposures of a batch; False when they are dropped because too much waits already.

        Args:
            exposures: makes them, later and in another thread. What it holds stays in memory until then.
            n_rows: how many there will be.
            n_bytes: about what is held.
        """
        with self._lock:
            fits = (
                self._waiting_rows + n_rows <= self._config.max_waiting_rows
                and self._waiting_bytes + n_bytes <= self._config.max_waiting_bytes
            )
            if fits:
                self._waiting.append(_Batch(exposures, n_rows, n_bytes))
                self._waiting_rows += n_rows
                self._waiting_bytes += n_bytes
                if self._begun_s is None:
                    self._begun_s = self._clock()
        if not fits:
            self._on_fate(Fate.DROPPED, n_rows)
        return fits

    def work(self, *, finish: bool = False) -> None:
        """Turn what waits into columns, and write files that are due.

        Args:
            finish: write everything, due or not.
        """
        while batches := self._take():
            self._into_columns(batches)
            if self._n_rows >= self._config.max_rows or self._n_bytes >= self._config.max_file_bytes:
                self._write()
            self._pause()
        if self._n_rows and (finish or self._is_due()):
            self._write()
        if self._clock() >= self._enforce_at_s:
            self._enforce_at_s = self._clock() + _ENFORCE_EVERY_S
            self._enforce()

    def _is_due(self) -> bool:
        begun_s = self._begun_s
        return begun_s is not None and self._clock() >= begun_s + self._config.max_age_s

    def _take(self) -> list[_Batch]:
        """Return as many batches as make a chunk; they no longer wait."""
        taken: list[_Batch] = []
        n_rows = 0
        with self._lock:
            while self._waiting and (not taken or n_rows + self._waiting[0].n_rows <= _CHUNK_ROWS):
                batch = self._waiting.popleft()
                taken.append(batch)
                n_rows += batch.n_rows
                self._waiting_bytes -= batch.n_bytes
            self._waiting_rows -= n_rows
        return taken

    def _into_columns(self, batches: Sequence[_Batch]) -> None:
        try:
            exposures = [exposure for batch in batches for exposure in batch.exposures()]
            self._chunks.append(chunk_of(exposures))
            self._publish(exposures)
        except _UNWRITABLE as error:
            n_rows = sum(batch.n_rows for batch in batches)
            _log.warning("%d exposures cannot be written down: %s", n_rows, error)
            self._on_fate(Fate.DROPPED, n_rows)
        else:
            self._n_rows += len(exposures)
            self._n_bytes += sum(batch.n_bytes for batch in batches)

    def _write(self) -> None:
        n_rows, chunks = self._n_rows, self._chunks
        self._n_rows, self._n_bytes, self._chunks = 0, 0, []
        with self._lock:
            self._begun_s = self._clock() if self._waiting else None
        try:
            write_exposures(self._folder, self._writer_id, self._n_files, frame_of(chunks))
        except _UNWRITABLE as error:
            _log.warning("%d exposures were not written: %s", n_rows, error)
            self._on_fate(Fate.DROPPED, n_rows)
        else:
            self._n_files += 1
            self._on_fate(Fate.WRITTEN, n_rows)

    def _enforce(self) -> None:
        try:
            self._retention.enforce(self._unix_clock())
        except OSError as error:
            _log.warning("old exposures were not removed: %s", error)


class ExposureThread:
    """Lets a writer work until closed."""

    def __init__(self, writer: ExposureWriter, *, poll_s: float = _POLL_S) -> None:
        self._writer = writer
        self._poll_s = poll_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="exposures", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write everything that was offered, and stop."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._poll_s):
            self._writer.work()
        self._writer.work(finish=True)
