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
_HASH_BYTES = 5
_MASK = np.uint64((1 << 8 * _HASH_BYTES) - 1)
_CHECK_BYTES = 4

Hashes = NDArray[np.uint64]

NOTHING_SHOWN: Hashes = np.zeros(0, dtype=np.uint64)


def item_hashes(item_ids: list[str] | tuple[str, ...]) -> Hashes:
    """Return 40 bits of each item's hash, shape (items,)."""
    return hash64_many(item_ids) & _MASK


def encode_cursor(shown: Hashes) -> str | None:
    """Return the cursor behind a page, None when that was the last one.

    Args:
        shown: hashes of all items shown so far, those of this page too.
    """
    if not 0 < len(shown) <= MAX_SHOWN:
        return None
    packed = shown.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :_HASH_BYTES].tobytes()
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
        and 0 < len(packed) <= MAX_SHOWN * _HASH_BYTES
        and len(packed) % _HASH_BYTES == 0
    )
    if not sound:
        raise _not_a_cursor(cursor)
    wide = np.zeros((len(packed) // _HASH_BYTES, 8), dtype=np.uint8)
    wide[:, :_HASH_BYTES] = packed.reshape(-1, _HASH_BYTES)
    return wide.view("<u8").astype(np.uint64).ravel()


def _not_a_cursor(cursor: str) -> FieldError:
    return FieldError("cursor", repr(cursor[:40]), "the cursor of an earlier answer, unchanged")
