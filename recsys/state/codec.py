"""Records as bytes: a small *view* that serving reads, and a *ledger* that only a change needs.

A view is ``format, n (two uint32) | n times (float64) | JSON [item ids, other seen items, erased_at_s,
seen_since_s]``, little-endian: the times become an array without a copy. A ledger is JSON. Where it is known
how much of an item was watched, the format is 2: n shares (float32, nan = unknown) follow the times, and a
ledger has a column more. All else is written as 1, which older programs read.
"""

import struct
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import orjson

from recsys.core.errors import UnavailableError
from recsys.state.record import Ledger, Record, Sort, StateLimits
from recsys.state.store import UserState

FORMATS = (1, 2)
"""Versions of both layouts; a store made by another version is refused, never guessed at."""

_VERSION_BYTES = 8  # two states of one user share a version with odds of 1 in 10^19
_VIEW_HEAD = struct.Struct("<II")


def view_of(record: Record, limits: StateLimits) -> bytes:
    """Return what serving reads of a record."""
    positive = record.ledgers[Sort.POSITIVE]
    rows = zip(positive.abouts, positive.times_s, positive.watched, strict=True)
    history = [row for row in rows if row[0] is not None][-limits.history_limit :]
    item_ids = [item_id for item_id, _, _ in history]
    seen: dict[str | None, None] = dict.fromkeys(record.settled)  # a dict, not a set: runs give equal bytes
    seen |= dict.fromkeys(record.ledgers[Sort.SEEN].abouts) | dict.fromkeys(positive.abouts)
    others = seen.keys() - set(item_ids) - {None}
    rest = [item_id for item_id in seen if item_id in others]
    arrays = np.array([time_s for _, time_s, _ in history], dtype="<f8").tobytes()
    shares = [share for _, _, share in history]
    version = _format_of(shares)
    if version > 1:
        with np.errstate(over="ignore"):
            arrays += np.array(shares, dtype="<f8").astype("<f4").tobytes()  # None becomes nan
    tail = orjson.dumps([item_ids, rest, record.erased_at_s, record.seen_since_s])
    return _VIEW_HEAD.pack(version, len(item_ids)) + arrays + tail


def read_view(view: bytes) -> UserState:
    """Return the user state of a view.

    Raises:
        UnavailableError: another version of this program wrote it.
    """
    version, n_items = _VIEW_HEAD.unpack_from(view)
    _check(version)
    times_s = np.frombuffer(view, dtype="<f8", count=n_items, offset=8)
    end, watched = 8 + 8 * n_items, None
    if version > 1:
        watched = np.frombuffer(view, dtype="<f4", count=n_items, offset=end)
        end += 4 * n_items
    item_ids, rest, erased_at_s, seen_since_s = orjson.loads(memoryview(view)[end:])
    seen = frozenset(item_ids + rest)
    digest = blake2b(view, digest_size=_VERSION_BYTES).digest()  # of all that serving reads, whoever wrote it
    return UserState(tuple(item_ids), times_s, seen, erased_at_s, seen_since_s, digest, watched)


def encode_record(record: Record) -> bytes:
    """Return a record as bytes, for :func:`decode_record`."""
    version = max(_format_of(ledger.watched) for ledger in record.ledgers)
    ledgers = [[ledger.times_s, ledger.event_ids, ledger.abouts] for ledger in record.ledgers]
    if version > 1:
        for columns, ledger in zip(ledgers, record.ledgers, strict=True):
            columns.append(ledger.watched)
    return orjson.dumps([version, ledgers, record.settled, record.seen_since_s, record.erased_at_s])


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


def _format_of(shares: Sequence[float | None]) -> int:
    return 1 if all(share is None for share in shares) else 2


def _check(version: int) -> None:
    if version not in FORMATS:
        known = " and ".join(map(str, FORMATS))
        raise UnavailableError("user state", f"a record has format {version}; this program reads {known}")
