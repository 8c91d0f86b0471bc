"""The controller of a service whose files lie in one folder."""

from pathlib import Path

from deployments.control.control import Controller
from deployments.control.counters import Counters, ServiceCounters
from deployments.control.outcomes import RecordedOutcomes
from deployments.control.readiness import readiness_of
from deployments.settings import ExposureSettings
from recsys.core.clock import unix_clock
from recsys.eventlog.exposure import key_for
from recsys.registry.open import open_registry
from recsys.rollout.traffic import TrafficDocument
from recsys.rollout.traffic_store import TrafficStore


def local_controller(
    store: TrafficStore,
    registry: str,
    url: str,
    *,
    counters: Counters | None = None,
    outcomes: RecordedOutcomes | None = None,
) -> Controller:
    """Return a controller.

    Args:
        store: the traffic document.
        registry: its address.
        url: of the service.
        counters: where counters come from; None: from the service itself.
        outcomes: where it is written down what became of the lists; None: nowhere.
    """
    return Controller(
        store,
        readiness=lambda state: readiness_of(url, state),
        counters=counters or ServiceCounters(url),
        outcomes=outcomes,
        registry=open_registry(registry),
        clock=unix_clock,
    )


def local_outcomes(exposures: ExposureSettings, events: Path | str) -> RecordedOutcomes | None:
    """Return what reads the outcomes of a service with these settings; None when nobody writes them down."""
    if exposures.folder is None:
        return None
    key = exposures.key or key_for(exposures.folder)
    return RecordedOutcomes(exposures.folder, events, key, clock=unix_clock)


def in_a_line(document: TrafficDocument) -> str:
    """Return the latest decision in one line."""
    if document.rollout is None:
        return "no rollout"
    latest = document.rollout.decisions[-1]
    return f"rollout {document.rollout.id}: {latest.what} to {latest.share:.1%}: {latest.why}"
