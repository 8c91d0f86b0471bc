"""What a client sends: an interaction, an impression, an account creation, a retraction."""

from dataclasses import dataclass
from enum import StrEnum

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
