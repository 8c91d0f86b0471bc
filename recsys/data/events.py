"""What a client sends: an interaction, an impression, an account creation, a retraction."""

from dataclasses import dataclass
from enum import StrEnum

from recsys.core.errors import FieldError
from recsys.data.schema import POSITIVE_KINDS, Kind


class EventKind(StrEnum):
    """Every kind of event; the first eight are those of :class:`recsys.data.schema.Kind`."""

    WATCH = "watch"
    CLICK = "click"
    LIKE = "like"
    DISLIKE = "dislike"
    SKIP = "skip"
    SHARE = "share"
    RATING = "rating"
    IMPRESSION = "impression"
    SIGNUP = "signup"
    RETRACTION = "retraction"


POSITIVE_EVENTS = frozenset(EventKind(kind.value) for kind in POSITIVE_KINDS)
SEEN_EVENTS = frozenset(EventKind(kind.value) for kind in Kind if kind is not Kind.IMPRESSION)
"""Kinds after which an item is not recommended again. An impression alone does not hide an item."""
_WITHOUT_ITEM = frozenset({EventKind.SIGNUP, EventKind.RETRACTION})


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event, already validated.

    ``item_id`` is set for all kinds but ``signup`` and ``retraction``; ``retracts`` (an event id of the same
    user) is set for ``retraction`` alone.
    """

    event_id: str
    user_id: str
    kind: EventKind
    time_s: float
    item_id: str | None = None
    value: float | None = None
    context: str | None = None
    retracts: str | None = None
    request_id: str | None = None


def check_fields(event: Event, within: str = "") -> None:
    """Refuse an event that lacks what its kind needs, or has what it must not have.

    Args:
        event: of whatever origin.
        within: stands before the names of fields in the error: ``events[3].``.

    Raises:
        FieldError: with the field.
    """
    if (event.item_id is None) != (event.kind in _WITHOUT_ITEM):
        expected = "nothing" if event.kind in _WITHOUT_ITEM else "an item id"
        raise FieldError(f"{within}item_id", repr(event.item_id), f"{expected}, for the kind is {event.kind}")
    if (event.retracts is None) == (event.kind is EventKind.RETRACTION):
        expected = "an event id" if event.kind is EventKind.RETRACTION else "nothing"
        raise FieldError(
            f"{within}retracts", repr(event.retracts), f"{expected}, for the kind is {event.kind}"
        )
