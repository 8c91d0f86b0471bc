"""What people do to a rollout: read the document, change it, write it; and again if it moved."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from recsys.core.errors import ConflictError
from recsys.rollout.state import RolloutState
from recsys.rollout.traffic import TrafficDocument
from recsys.rollout.traffic_store import TrafficStore

_TRIES = 10

Change = Callable[[TrafficDocument], TrafficDocument]


def change(store: TrafficStore, how: Change) -> TrafficDocument:
    """Change the traffic document; when somebody else was faster, change theirs.

    Raises:
        ConflictError: others were faster ten times.
        RecsysError: what ``how`` or the store say.
    """
    for _ in range(_TRIES - 1):
        with suppress(ConflictError):
            return _changed_once(store, how)
    return _changed_once(store, how)


def _changed_once(store: TrafficStore, how: Change) -> TrafficDocument:
    document = store.read()
    new = how(document)
    store.swap(new, expected_version=document.version)
    return new


def rollout_id(bundle: str, now_s: float) -> str:
    """Return a name for a rollout that begins now: sorted by time, and it says of what."""
    return f"r{datetime.fromtimestamp(now_s, UTC):%Y%m%d-%H%M%S}-{bundle[:6]}"


def rollouts(store: TrafficStore) -> list[RolloutState]:
    """Return all rollouts that the store remembers, the latest last, each with all its decisions."""
    latest: dict[str, RolloutState] = {}
    for document in store.history():
        if document.rollout is not None:
            latest[document.rollout.id] = document.rollout
    return list(latest.values())
