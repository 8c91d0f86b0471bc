"""Records as bytes: a small *view* that serving reads, and a *ledger* that only a change needs.

A view is ``format, n (two uint32) | n times (float64) | JSON [item ids, other seen items, erased_at_s,
seen_since_s]``, little-endian: the times become an array without a copy. A ledger is JSON.
"""

import struct
from hashlib import blake2b

import numpy as np
import orjson

from recsys.core.errors import UnavailableError
from recsys.state.record import Ledger, Record, Sort, StateLimits
from recsys.state.store import UserState

FORMAT = 1
"""Version of both layouts; a store made by another version is refused, never guessed at."""

_VERSION_BYTES = 8  # two states of one user share a version with odds of 1 in 10^19
_VIEW_HEAD = struct.Struct("<II")


def view_of(record: Record, limits: StateLimits) -> bytes:
    """Return what serving reads of a record."""
    positive = record.ledgers[Sort.POSITIVE]
    pairs = zip(positive.abouts, positive.times_s, strict=True)
    history = [(item_id, time_s) for item_id, time_s in pairs if item_id is not None][-limits.history_limit :]
    item_ids = [item_id for item_id, _ in history]
    seen: dict[str | None, None] = dict.fromkeys(record.settled)  # a dict, not a set: runs give equal bytes
    seen |= dict.fromkeys(record.ledgers[Sort.SEEN].abouts) | dict.fromkeys(positive.abouts)
    others = seen.keys() - set(item_ids) - {None}
    rest = [item_id for item_id in seen if item_id in others]
    times = np.array([time_s for _, time_s in history], dtype="<f8").tobytes()
    tail = orjson.dumps([item_ids, rest, record.erased_at_s, record.seen_since_s])
    return _VIEW_HEAD.pack(FORMAT, len(item_ids)) + times + tail


def read_view(view: bytes) -> UserState:
    """Return the user state of a view.

    Raises:
        UnavailableError: another version of this program wrote it.
    """
    version, n_items = _VIEW_HEAD.unpack_from(view)
    _check(version)
    times_s = np.frombuffer(view, dtype="<f8", count=n_items, offset=8)
    item_ids, rest, erased_at_s, seen_since_s = orjson.loads(memoryview(view)[8 + 8 * n_items :])
    seen = frozenset(item_ids + rest)
    digest = blake2b(view, digest_size=_VERSION_BYTES).digest()  # of all that serving reads, whoever wrote it
    return UserState(tuple(item_ids), times_s, seen, erased_at_s, seen_since_s, digest)


def encode_record(record: Record) -> bytes:
    """Return a record as bytes, for :func:`decode_record`."""
    ledgers = [[ledger.times_s, ledger.event_ids, ledger.abouts] for ledger in record.ledgers]
    return orjson.dumps([FORMAT, ledgers, record.settled, record.seen_since_s, record.erased_at_s])


def decode_record(data: bytes | None) -> Record:
    """Return the record that :func:`encode_record` wrote; an empty one for None.

    Raises:
        UnavailableError: another version of this program wrote it.
    """
    if data is None:
        return Record()
    version, *fields = orjson.loads(data)
    _check(version)
    ledgers, settled, seen_since_s, erased_at_s = fields
    return Record(tuple(Ledger(*columns) for columns in ledgers), settled, seen_since_s, erased_at_s)


def _check(version: int) -> None:
    if version != FORMAT:
        raise UnavailableError("user state", f"a record has format {version}; this program reads {FORMAT}")
