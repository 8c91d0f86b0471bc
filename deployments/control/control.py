"""The controller: a loop around a pure function."""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Self

from deployments.control.counters import Counters
from deployments.control.outcomes import RecordedOutcomes
from recsys.core.clock import Clock
from recsys.core.errors import ConflictError, RecsysError, UnavailableError
from recsys.experiments.measurements import Measurements, Outcomes, Totals, figures_of
from recsys.registry.store import Registry
from recsys.rollout.controller import Readiness, Seen, next_document
from recsys.rollout.state import Phase, RolloutState
from recsys.rollout.traffic import TrafficDocument
from recsys.rollout.traffic_store import TrafficStore

_log = logging.getLogger(__name__)


class Controller:
    """Walks rollouts: each turn looks at everything afresh and writes at most one document.

    It keeps nothing between turns. So it may die at any moment, and two of them do no harm: of two writes
    one finds that the document has changed.

    Args:
        store: the traffic document.
        readiness: what the lane of the canary says.
        counters: what the service counts.
        outcomes: what became of its lists; None: nobody writes it down.
        registry: its channels follow the rollout.
        clock: Unix time.
        name: who writes, in decisions.
    """

    def __init__(
        self,
        store: TrafficStore,
        *,
        readiness: Callable[[RolloutState], Readiness],
        counters: Counters,
        outcomes: RecordedOutcomes | None = None,
        registry: Registry,
        clock: Clock,
        name: str = "controller",
    ) -> None:
        self._store = store
        self._readiness = readiness
        self._counters = counters
        self._outcomes = outcomes
        self._registry = registry
        self._clock = clock
        self._name = name

    def turn(self) -> TrafficDocument | None:
        """Look once; return the document that was written, None when none was.

        Raises:
            RecsysError: the document cannot be read or written.
            OSError: likewise.
        """
        document = self._store.read()
        state = document.rollout
        if state is None or state.settled:
            return None
        kept = self.keeps_channels(state)
        new = next_document(document, self._seen(document, state), now_s=self._clock(), by=self._name)
        settles = new is not None and new.rollout is not None and new.rollout.settled
        if new is None or (settles and not kept):  # settled, nobody would look at the channels again
            return None
        try:
            self._store.swap(new, expected_version=document.version)
        except ConflictError as error:
            _log.info("decides again: %s", error)
            return None
        return new

    def _seen(self, document: TrafficDocument, state: RolloutState) -> Seen:
        if state.phase not in (Phase.PREPARING, Phase.RAMPING):
            return Seen()
        readiness = self._ready(state) if state.phase is Phase.PREPARING else Readiness()
        totals: Totals | None = None
        measured: Measurements | None = None
        try:
            counted = self._counters.read(state)
        except UnavailableError as error:
            _log.warning("the rollout is not measured: %s", error)
        else:
            totals = counted.now
            figures = {arm: figures_of(counters) for arm, counters in counted.since_step.items()}
            measured = Measurements(
                figures,
                self._outcomes_of(state),
                document.shares,
                interleaved=document.interleaving is not None,
            )
        return Seen(readiness, measured, totals)

    def _outcomes_of(self, state: RolloutState) -> Mapping[str, Outcomes] | None:
        if self._outcomes is None or not any(rail.from_records for rail in state.plan.guardrails):
            return None
        try:
            return self._outcomes.read(state)
        except UnavailableError as error:
            _log.warning("the canary's users are not measured: %s", error)
            return None

    def _ready(self, state: RolloutState) -> Readiness:
        try:
            return self._readiness(state)
        except UnavailableError as error:
            _log.warning("the canary's lane cannot be asked: %s", error)
            return Readiness()

    def keeps_channels(self, state: RolloutState) -> bool:
        """Return whether the registry's channels are as they should be; users do not wait for them."""
        try:
            self._keep_channels(state)
        except (RecsysError, OSError) as error:
            _log.warning("the registry's channels do not follow the rollout: %s", error)
            return False
        return True

    def _keep_channels(self, state: RolloutState) -> None:
        """Let the registry's channels say what the rollout has decided; done again, it changes nothing."""
        now = self._registry.channels()
        wanted = [("stable", now.stable, state.bundle)] if state.phase is Phase.HOLDING else []
        if state.under_way:
            wanted = [("candidate", now.candidate, state.bundle)]
        elif state.phase is Phase.ABORTED and now.stable == state.bundle:  # taken back after the promotion
            wanted = [("stable", now.stable, state.stable_bundle)]
        for channel, found, bundle in wanted:
            if found != bundle:
                self._registry.promote(bundle, channel, expected=found, by=self._name, now_s=self._clock())


class ControllerThread:
    """A controller that takes a turn every so often, beside the service that it watches.

    Args:
        controller: what takes turns.
        every_s: seconds between two turns.
        on_decision: is told of every document that it writes.
    """

    def __init__(
        self,
        controller: Controller,
        *,
        every_s: float,
        on_decision: Callable[[TrafficDocument], None] = lambda _: None,
    ) -> None:
        self._controller = controller
        self._every_s = every_s
        self._on_decision = on_decision
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self.run, name="rollout", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopped.set()
        self._thread.join()

    def run(self) -> None:
        """Take turns until stopped."""
        while not self._stopped.is_set():
            try:
                written = self._controller.turn()
            except (RecsysError, OSError) as error:
                _log.warning("the controller waits: %s", error)
                written = None
            if written is not None:
                self._on_decision(written)
            self._stopped.wait(0.0 if written is not None else self._every_s)
