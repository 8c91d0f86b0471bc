"""What travels over HTTP: requests that are checked, answers that are described.

Everything a person reads in ``/docs`` stands here: each field's sentence and each example.
"""

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from deployments.cursor import NOTHING_SHOWN, decode_cursor
from deployments.question import Question, SessionItem
from recsys.data.events import POSITIVE_EVENTS, EventKind
from recsys.pipeline.filters import Filters
from recsys.rollout.dealing import NO_WISHES, Wishes

MAX_ID_LENGTH = 256
MAX_TOP_N = 100
MAX_EXCLUDED = 1_000
MAX_SESSION = 200
MAX_FILTER_VALUES = 100
_MAX_CURSOR_LENGTH = 10_000
_LATEST_S = 1e11  # the year 5138: whatever is later is not a Unix time in seconds


def _id_from_number(value: object) -> object:
    """Accept whole numbers as ids: 17 is "17"."""
    return str(value) if type(value) is int and abs(value) < 10**MAX_ID_LENGTH else value


Id = Annotated[
    str, Field(min_length=1, max_length=MAX_ID_LENGTH), BeforeValidator(_id_from_number, str | int)
]
TopN = Annotated[int, Field(ge=1, le=MAX_TOP_N, strict=True)]
UnixTime = Annotated[float, Field(ge=0, le=_LATEST_S)]
Names = Annotated[tuple[str, ...], Field(min_length=1, max_length=MAX_FILTER_VALUES)]


class _Wire(BaseModel):
    """Refuses fields that it does not know, and numbers that are none."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False, str_max_length=10_000
    )


class SessionEvent(_Wire):
    """Something the user did just now."""

    item_id: Id
    """The item."""
    kind: EventKind = EventKind.WATCH
    """What happened. Skipped and disliked items are left out of the answer and say nothing of the taste."""
    time_s: UnixTime | None = None
    """When, in Unix seconds; now when absent."""


def _id_or_event(value: object) -> str:
    return "event" if isinstance(value, dict | SessionEvent) else "id"


_InSession = Annotated[
    Annotated[Id, Tag("id")] | Annotated[SessionEvent, Tag("event")], Discriminator(_id_or_event)
]


class FiltersIn(_Wire):
    """What the items in the answer must be like. An item whose value is unknown does not match."""

    tags_any: Names | None = None
    """At least one of these tags."""
    tags_none: Names | None = None
    """None of these tags."""
    creator_ids: Annotated[tuple[Id, ...], Field(min_length=1, max_length=MAX_FILTER_VALUES)] | None = None
    """By one of these creators."""
    min_duration_s: Annotated[float, Field(ge=0)] | None = None
    """At least so long, in seconds."""
    max_duration_s: Annotated[float, Field(ge=0)] | None = None
    """At most so long, in seconds."""
    published_after_s: float | None = None
    """Published after this Unix time."""
    published_before_s: float | None = None
    """Published before this Unix time."""


class RecommendRequest(_Wire):
    """Who asks, and for what. Every field may be absent."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"user_id": "42", "top_n": 5},
                {"session": ["1", "318"], "top_n": 5, "explain": True},
                {"user_id": "42", "exclude_ids": ["1"], "filters": {"tags_any": ["Comedy"]}, "variety": 0.3},
            ]
        }
    )

    user_id: Id | None = None
    """Who asks; without it the answer rests on the session alone. Unknown users are welcome."""
    session_id: Id | None = None
    """Whose visit it is when there is no user id: keeps anonymous visitors in one arm of a rollout."""
    top_n: TopN = 10
    """How many items."""
    session: Annotated[tuple[_InSession, ...], Field(max_length=MAX_SESSION)] = ()
    """What the user met just now, from old to new: item ids, or events."""
    exclude_ids: Annotated[tuple[Id, ...], Field(max_length=MAX_EXCLUDED)] = ()
    """Items that must not be in the answer."""
    cursor: Annotated[str, Field(max_length=_MAX_CURSOR_LENGTH)] | None = None
    """The cursor of the page before this one: pages never repeat an item."""
    context: Annotated[str, Field(max_length=MAX_ID_LENGTH)] | None = None
    """Where the list is shown: a surface, a country; as in the data trained on."""
    filters: FiltersIn | None = None
    """What the items must be like."""
    variety: Annotated[float, Field(ge=0, le=1)] | None = None
    """0: the likeliest items; 1: items as unlike each other as can be. Absent: 0, or as experiments say."""
    explain: Annotated[bool, Field(strict=True)] = False
    """Give a reason with every item."""

    def question(
        self,
        *,
        request_id: str,
        now_s: float,
        wishes: Wishes = NO_WISHES,
        name: Callable[[str], str] = str,
    ) -> Question:
        """Return what the router is asked.

        Args:
            request_id: of the answer.
            now_s: Unix time.
            wishes: arms that are asked for.
            name: turns a user id into what the user is called inside.

        Raises:
            FieldError: the cursor is not one of ours.
        """
        return Question(
            request_id=request_id,
            now_s=now_s,
            top_n=self.top_n,
            user_id=None if self.user_id is None else name(self.user_id),
            session_id=self.session_id,
            wishes=wishes,
            session=tuple(_session_item(item, now_s) for item in self.session),
            exclude_ids=self.exclude_ids,
            shown=NOTHING_SHOWN.copy() if self.cursor is None else decode_cursor(self.cursor),
            context=self.context,
            filters=None if self.filters is None else Filters(**dict(self.filters)),
            variety=self.variety,
            explain=self.explain,
        )


def _session_item(item: "str | SessionEvent", now_s: float) -> SessionItem:
    if isinstance(item, str):
        return SessionItem(item)
    time_s = None if item.time_s is None else min(item.time_s, now_s)
    return SessionItem(item.item_id, item.kind in POSITIVE_EVENTS, time_s)


class EventIn(_Wire):
    """Something that happened. ``item_id`` for all kinds but ``signup`` and ``retraction``."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"event_id": "e-1", "user_id": "42", "kind": "watch", "item_id": "318", "value": 0.9},
                {"event_id": "e-2", "user_id": "42", "kind": "retraction", "retracts": "e-1"},
            ]
        }
    )

    event_id: Id
    """Yours, unique: the same one sent twice counts once."""
    user_id: Id
    """Whose event it is."""
    kind: EventKind
    """What happened."""
    item_id: Id | None = None
    """The item that it happened to."""
    time_s: UnixTime | None = None
    """When, in Unix seconds; now when absent."""
    value: float | None = None
    """Stars, or which share of the video was watched."""
    context: Annotated[str, Field(max_length=MAX_ID_LENGTH)] | None = None
    """Where it happened."""
    retracts: Id | None = None
    """Of a retraction: the event of the same user that it takes back."""
    request_id: Annotated[str, Field(max_length=MAX_ID_LENGTH)] | None = None
    """The answer in which the item was shown."""


class PageQuery(_Wire):
    """What a list may be asked for in an address."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)

    top_n: Annotated[int, Field(ge=1, le=MAX_TOP_N)] = 10
    """How many items."""
    cursor: Annotated[str, Field(max_length=_MAX_CURSOR_LENGTH)] | None = None
    """The cursor of the page before this one."""
    context: Annotated[str, Field(max_length=MAX_ID_LENGTH)] | None = None
    """Where the list is shown."""


class NoQuery(_Wire):
    """Nothing can be asked for in this address."""


class _Described(BaseModel):
    """Part of an answer; only described here, for answers are made without it."""

    model_config = ConfigDict(use_attribute_docstrings=True, extra="forbid")


class ItemOut(_Described):
    """One item of a list."""

    item_id: str
    score: float
    """Higher is better; only to be compared within one list."""
    position: int = Field(ge=1)
    """1 is the top."""
    source: str
    """Which recall source put it highest."""
    reason: str | None
    """A sentence, if ``explain`` was asked for."""


class DegradedOut(_Described):
    """Something that is missing in the answer."""

    stage: str
    """``state``: taken for anonymous. ``ranking``: in the order of recall. ``recall``: what is popular.
    ``item``: the item is unknown, this is what is popular."""
    why: str


class ExplorationOut(_Described):
    """What is left to chance in a list."""

    propensities: list[float]
    """The chance that each item had of standing in its place, the top first."""
    position: int | None
    """The place that was drawn; null when the list is the ranking's own."""
    choices: list[str]
    """What could have stood there; the ranking's own item first."""
    chances: list[float]
    """Of the choices, given that this place is drawn."""


class RecommendAnswer(_Described):
    """A list and how it came about."""

    request_id: str
    """Of this answer; give it with the events that follow from it."""
    items: list[ItemOut]
    """Best first; fewer than asked only when the catalogue has no more that fit."""
    arm: str
    """What the user is assigned to, in a rollout or an experiment."""
    bundle: str
    """The model that answered."""
    cursor: str | None
    """Send it back for the next page; null when there is none."""
    degraded: list[DegradedOut]
    """Empty when nothing is missing."""
    cached: bool
    """The list was computed for an earlier request that asked the same, seconds ago, and nothing of what it
    was made from has changed since."""
    override: bool
    """The arm was not dealt by chance: somebody asked for it, by ``X-Marquee-Arm`` or on the allow-list, or
    the arm that was dealt is killed. Such answers are kept out of statistics."""
    experiments: dict[str, str]
    """The arms of experiments besides the rollout, by experiment; those that were asked for are left out."""
    teams: list[str]
    """Of a list in which two bundles take turns: the arm that picked each item; else empty."""
    exploration: ExplorationOut | None
    """Where lists may explore; null when nothing is left to chance."""


class EventResult(_Described):
    """What became of one event."""

    event_id: str | None
    status: Literal["accepted", "duplicate", "erased", "unknown", "later", "rejected"]
    """``duplicate``: it was known. ``erased``: older than the erasure of its user. ``unknown``: retracts
    what is not there (yet). ``later``: safe on disk, to be applied when the user state is back.
    ``rejected``: see problem."""
    problem: str | None
    """Of a rejected event: the field, what came, what was expected."""


class EventsAnswer(_Described):
    """What became of each event, in the order sent. By now all but the rejected ones are safe on disk."""

    results: list[EventResult]


class ErasureAnswer(_Described):
    """A user is forgotten."""

    user_id: str
    erased_at_s: float
    """Events up to this time will never be used again."""
    status: Literal["erased", "later"]
    """``later``: safe on disk, to be done when the user state is back."""


class ItemAnswer(_Described):
    """An item as the catalogue has it."""

    item_id: str
    title: str | None
    tags: list[str]
    creator_id: str | None
    duration_s: float | None
    published_s: float | None
    cost: float | None
    available: bool


class FieldProblem(_Described):
    """One field that is wrong."""

    field: str
    """Its path, for example ``session[3].item_id``; ``body`` for all of it."""
    got: str
    expected: str


class ProblemOut(_Described):
    """What is wrong with a request (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[FieldProblem]
