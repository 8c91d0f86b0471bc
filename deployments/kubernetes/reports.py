"""How a rollout stands, for people who have kubectl: a ConfigMap, and Events about it."""

import logging
from typing import Final

from kubernetes.client import CoreV1Api, V1ConfigMap, V1ObjectReference

from deployments.control.standing import standing
from deployments.kubernetes.address import ConfigMapAddress
from deployments.kubernetes.config_map import ConfigMap
from deployments.kubernetes.events import Events, Kind
from deployments.kubernetes.ownership import Owner
from recsys.core.clock import Clock
from recsys.core.errors import RecsysError
from recsys.rollout.state import Decision, RolloutState, What
from recsys.rollout.traffic import TrafficDocument
from recsys.rollout.wanted import Action, Move, Wanted

_log = logging.getLogger(__name__)

_AS_OF: Final = "as_of"
"""Key of the Unix time of the latest decision that was told; what comes after it is told next."""
_FORGOTTEN_S: Final = 3_600.0
_REASONS: Final = {
    What.START: "RolloutStarted",
    What.STEP: "RolloutStepped",
    What.HOLD: "RolloutHolds",
    What.PAUSE: "RolloutPaused",
    What.RESUME: "RolloutResumed",
    What.PROMOTE: "RolloutPromoted",
    What.ABORT: "RolloutAborted",
    What.SETTLE: "RolloutSettled",
}


class KubernetesReports:
    """Writes the ConfigMap when what it says has changed, and one Event per decision and per refusal.

    What was told stands in the ConfigMap; so after a crash nothing is left out, and nothing is told twice.

    Args:
        api: the client.
        address: of the ConfigMap; ``kubectl describe`` shows it with its Events.
        owner: whose it is when it is made here; None: nobody's.
        clock: Unix time.
    """

    def __init__(
        self, api: CoreV1Api, address: ConfigMapAddress, *, owner: Owner | None = None, clock: Clock
    ) -> None:
        self._config_map = ConfigMap(api, address, owner=owner)
        self._address = address
        self._events = Events(api, clock=clock)
        self._clock = clock
        self._refused: Move | None = None  # told last

    def report(self, document: TrafficDocument | None, wanted: Wanted | None, move: Move) -> None:
        """Tell how it stands.

        Raises:
            RecsysError: the ConfigMap cannot be read or written now.
        """
        found = self._found()
        told = found.data or {}
        state = None if document is None else document.rollout
        self._say_news(found, state, move, float(told.get(_AS_OF, self._clock() - _FORGOTTEN_S)))
        data = standing(document, wanted, move)
        data[_AS_OF] = str(state.decisions[-1].at_s) if state is not None else told.get(_AS_OF, "0")
        if data != told:
            self._config_map.write(found, data=data)

    def _found(self) -> V1ConfigMap:
        found = self._config_map.read()
        if found is None:
            self._config_map.write(None, data={})
            found = self._config_map.read()
        return found or V1ConfigMap()

    def _say_news(self, found: V1ConfigMap, state: RolloutState | None, move: Move, since_s: float) -> None:
        about = self._reference(found)
        try:
            for decision in state.decisions if state is not None else ():
                if state is not None and decision.at_s > since_s:
                    self._say_decision(about, state, decision)
            self._say_refusal(about, move)
        except RecsysError as error:
            _log.warning("no Event is written: %s", error)

    def _say_decision(self, about: V1ObjectReference, state: RolloutState, decision: Decision) -> None:
        kind = Kind.WARNING if decision.what is What.ABORT else Kind.NORMAL
        text = f"{state.id}: bundle {state.bundle}, {decision.share:.1%} of users: {decision.why}"
        self._events.say(
            about,
            kind,
            _REASONS[decision.what],
            f"{text} (by {decision.by})",
            once_for=str(decision.at_s),
        )

    def _say_refusal(self, about: V1ObjectReference, move: Move) -> None:
        refused = move if move.action is Action.BLOCKED else None
        if refused is not None and refused != self._refused:
            self._events.say(about, Kind.WARNING, "Refused", f"{move.why}; {move.what_to_do}")
        self._refused = refused

    def _reference(self, found: V1ConfigMap) -> V1ObjectReference:
        return V1ObjectReference(
            api_version="v1",
            kind="ConfigMap",
            namespace=self._address.namespace,
            name=self._address.name,
            uid=found.metadata.uid if found.metadata is not None else None,
        )
