"""What stands in the log: events, and erasures of users. One JSON object each, tagged with its sort."""

from dataclasses import dataclass

import orjson

from recsys.core.errors import FieldError
from recsys.data.events import Event, EventKind

MAX_ENTRY_BYTES = 1 << 20
"""A longer entry is refused: the API limits every field far below this."""

_ERASURE = b'{"erasure":'
_REDACTED = b'{"redacted":'
_REDACTION = _REDACTED + b'"%s"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """A user asked to be forgotten: what happened up to ``at_s`` must not be used again."""

    user_id: str  # or, once the log is redacted, recsys.core.pseudonyms.tombstone_of it
    at_s: float


Entry = Event | Erasure


def encode_entry(entry: Entry) -> bytes:
    """Return an entry as JSON.

    Raises:
        FieldError: it is longer than :data:`MAX_ENTRY_BYTES`, or holds text that is not Unicode.
    """
    tag = "event" if isinstance(entry, Event) else "erasure"
    try:
        payload = orjson.dumps({tag: entry})
    except TypeError as error:  # a lone surrogate
        raise FieldError(tag, str(error), "values that JSON can hold") from error
    if len(payload) > MAX_ENTRY_BYTES:
        raise FieldError(tag, f"{len(payload)} bytes", f"at most {MAX_ENTRY_BYTES} bytes")
    return payload


def decode_entry(payload: bytes) -> Entry:
    """Return the entry that :func:`encode_entry` wrote.

    Raises:
        ValueError: these bytes are no entry, or one of a sort that a later version of this program added.
    """
    tagged = orjson.loads(payload)
    try:
        [(tag, fields)] = tagged.items()
        if tag == "event":
            return Event(**{**fields, "kind": EventKind(fields["kind"])})
        if tag == "erasure":
            return Erasure(**fields)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not an entry: {error}") from error
    raise ValueError(f"an entry of the unknown sort {tag!r}")


def is_erasure(payload: bytes) -> bool:
    """Return whether a payload holds an erasure, without decoding it."""
    return payload.startswith(_ERASURE)


def redaction(n_bytes: int) -> bytes:
    """Return a payload of this length, at least 15, that says nothing: what is left of a redacted entry."""
    return _REDACTION % (b"-" * (n_bytes - len(_REDACTION) + 2))


def is_redaction(payload: bytes) -> bool:
    """Return whether a payload is what :func:`redaction` made, without decoding it."""
    return payload.startswith(_REDACTED)
