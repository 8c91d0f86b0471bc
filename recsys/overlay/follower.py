"""One process's view of the overlay, brought up to date now and then."""

import logging
from collections.abc import Callable

from recsys.core.clock import Clock
from recsys.core.errors import RecsysError
from recsys.overlay.overlay import NOTHING, Overlay
from recsys.overlay.store import OverlayStore

_log = logging.getLogger(__name__)


class OverlayFollower:
    """Reads an overlay again and again; while it cannot be read, what was read last stays.

    Args:
        opened: opens the store, when it is first read.
        clock: Unix time.
    """

    def __init__(self, opened: Callable[[], OverlayStore], clock: Clock) -> None:
        self._opened = opened
        self._clock = clock
        self._store: OverlayStore | None = None
        self._troubled = False
        self.now = NOTHING
        self.read_s: float | None = None
        """Unix time at which it was last read without trouble; None: never."""

    def refresh(self) -> Overlay:
        """Read once, and return what is known."""
        try:
            if self._store is None:
                self._store = self._opened()
            self.now = self._store.read(self.now)
        except (RecsysError, OSError, ValueError, LookupError, TypeError) as error:  # others may write there
            if not self._troubled:
                _log.warning("the catalogue stays as it is: %s", error)
            self._troubled = True
        else:
            self._troubled = False
            self.read_s = self._clock()
        return self.now
