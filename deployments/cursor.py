"""The cursor of a list: which items earlier pages held. No state on the server, good for any bundle.

It holds 40 bits of each shown item's hash. Two of a million items share them with odds of about one in a
million for a given one; such an item is skipped, never shown twice.
"""

import base64
import binascii
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from recsys.core.errors import FieldError
from recsys.core.hashing import hash64_many

MAX_SHOWN = 1_000
"""After so many items there is no next page."""

_VERSION = b"\x01"
HASH_BYTES = 5
"""What is kept of each hash."""
_MASK = np.uint64((1 << 8 * HASH_BYTES) - 1)
_CHECK_BYTES = 4

Hashes = NDArray[np.uint64]

NOTHING_SHOWN: Hashes = np.zeros(0, dtype=np.uint64)


def item_hashes(item_ids: list[str] | tuple[str, ...]) -> Hashes:
    """Return 40 bits of each item's hash, shape (items,)."""
    return hash64_many(item_ids) & _MASK


def pack(hashes: Hashes) -> bytes:
    """Return hashes as a cursor holds them, :data:`HASH_BYTES` each."""
    return hashes.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :HASH_BYTES].tobytes()


def encode_cursor(packed: bytes) -> str | None:
    """Return the cursor behind a page, None when that was the last one.

    Args:
        packed: hashes of all items shown so far, those of this page too, as :func:`pack` gives them.
    """
    if not 0 < len(packed) <= MAX_SHOWN * HASH_BYTES:
        return None
    body = _VERSION + packed
    return base64.urlsafe_b64encode(crc32(body).to_bytes(_CHECK_BYTES, "little") + body).decode().rstrip("=")


def decode_cursor(cursor: str) -> Hashes:
    """Return the hashes of the items shown so far, shape (shown,).

    Raises:
        FieldError: this is no cursor of ours, or it was cut or changed.
    """
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _not_a_cursor(cursor) from error
    check, body = raw[:_CHECK_BYTES], raw[_CHECK_BYTES:]
    packed = np.frombuffer(body[1:], dtype=np.uint8)
    sound = (
        body[:1] == _VERSION
        and check == crc32(body).to_bytes(_CHECK_BYTES, "little")
        and 0 < len(packed) <= MAX_SHOWN * HASH_BYTES
        and len(packed) % HASH_BYTES == 0
    )
    if not sound:
        raise _not_a_cursor(cursor)
    wide = np.zeros((len(packed) // HASH_BYTES, 8), dtype=np.uint8)
    wide[:, :HASH_BYTES] = packed.reshape(-1, HASH_BYTES)
    return wide.view("<u8").astype(np.uint64).ravel()


def _not_a_cursor(cursor: str) -> FieldError:
    return FieldError("cursor", repr(cursor[:40]), "the cursor of an earlier answer, unchanged")
