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
    overlay: int = 0  # version of the catalogue overlay that it serves by


@dataclass(frozen=True, slots=True)
class Overlaying(Generic[Part]):
    """How the parts of a process follow the catalogue."""

    overlay: Callable[[], Overlay]  # what is known now
    overlaid: Callable[[BundleReader, Part, Overlay], Part]  # a part as the catalogue is now


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
        self._loaded: dict[str, Part] = {}
        self._overlaying = overlaying
        self._plain: dict[str, tuple[BundleReader, Part]] = {}  # as their bundles have them
        self._overlay = self._tried = NOTHING  # that the loaded ones are made by, or that they could not be
        self._refused: dict[str, tuple[str, float]] = {}  # bundle -> why, when to look again

    def refresh(self) -> None:
        """Look at the traffic document once and load what is missing; what was held stays until then."""
        self._read_document()
        for bundle in (self._asked_for, self._wanted):
            if bundle is not None and bundle not in self._loaded:
                self._try(bundle)
        self._asked_for = None
        self._follow_overlay()

    def get(self, bundle: str) -> Part:
        """Return the part of a bundle.

        Raises:
            UnavailableError: it is not loaded (the next :meth:`refresh` tries to).
        """
        part = self._loaded.get(bundle)
        if part is None:
            self._asked_for = bundle
            raise UnavailableError(f"bundle {bundle}", "not loaded")
        return part

    def holding(self) -> Holding:
        """Say what is held here."""
        refused = {bundle: why for bundle, (why, _) in self._refused.items()}
        return Holding(
            self.lane, self._wanted, tuple(self._loaded), refused, os.getpid(), overlay=self._overlay.version
        )

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
            plain = part = self._load(reader)
        except _UNLOADABLE as error:
            self._refused[bundle] = (str(error), self._clock() + self._retry_refused_s)
            _log.warning("lane %s refuses a bundle and keeps what it has: %s", self.lane, error)
            return
        self._refused.pop(bundle, None)
        try:
            part = self._by_overlay(reader, plain, self._overlay)
        except _UNLOADABLE as error:
            _log.warning("lane %s serves bundle %s by its own catalogue: %s", self.lane, bundle, error)
        kept = list(self._loaded.items())[1 - _LOADED_AT_MOST :]
        self._loaded = {**dict(kept), bundle: part}  # one assignment: callers see all of it or nothing
        self._plain = {name: self._plain[name] for name, _ in kept} | {bundle: (reader, plain)}
        _log.info("lane %s holds bundle %s", self.lane, bundle)

    def _follow_overlay(self) -> None:
        """Make the loaded parts anew when the catalogue has changed; what was held stays until then."""
        if self._overlaying is None or (overlay := self._overlaying.overlay()) is self._tried:
            return
        self._tried = overlay
        try:
            self._loaded = {
                bundle: self._by_overlay(reader, plain, overlay)
                for bundle, (reader, plain) in self._plain.items()
            }
        except _UNLOADABLE as error:
            _log.warning("lane %s keeps the catalogue that it has: %s", self.lane, error)
        else:
            self._overlay = overlay

    def _by_overlay(self, reader: BundleReader, plain: Part, overlay: Overlay) -> Part:
        if self._overlaying is None or not overlay.items:
            return plain
        return self._overlaying.overlaid(reader, plain, overlay)


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
