"""From streams into user state and lake, each message once, whatever dies in between.

The order is what makes it so. First dead letters and the user state, which knows events by their id; then, in
one commit, the rows and how far their source was read. Whoever dies before that commit leaves its messages
to be read again, and what was applied already changes nothing then.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, islice
from typing import Final, TypeVar, cast

from pydantic import PositiveFloat, PositiveInt

from recsys.core.clock import SECONDS_PER_DAY, Clock, unix_clock
from recsys.core.errors import ConflictError, UnavailableError
from recsys.core.settings import FrozenModel
from recsys.data.events import Event
from recsys.eventlog.entry import Entry, Erasure
from recsys.overlay.change import ItemChange
from recsys.overlay.store import OverlayStore
from recsys.state.store import Applied, UserStateStore
from recsys.streams.dead_letters import DeadLetters, Letter
from recsys.streams.exposure_message import read_exposure
from recsys.streams.figures import IngestFigures
from recsys.streams.item_change import read_change
from recsys.streams.message import Judgement, PoisonError, read_message
from recsys.streams.source import Chunk, Content, Source
from recsys.streams.tables import Tables

_EVENTS_PER_CALL: Final = 1_000  # a store is locked meanwhile

Opened = TypeVar("Opened")


class IngestConfig(FrozenModel):
    """How much is applied at once, and what is thought of messages."""

    batch_size: PositiveInt = 10_000
    """Messages read before they are applied."""

    batch_s: PositiveFloat = 2.0
    """How long is waited for a batch to fill. Longer makes fewer and larger files."""

    late_s: PositiveFloat = SECONDS_PER_DAY
    """An event that comes so long after it happened is counted as late."""

    first_wait_s: PositiveFloat = 0.5
    """How long is waited before the first new try when state or lake are away; twice as long each time."""

    longest_wait_s: PositiveFloat = 15.0
    """Never longer than this."""

    judgement: Judgement = Judgement()
    """What is still taken for an event."""


class Ingest:
    """Reads sources and applies them.

    Args:
        source: what to read.
        state: user state; events change it by their id alone.
        tables: where rows land, with the positions.
        letters: where goes what cannot be used.
        overlay: carries changes of items to what is served; None: they land in the lake alone.
        config: sizes and patience.
        is_ending: when it says so, a batch is tried no more; it is read again next time.
        clock: Unix time.
    """

    def __init__(
        self,
        source: Source,
        state: UserStateStore,
        tables: Tables,
        letters: DeadLetters,
        *,
        overlay: OverlayStore | None = None,
        config: IngestConfig | None = None,
        is_ending: Callable[[], bool] = lambda: False,
        clock: Clock = unix_clock,
    ) -> None:
        self._source = source
        self._state = state
        self._tables = tables
        self._letters = letters
        self._overlay = overlay
        self._config = config or IngestConfig()
        self._is_ending = is_ending
        self._clock = clock
        self._newest_s: dict[str, float] = {}  # by source
        self._wait_s = self._config.first_wait_s
        self._read_nothing = False
        self.figures = IngestFigures()

    def step(self) -> int:
        """Read one batch and apply it; return how many messages it had.

        While state or lake are away nothing more is read, and the batch is tried again, until it is applied
        or belongs to another process.

        Raises:
            DataFormatError: a table that this program cannot write to.
        """
        try:
            chunks = self._source.read(self._config.batch_size, self._config.batch_s)
        except UnavailableError as error:
            self._trouble(error)
            return 0
        self._read_nothing = not chunks
        for chunk in chunks:
            while self._source.owns(chunk) and not self._applied(chunk) and not self._is_ending():
                pass
        self._show()
        return sum(len(chunk.messages) for chunk in chunks)

    @property
    def is_done(self) -> bool:
        """Whether nothing more is there to read, as far as can be told."""
        try:
            return self._read_nothing and self._source.is_at_end()
        except UnavailableError:
            return False

    def _applied(self, chunk: Chunk) -> bool:
        """Apply a chunk; return whether it worked, after a while if it did not."""
        try:
            seen = self._apply(chunk)
        except (UnavailableError, ConflictError) as error:
            self._trouble(error)
            return False
        self._source.done(chunk)
        self._wait_s = self._config.first_wait_s
        self.figures.add(seen)
        return True

    def _apply(self, chunk: Chunk) -> IngestFigures:
        """Apply a chunk and return what there was to count in it, so that a failed try counts nothing."""
        seen = IngestFigures(n_missing=chunk.n_missing, n_commits=1)
        if chunk.content is Content.ITEMS:
            changes = self._opened(chunk, read_change, seen)
            seen.fates["item"] += len(changes)
            self._overlaid(chunk, changes, seen)
            rows = [change.model_dump() for change in changes]
            seen.n_landed = self._tables.items.append(rows, source=chunk.source, upto=chunk.upto)
        elif chunk.content is Content.EXPOSURES:
            exposures = self._opened(chunk, read_exposure, seen)
            seen.fates["exposure"] += len(exposures)
            seen.n_landed = self._tables.exposures.append(exposures, source=chunk.source, upto=chunk.upto)
            seen.n_known = len(exposures) - seen.n_landed
        else:
            events = self._remembered(self._opened(chunk, read_message, seen), seen)
            seen.n_landed = self._tables.events.append(events, source=chunk.source, upto=chunk.upto)
            seen.n_known = len(events) - seen.n_landed
            self._look_at_times(chunk.source, events, seen)
        last_s = chunk.messages[-1].sent_s or self._newest_s.get(chunk.source)
        seen.behind_s = 0.0 if last_s is None else max(0.0, self._clock() - last_s)
        return seen

    def _overlaid(self, chunk: Chunk, changes: Sequence[ItemChange], seen: IngestFigures) -> None:
        """Put items into the overlay; read again, they change nothing."""
        if self._overlay is None or not changes:
            return
        now_s = self._clock()
        sent_s = {message.key: message.sent_s for message in chunk.messages if message.key is not None}
        accepted_s = [sent_s.get(change.item_id.encode()) or now_s for change in changes]
        seen.overlaid.update(fate.value for fate in self._overlay.put(changes, accepted_s))

    def _opened(self, chunk: Chunk, read: Callable[..., Opened], seen: IngestFigures) -> list[Opened]:
        """Return what the messages hold; those that hold nothing usable go to the dead letters first."""
        now_s = self._clock()
        opened, letters = [], []
        for message in chunk.messages:
            if message.is_tombstone and chunk.content is not Content.ITEMS:
                seen.fates["tombstone"] += 1
                continue
            try:
                opened.append(read(message, now_s=now_s, judgement=self._config.judgement))
            except PoisonError as error:
                letters.append(Letter(chunk.source, message, error))
                seen.poison[error.reason.value] += 1
        if letters:
            self._letters.keep(letters)
            seen.fates["poison"] += len(letters)
        return opened

    def _remembered(self, entries: Sequence[Entry], seen: IngestFigures) -> list[Event]:
        """Apply entries in order to the user state, erasures to the tables too; return the events to keep."""
        kept: list[Event] = []
        for is_erasure, run in groupby(entries, lambda entry: isinstance(entry, Erasure)):
            if is_erasure:
                for erasure in cast("Iterator[Erasure]", run):
                    self._state.erase(erasure.user_id, erasure.at_s)
                    self._tables.erase(erasure.user_id, erasure.at_s)
                    seen.fates["erasure"] += 1
                continue
            events = cast("Iterator[Event]", run)
            while group := list(islice(events, _EVENTS_PER_CALL)):
                fates = self._state.apply(group)
                seen.fates.update(fate.value for fate in fates)
                kept += [
                    event for event, fate in zip(group, fates, strict=True) if fate is not Applied.ERASED
                ]
        return kept

    def _look_at_times(self, source: str, events: Sequence[Event], seen: IngestFigures) -> None:
        """Count what comes late, and what comes after something that happened later."""
        late_s = self._clock() - self._config.late_s
        newest_s = self._newest_s.get(source, -math.inf)
        for event in events:
            seen.n_late += event.time_s < late_s
            seen.n_out_of_order += event.time_s < newest_s
            newest_s = max(newest_s, event.time_s)
        if events:
            self._newest_s[source] = newest_s

    def _trouble(self, error: UnavailableError | ConflictError) -> None:
        """Count a failure and wait, longer every time."""
        self.figures.troubles[str(error.args[0])] += 1
        self.figures.latest_trouble = str(error)
        self._source.wait(self._wait_s)
        self._wait_s = min(2 * self._wait_s, self._config.longest_wait_s)

    def _show(self) -> None:
        self.figures.lag = dict(self._source.lag())
        if not any(self.figures.lag.values()):
            self.figures.behind_s = 0.0
