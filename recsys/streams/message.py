"""What a message holds: an entry of the log as JSON, or something that cannot be used, and why."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pydantic import PositiveFloat, PositiveInt, TypeAdapter, ValidationError

from recsys.core.errors import FieldError, InputError
from recsys.core.settings import FrozenModel, first_fault
from recsys.data.events import Event, check_fields
from recsys.eventlog.entry import MAX_ENTRY_BYTES, Entry, Erasure

SCHEMA_HEADER: Final = "schema"
SCHEMA_VERSION: Final = 1
"""Stands in a header of every message; a message without one has this version."""


class Reason(StrEnum):
    """Why a message cannot be used."""

    MALFORMED = "malformed"  # not JSON, or not the fields of an entry
    OVERSIZED = "oversized"  # longer than an entry may be
    UNKNOWN_SCHEMA = "unknown-schema"  # a later version of this program wrote it
    FUTURE = "future"  # it says that it happened later than now
    DAMAGED = "damaged"  # bytes of a file have changed since they were written


class PoisonError(InputError):
    """A message that cannot be used: it goes to the dead letters."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)

    @property
    def reason(self) -> Reason:
        """Why, to count by."""
        return Reason(self.args[0])

    @property
    def detail(self) -> str:
        """Why, to read."""
        return str(self.args[1])

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it came."""

    position: int  # within its source
    value: bytes | None
    key: bytes | None = None
    schema: bytes | None = None  # the header
    sent_s: float | None = None  # Unix time at which it reached the broker; None: nobody wrote that down
    damage: str | None = None  # what is wrong with the bytes, when whoever read them saw that something is

    @property
    def is_tombstone(self) -> bool:
        """Whether it says that what was sent under its key is to be forgotten."""
        return self.value is None and self.key is not None and self.damage is None


class Judgement(FrozenModel):
    """What is still taken for an event."""

    max_ahead_s: PositiveFloat = 300.0
    """How far ahead of ours the clock of a client may be."""

    max_bytes: PositiveInt = MAX_ENTRY_BYTES
    """The longest message."""


class _Tagged(FrozenModel):
    """An entry as it stands in a message: one of the two."""

    event: Event | None = None
    erasure: Erasure | None = None


_READER: Final = TypeAdapter(_Tagged)


def read_message(message: Message, *, now_s: float, judgement: Judgement) -> Entry:
    """Return the entry of a message; unlike those of our own files, it may come from anybody.

    Args:
        message: as it came.
        now_s: Unix time.
        judgement: limits.

    Raises:
        PoisonError: it holds none, or one that must not be used.
    """
    value = usable_bytes(message, judgement)
    try:
        tagged = _READER.validate_json(value, strict=True)
    except ValidationError as error:
        raise malformed(error) from error
    entry = tagged.event or tagged.erasure
    if entry is None or (tagged.event is not None and tagged.erasure is not None):
        raise PoisonError(Reason.MALFORMED, "expected an event or an erasure")
    check_ids(entry.user_id)
    time_s = entry.at_s if isinstance(entry, Erasure) else _checked(entry).time_s
    if not math.isfinite(time_s):
        raise PoisonError(Reason.MALFORMED, f"the time is {time_s}")
    if time_s > now_s + judgement.max_ahead_s:
        raise PoisonError(Reason.FUTURE, f"{time_s - now_s:.0f} s ahead of {now_s:.0f}")
    return entry


def usable_bytes(message: Message, judgement: Judgement) -> bytes:
    """Return the bytes of a message whose version and length we can read.

    Raises:
        PoisonError: they are not to be read.
    """
    if message.damage is not None:
        raise PoisonError(Reason.DAMAGED, message.damage)
    if message.schema is not None and message.schema != str(SCHEMA_VERSION).encode():
        raise PoisonError(
            Reason.UNKNOWN_SCHEMA, f"schema {message.schema[:20]!r}; this program reads {SCHEMA_VERSION}"
        )
    if not message.value:
        raise PoisonError(Reason.MALFORMED, "empty")
    if len(message.value) > judgement.max_bytes:
        raise PoisonError(Reason.OVERSIZED, f"{len(message.value)} bytes; at most {judgement.max_bytes}")
    return message.value


def malformed(error: ValidationError) -> PoisonError:
    """Return what is wrong with a message that has not the fields it should have."""
    return PoisonError(Reason.MALFORMED, first_fault(error, "message"))


def check_ids(*ids: str | None) -> None:
    """Raise PoisonError when an id is empty."""
    if "" in ids:
        raise PoisonError(Reason.MALFORMED, "an id is empty")


def _checked(event: Event) -> Event:
    """Return an event whose kind has what it needs."""
    check_ids(event.event_id, event.item_id, event.retracts)
    try:
        check_fields(event)
    except FieldError as error:
        raise PoisonError(Reason.MALFORMED, str(error)) from error
    if event.value is not None and not math.isfinite(event.value):
        raise PoisonError(Reason.MALFORMED, f"the value is {event.value}")
    return event
