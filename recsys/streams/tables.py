"""Where all of it lands for good. :mod:`recsys.lake` has the tables; ingest knows no more than this of it."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from recsys.data.events import Event
from recsys.eventlog.exposure import Exposure
from recsys.overlay.change import Row

Entry_contra = TypeVar("Entry_contra", contravariant=True)


class Table(Protocol[Entry_contra]):
    """Rows, and how far each source was read: both change together or not at all.

    Every method may raise UnavailableError or ConflictError: try again.
    """

    def append(self, entries: Sequence[Entry_contra], *, source: str, upto: int) -> int:
        """Add the rows that are not there yet, and that ``source`` was read up to ``upto`` (exclusive).

        Returns:
            How many were not there.
        """
        ...

    def taken(self, source: str) -> int:
        """Return up to which position a source was read; 0 when nothing of it was."""
        ...


class Tables(Protocol):
    """All that ingest writes to besides the user state."""

    @property
    def events(self) -> Table[Event]:
        """Rows are known by user id and event id."""
        ...

    @property
    def items(self) -> Table[Row]:
        """Rows are known by item id and since when they hold."""
        ...

    @property
    def exposures(self) -> Table[Exposure]:
        """Rows are known by request id."""
        ...

    def erase(self, user_id: str, at_s: float) -> object:
        """Remove what a user did up to ``at_s``; done again it changes nothing."""
        ...
