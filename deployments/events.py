"""The body of ``POST /events``: one event or many, each judged on its own."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from deployments.api import EventIn
from deployments.problems import RefusalError, Wrong, invalid, malformed, shortened
from deployments.settings import Limits
from recsys.core.errors import FieldError
from recsys.data.events import Event, check_fields


@dataclass(frozen=True, slots=True)
class Judged:
    """The events of a body: each is an event, or a refusal and the id that it claims."""

    events: list[Event | RefusalError]
    claimed_ids: list[str | None]


def read_events(body: bytes, *, now_s: float, limits: Limits) -> Judged:
    """Return the events of a body.

    Args:
        body: one event, or a list of up to ``limits.max_events``.
        now_s: Unix time; events without a time get it.
        limits: how many, and how far ahead of us their time may be.

    Raises:
        RefusalError: the body is not JSON, too many events, or none of them can be used.
    """
    try:
        sent = from_json(body)
    except ValueError as error:
        raise malformed(str(error), shortened(body[:200])) from error
    one = not isinstance(sent, list)
    raw: list[Any] = [sent] if one else sent
    if not 1 <= len(raw) <= limits.max_events:
        wrong = Wrong("body", f"{len(raw)} events", f"1 to {limits.max_events} events")
        raise RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, str(wrong), (wrong,))
    events = [
        _judge(part, "" if one else f"events[{place}]", now_s, limits.max_clock_skew_s)
        for place, part in enumerate(raw)
    ]
    refused = [event for event in events if isinstance(event, RefusalError)]
    if len(refused) == len(events):
        raise RefusalError(refused[0].status, refused[0].detail, refused[0].errors)
    return Judged(events, [_claimed_id(part) for part in raw])


def _judge(raw: object, within: str, now_s: float, max_skew_s: float) -> Event | RefusalError:
    try:
        sent = EventIn.model_validate(raw)
    except ValidationError as error:
        return invalid(error, within=within)
    try:
        return _event(sent, within, now_s, max_skew_s)
    except FieldError as error:
        wrong = Wrong(error.field, error.got, error.expected)
        return RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, str(wrong), (wrong,))


def _event(sent: EventIn, within: str, now_s: float, max_skew_s: float) -> Event:
    prefix = f"{within}." if within else ""
    if sent.time_s is not None and sent.time_s > now_s + max_skew_s:
        raise FieldError(
            f"{prefix}time_s", repr(sent.time_s), f"at most {max_skew_s:g} s ahead of {now_s:.0f}"
        )
    event = Event(**{**dict(sent), "time_s": now_s if sent.time_s is None else sent.time_s})
    check_fields(event, prefix)
    return event


def _claimed_id(raw: object) -> str | None:
    claimed = raw.get("event_id") if isinstance(raw, dict) else None
    return claimed[:256] if isinstance(claimed, str) else None
