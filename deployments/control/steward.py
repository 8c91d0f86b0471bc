"""Keeps the rollouts as Helm's values want them: reads the wish, follows it, walks the rollout, reports."""

import logging
import threading
from collections.abc import Callable
from typing import Final, Protocol

from deployments.control.control import Controller
from deployments.control.meaning import meant_bundle
from deployments.control.verifier import Verifier
from recsys.core.clock import Clock
from recsys.core.errors import (
    BundleError,
    ConflictError,
    DataFormatError,
    FieldError,
    InputError,
    NotFoundError,
    RecsysError,
)
from recsys.registry.store import Registry
from recsys.rollout.traffic import TrafficDocument
from recsys.rollout.traffic_store import TrafficStore
from recsys.rollout.wanted import Action, Move, Wanted, next_move

_log = logging.getLogger(__name__)

_CORRECT: Final = "correct the values; until then the last ones that could be read count"
_REGISTER: Final = "register the bundle, or name another one in the values; users keep what they have"
_REPAIR: Final = "put a good one back; the history of the traffic document has its predecessors"
_LATER: Final = "it is tried again every few seconds"
_LEFT_ALONE: Final = Move(Action.NOTHING, "the values leave it to people which bundle users get")


class Wishes(Protocol):
    """Where it stands what values want."""

    def read(self) -> Wanted:
        """Return it as it is now.

        Raises:
            NotFoundError: it stands nowhere.
            InputError: it is nonsense.
            UnavailableError: nobody can say.
        """
        ...


class Reports(Protocol):
    """Who tells people."""

    def report(self, document: TrafficDocument | None, wanted: Wanted | None, move: Move) -> None:
        """Tell them how it stands.

        Raises:
            RecsysError: they cannot be told now.
        """
        ...


class Steward:
    """Follows the values and takes the controller's turns.

    Like the controller it keeps nothing that counts: it may die at any moment, and two do no harm. Trouble
    with a part is logged and reported, and looked at again in the next turn.

    Args:
        controller: walks what is under way.
        store: the traffic document.
        registry: where bundles are looked up.
        wishes: what values want; None: nobody says.
        verifier: looks at a bundle before it is started.
        reports: who tells people; None: nobody.
        clock: Unix time.
        name: the controller's.
        on_write: is told of every document that is written.
    """

    def __init__(
        self,
        controller: Controller,
        store: TrafficStore,
        registry: Registry,
        *,
        wishes: Wishes | None,
        verifier: Verifier,
        reports: Reports | None,
        clock: Clock,
        name: str = "controller",
        on_write: Callable[[TrafficDocument], None] = lambda _: None,
    ) -> None:
        self._controller = controller
        self._store = store
        self._registry = registry
        self._wishes = wishes
        self._verifier = verifier
        self._reports = reports
        self._clock = clock
        self._name = name
        self._on_write = on_write
        self._wanted: Wanted | None = None  # the last that could be read
        self._told: Move | None = None

    def run(self, stopped: threading.Event, *, every_s: float, leads: Callable[[], bool]) -> None:
        """Take turns until stopped, while ``leads`` says that this process is the one to do so."""
        while not stopped.is_set():
            wrote = self._leads(leads) and self.turn()
            stopped.wait(0.0 if wrote else every_s)

    def turn(self) -> bool:
        """Look once at everything; return whether a document was written."""
        misread = self._reads_wish()
        move, wrote = self._follows()
        walked = self._walks()
        self._tells(misread or move)
        return wrote or walked

    def _leads(self, leads: Callable[[], bool]) -> bool:
        try:
            return leads()
        except RecsysError as error:
            _log.warning("nobody knows who leads: %s", error)
            return False

    def _reads_wish(self) -> Move | None:
        """Read what values want; return what is wrong with it."""
        if self._wishes is None:
            return None
        try:
            self._wanted = self._wishes.read()
        except (InputError, NotFoundError) as error:
            return Move(Action.BLOCKED, str(error), _CORRECT)
        except RecsysError as error:
            return Move(Action.BLOCKED, str(error), _LATER)
        return None

    def _follows(self) -> tuple[Move, bool]:
        """Do what values want; return what there was to do, and whether it was done."""
        try:
            document = self._document()
            move = self._next_move(document)
            return move, self._writes(document, move)
        except (NotFoundError, FieldError, BundleError) as error:
            return Move(Action.BLOCKED, str(error), _REGISTER), False
        except DataFormatError as error:  # the traffic document's, or the channels'
            return Move(Action.BLOCKED, str(error), _REPAIR), False
        except (RecsysError, OSError) as error:
            return Move(Action.BLOCKED, str(error), _LATER), False

    def _document(self) -> TrafficDocument | None:
        try:
            return self._store.read()
        except NotFoundError:
            return None

    def _readable(self) -> TrafficDocument | None:
        try:
            return self._document()
        except RecsysError:  # it was said why, and people have to be told
            return None

    def _next_move(self, document: TrafficDocument | None) -> Move:
        wanted = self._wanted
        bundle = None if wanted is None else meant_bundle(wanted, document, self._registry, self._name)
        if wanted is None or bundle is None:
            return _LEFT_ALONE
        move = next_move(document, wanted, bundle, now_s=self._clock(), by=self._name)
        if move.document is None or (document is not None and bundle in document.lanes.values()):
            return move  # the way back does not wait for the registry
        self._verifier.check(bundle)
        state = None if document is None else document.rollout
        if move.action is not Action.START or state is None or state.settled:
            return move
        if self._controller.keeps_channels(state):  # it is forgotten with the next rollout
            return move
        return Move(Action.WAIT, "the registry's channels cannot follow the last rollout", _LATER)

    def _writes(self, before: TrafficDocument | None, move: Move) -> bool:
        if move.document is None:
            return False
        if move.action is Action.FIRST:
            self._makes_stable(move.document.bundle_of(move.document.arms[0]))
        try:
            self._store.swap(move.document, expected_version=0 if before is None else before.version)
        except ConflictError as error:
            _log.info("decides again: %s", error)
            return False
        self._on_write(move.document)
        return True

    def _makes_stable(self, bundle: str) -> None:
        """Let the channel name what the first users get; they do not wait for it."""
        try:
            found = self._registry.channels().stable
            if found != bundle:
                self._registry.promote(bundle, "stable", expected=found, by=self._name, now_s=self._clock())
        except (RecsysError, OSError) as error:
            _log.warning("channel stable does not name the first bundle: %s", error)

    def _walks(self) -> bool:
        try:
            written = self._controller.turn()
        except NotFoundError:  # no document yet; why, is said already
            return False
        except (RecsysError, OSError) as error:
            _log.warning("the controller waits: %s", error)
            return False
        if written is not None:
            self._on_write(written)
        return written is not None

    def _tells(self, move: Move) -> None:
        if move.action is Action.BLOCKED and move != self._told:
            _log.warning("%s; %s", move.why, move.what_to_do)
        self._told = move
        if self._reports is None:
            return
        try:
            self._reports.report(self._readable(), self._wanted, move)
        except (RecsysError, OSError) as error:
            _log.warning("people are not told: %s", error)
