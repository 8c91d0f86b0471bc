"""What is said to the service and what it says, by HTTP alone."""

from collections.abc import Container, Sequence
from dataclasses import dataclass

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from loadtest.live.population import Visit
from loadtest.live.reactions import KINDS, Reactions
from loadtest.transports.exchange import Request
from recsys.core.errors import InputError

_MOST_MET = 50  # of a session without a name, sent along

Happened = tuple[int, str, str, float]
"""Position from 1, item id, kind of event, share watched."""

SHORT, REPEATED, UNKNOWN = "short list", "repeated item", "unknown item"
"""What is wrong with a list that came."""


class NoAnswerError(InputError):
    """The body is not what the service promises."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)  # fields that we do not use may come and go


class _Item(_Part):
    item_id: str


class _List(_Part):
    request_id: str
    items: tuple[_Item, ...]
    arm: str
    bundle: str
    degraded: tuple[object, ...] = ()


class _EventResult(_Part):
    status: str


class _EventResults(_Part):
    results: tuple[_EventResult, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """A list that came."""

    request_id: str
    arm: str
    bundle: str
    item_ids: tuple[str, ...]
    degraded: bool


@dataclass(frozen=True, slots=True)
class Sent:
    """Events on their way."""

    n: int


def ask(visit: Visit, top_n: int) -> Request:
    """Return the request for a list. People without a name tell what they met in this session."""
    visitor = visit.visitor
    asked: dict[str, object] = {"top_n": top_n}
    if visitor.user_id is not None:
        asked["user_id"] = visitor.user_id
    else:
        asked["session_id"] = visitor.session_id
        asked["session"] = [{"item_id": item_id, "kind": kind} for item_id, kind in visitor.met[-_MOST_MET:]]
    return Request("recommend", "POST", "/recommend", orjson.dumps(asked), session=visit)


def read_list(body: bytes) -> Shown:
    """Return the list in an answer.

    Raises:
        NoAnswerError: it is none.
    """
    try:
        found = _List.model_validate_json(body)
    except ValidationError as error:
        raise NoAnswerError(str(error)) from error
    item_ids = tuple(item.item_id for item in found.items)
    return Shown(found.request_id, found.arm, found.bundle, item_ids, bool(found.degraded))


def fault_of(shown: Shown, top_n: int, known: Container[str]) -> str | None:
    """Return what is wrong with a list, None when nothing is.

    Args:
        shown: the list.
        top_n: how many items were asked for.
        known: ids of all items of the world.
    """
    if len(set(shown.item_ids)) < len(shown.item_ids):
        return REPEATED
    if any(item_id not in known for item_id in shown.item_ids):
        return UNKNOWN
    return SHORT if len(shown.item_ids) < top_n else None


def happened(item_ids: Sequence[str], reactions: Reactions) -> list[Happened]:
    """Return what became of the positions that were looked at."""
    kinds, values = reactions.kinds[0].tolist(), reactions.values[0].tolist()
    return [
        (position, item_id, KINDS[kind].value, value)
        for position, (item_id, kind, value) in enumerate(zip(item_ids, kinds, values, strict=True), 1)
        if kind >= 0
    ]


def tell(
    done: Sequence[Happened], *, user_id: str, event_id: str, time_s: float, request_id: str | None = None
) -> Request:
    """Return the request that brings events home.

    Args:
        done: of :func:`happened`.
        user_id: whose events they are.
        event_id: beginning of their ids.
        time_s: Unix time of the service's clock, not of the world's.
        request_id: of the list that they follow from; None: people found the videos without the service.
    """
    events = [
        {
            "event_id": f"{event_id}-{position}",
            "user_id": user_id,
            "kind": kind,
            "item_id": item_id,
            "time_s": time_s,
            "value": value,
            **({} if request_id is None else {"request_id": request_id}),
        }
        for position, item_id, kind, value in done
    ]
    return Request("events", "POST", "/events", orjson.dumps(events), session=Sent(len(events)))


def read_results(body: bytes) -> list[str]:
    """Return what became of each event, in the order sent.

    Raises:
        NoAnswerError: the answer does not say.
    """
    try:
        return [result.status for result in _EventResults.model_validate_json(body).results]
    except ValidationError as error:
        raise NoAnswerError(str(error)) from error
