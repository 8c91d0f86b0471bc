"""Stable hashes: the same on every machine, in every process, forever."""

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_CHUNK_BYTES = 1 << 20


def hash64(text: str, salt: str = "") -> int:
    """Return a uniform 64-bit hash of ``text``; different salts give independent hashes.

    Source: BLAKE2b (RFC 7693), whose salt parameter separates uses by design.

    >>> hash64("ada") == hash64("ada"), hash64("ada") == hash64("ada", "experiment-1")
    (True, False)
    """
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8, key=_key(salt)).digest(), "little")


@lru_cache(maxsize=256)
def _key(salt: str) -> bytes:
    return hashlib.blake2b(salt.encode(), digest_size=32).digest() if salt else b""


def hash64_many(texts: Iterable[str], salt: str = "") -> NDArray[np.uint64]:
    """Return :func:`hash64` of each text, shape (texts,)."""
    return np.fromiter((hash64(text, salt) for text in texts), dtype=np.uint64)


def digest_bytes(data: bytes) -> str:
    """Return the SHA-256 of ``data`` as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hex digits, read in chunks of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
