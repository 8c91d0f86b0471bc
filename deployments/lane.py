"""A lane's bundle: loaded as the traffic document says, swapped whole, refused by name."""

import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

from polars.exceptions import PolarsError

from deployments.wire.address import Address
from recsys.core.clock import Clock
from recsys.core.errors import RecsysError, UnavailableError
from recsys.overlay.overlay import NOTHING, Overlay
from recsys.registry.bundle import BundleReader
from recsys.rollout.traffic_store import TrafficStore

_log = logging.getLogger(__name__)
_LOADED_AT_MOST = 2  # the wanted one, and the one that callers may still name

Part = TypeVar("Part")

_UNLOADABLE = (RecsysError, OSError, ValueError, LookupError, TypeError, PolarsError)
"""What reading a bundle raises when it is not what this program writes."""


class Opener(Protocol):
    """Finds a bundle by name and verifies it."""

    def __call__(self, bundle: str) -> BundleReader:
        """Return a verified reader.

        Raises:
            NotFoundError: there is no such bundle.
            BundleError: it must not be served; says which file and why.
        """
        ...


@dataclass(frozen=True, slots=True)
class Holding:
    """What one process holds of a lane."""

    lane: str
    wanted: str | None  # by the traffic document; None: the lane is idle
    loaded: tuple[str, ...]  # the newest last
    refused: Mapping[str, str]  # bundle -> why
    pid: int
    address: Address | None = None  # where routers call it by wire
    overlay: int = 0  # version of the catalogue overlay that everything loaded follows at least


@dataclass(frozen=True, slots=True)
class Overlaying(Generic[Part]):
    """How the parts of a process follow the catalogue."""

    overlay: Callable[[], Overlay]  # what is known now
    overlaid: Callable[[BundleReader, Part, Overlay], Part]  # a part as the catalogue is now


@dataclass(frozen=True, slots=True)
class _Held(Generic[Part]):
    """One bundle, as it is served."""

    reader: BundleReader
    plain: Part  # as the bundle has it
    part: Part  # as the catalogue is now
    overlay: Overlay = NOTHING  # that ``part`` was made by


class BundleHolder(Generic[Part]):
    """Holds one part of the bundle that a lane should serve, and of the one before it.

    Args:
        lane: which lane.
        load: reads the part that is needed here.
        open_bundle: finds and verifies a bundle.
        traffic: says what is wanted.
        clock: monotonic seconds.
        retry_refused_s: after so long a refused bundle is looked at again.
        overlaying: how parts follow the catalogue; None: they stay as their bundle has them.
    """

    def __init__(
        self,
        lane: str,
        load: Callable[[BundleReader], Part],
        *,
        open_bundle: Opener,
        traffic: TrafficStore,
        clock: Clock,
        retry_refused_s: float,
        overlaying: Overlaying[Part] | None = None,
    ) -> None:
        self.lane = lane
        self._load = load
        self._open = open_bundle
        self._traffic = traffic
        self._clock = clock
        self._retry_refused_s = retry_refused_s
        self._version = 0
        self._troubled = False  # it has been said that the document cannot be read
        self._wanted: str | None = None
        self._asked_for: str | None = None  # a caller still names it though nobody wants it any more
        self._held: dict[str, _Held[Part]] = {}  # the newest last
        self._overlaying = overlaying
        self._overlay = NOTHING  # the newest that a part could be made by: what is loaded next follows it
        self._tried = NOTHING  # the newest that was looked at
        self._refused: dict[str, tuple[str, float]] = {}  # bundle -> why, when to look again

    def refresh(self) -> None:
        """Look at the traffic document once and load what is missing; what was held stays until then."""
        self._read_document()
        for bundle in (self._asked_for, self._wanted):
            if bundle is not None and bundle not in self._held:
                self._try(bundle)
        self._asked_for = None
        self._follow_overlay()

    def get(self, bundle: str) -> Part:
        """Return the part of a bundle.

        Raises:
            UnavailableError: it is not loaded (the next :meth:`refresh` tries to).
        """
        held = self._held.get(bundle)
        if held is None:
            self._asked_for = bundle
            raise UnavailableError(f"bundle {bundle}", "not loaded")
        return held.part

    def holding(self) -> Holding:
        """Say what is held here."""
        refused = {bundle: why for bundle, (why, _) in self._refused.items()}
        held = self._held
        overlay = min((one.overlay.version for one in held.values()), default=0)
        return Holding(self.lane, self._wanted, tuple(held), refused, os.getpid(), overlay=overlay)

    def _read_document(self) -> None:
        try:
            document = self._traffic.changed_since(self._version)
        except RecsysError as error:
            if not self._troubled:
                _log.warning("lane %s keeps what it has: %s", self.lane, error)
            self._troubled = True
            return
        self._troubled = False
        if document is not None:
            self._version = document.version
            self._wanted = document.lanes.get(self.lane)
            self._refused = {}

    def _try(self, bundle: str) -> None:
        if bundle in self._refused and self._clock() < self._refused[bundle][1]:
            return
        try:
            reader = self._open(bundle)
            plain = self._load(reader)
        except _UNLOADABLE as error:
            self._refused[bundle] = (str(error), self._clock() + self._retry_refused_s)
            _log.warning("lane %s refuses a bundle and keeps what it has: %s", self.lane, error)
            return
        self._refused.pop(bundle, None)
        held = self._following(bundle, _Held(reader, plain, plain), self._overlay)
        kept = list(self._held.items())[1 - _LOADED_AT_MOST :]
        self._held = {**dict(kept), bundle: held}  # one assignment: callers see all of it or nothing
        _log.info("lane %s holds bundle %s", self.lane, bundle)

    def _follow_overlay(self) -> None:
        """Make the loaded parts anew when the catalogue has changed; what was held stays until then."""
        if self._overlaying is None or (overlay := self._overlaying.overlay()) is self._tried:
            return
        self._tried = overlay
        self._held = {bundle: self._following(bundle, held, overlay) for bundle, held in self._held.items()}
        if not self._held or any(held.overlay is overlay for held in self._held.values()):
            self._overlay = overlay

    def _following(self, bundle: str, held: _Held[Part], overlay: Overlay) -> _Held[Part]:
        """Return a bundle as the catalogue is now; as it was held where that cannot be."""
        if self._overlaying is None:
            return held
        part = held.plain
        if overlay.items:
            try:
                part = self._overlaying.overlaid(held.reader, held.plain, overlay)
            except _UNLOADABLE as error:
                _log.warning(
                    "lane %s: bundle %s keeps version %d of the catalogue: %s",
                    self.lane,
                    bundle,
                    held.overlay.version,
                    error,
                )
                return held
        return _Held(held.reader, held.plain, part, overlay)


class Following:
    """A thread that refreshes holders every ``poll_s`` seconds; the first time before it returns.

    Args:
        holders: what is refreshed.
        poll_s: how often.
        first: done before them each time.
    """

    def __init__(
        self,
        holders: Iterable[BundleHolder[Part]],
        poll_s: float,
        first: Callable[[], object] = lambda: None,
    ) -> None:
        self._holders = tuple(holders)
        self._first = first
        self._poll_s = poll_s
        self._stopped = threading.Event()
        self._refresh()
        self._thread = threading.Thread(target=self._run, name="bundles", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the thread, after the load that may be under way."""
        self._stopped.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _run(self) -> None:
        while not self._stopped.wait(self._poll_s):
            self._refresh()

    def _refresh(self) -> None:
        self._first()
        for holder in self._holders:
            holder.refresh()
