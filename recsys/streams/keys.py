"""Keys of messages: each its own, so that a broker can forget one without the others."""

from hashlib import blake2b
from typing import Final

_KEY_BYTES: Final = 16


def key_of(*parts: bytes) -> bytes:
    """Return the key of a message, 32 hex digits; it names nobody, and what is sent twice has the same twice.

    Topics of events, exposures and dead letters are compacted: of messages under one key the latest stays,
    and none when that is a tombstone (no value). Keyed by user, everything of a person but the last would go.

    Args:
        parts: of the message, its value or whatever else makes it this one.
    """
    digest = blake2b(digest_size=_KEY_BYTES)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest().encode()
