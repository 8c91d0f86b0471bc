"""Names in place of names: pseudonyms, which need a key, and tombstones, which outlive their user.

A file of keys holds one key as it is (16 to 64 bytes), or several, the current one first, as lines of 64 hex
digits. After a rotation new pseudonyms come from the new key; who has to find everything of a user looks for
:meth:`Pseudonyms.all_of`.
"""

import os
import re
import secrets
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Self

from recsys.core.durable import locked, replace_durably, sync_file
from recsys.core.errors import DataFormatError

DOOR_KEY_VARIABLE = "MARQUEE_PRIVACY_KEY"
"""Names the file of keys by which users are called behind the door, where it is not beside the event log."""

_KEY_BYTES = 32
_PSEUDONYM_BYTES = 16  # two of a billion users share one with odds of 1 in 10^21
_SESSION = b"session"  # so that a session is never taken for the user whose id it happens to have
_TOMBSTONE = b"tombstone"
_TOMBSTONE_OF = "tombstone:"
_KEYS = re.compile(rb"([0-9a-f]{64}\n)+")  # never a single key as it is: longer than 64 bytes


class Pseudonyms:
    """Turns user ids into pseudonyms: always the same for a user, meaningless without the key.

    Args:
        keys: 16 to 64 secret bytes each; the first is the current one.

    Source: BLAKE2b with a key (RFC 7693, section 2.9).
    """

    def __init__(self, *keys: bytes) -> None:
        # the keys are mixed in once, not per user
        self._users = [blake2b(key=key, digest_size=_PSEUDONYM_BYTES) for key in keys]
        self._user = self._users[0]
        self._session = blake2b(key=keys[0], digest_size=_PSEUDONYM_BYTES, person=_SESSION)

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """Read the keys from a file; the first of all processes that ask makes it, with one key.

        Raises:
            DataFormatError: the file holds no key.
            OSError: it can neither be read nor made.
        """
        with suppress(FileExistsError):
            _make_key(path)
        return cls(*_keys_in(path))

    def of(self, user_id: str) -> str:
        """Return the pseudonym of a user, 32 hex digits."""
        begun = self._user.copy()
        begun.update(user_id.encode())
        return begun.hexdigest()

    def all_of(self, user_id: str) -> tuple[str, ...]:
        """Return the pseudonyms of a user under all keys, the current one first."""
        found = []
        for user in self._users:
            begun = user.copy()
            begun.update(user_id.encode())
            found.append(begun.hexdigest())
        return tuple(found)

    def of_session(self, session_id: str) -> str:
        """Return the pseudonym of a session, 32 hex digits; never that of a user with the same id."""
        begun = self._session.copy()
        begun.update(session_id.encode())
        return begun.hexdigest()


def tombstone_of(name: str) -> str:
    """Return what an erased user is remembered by: a hash of the name, and of no use as a name.

    The tombstone of a tombstone is itself, so that what was remembered by one can be handed on like a name.
    It has no key: whoever can guess an id can tell that it was erased. A pseudonym cannot be guessed.

    >>> tombstone_of("ada") == tombstone_of(tombstone_of("ada"))
    True
    """
    if name.startswith(_TOMBSTONE_OF) and len(name) == len(_TOMBSTONE_OF) + 2 * _PSEUDONYM_BYTES:
        return name
    digest = blake2b(name.encode(), digest_size=_PSEUDONYM_BYTES, person=_TOMBSTONE).hexdigest()
    return f"{_TOMBSTONE_OF}{digest}"


def key_beside(folder: Path, variable: str) -> Path:
    """Return the file of keys for a folder: the one that an environment variable names, or beside it.

    Beside, not inside: so the folder may be handed on.
    """
    named = os.environ.get(variable)
    return Path(named) if named else folder.with_name(f"{folder.name}.key")


def door_key_for(event_log: Path) -> Path:
    """Return the file of the keys by which users are called behind the door: one for all that is kept."""
    return key_beside(event_log, DOOR_KEY_VARIABLE)


def rotate_key(path: Path) -> int:
    """Put a new key before those of a file, for it alone to be used from now on; return how many there are.

    Raises:
        DataFormatError: the file holds no key, or one that is not of 32 bytes and cannot stand in a line.
        OSError: it cannot be read or replaced; it stays as it was.
    """
    with locked(path.with_name(f".{path.name}.lock")):
        keys = _keys_in(path)
        if any(len(key) != _KEY_BYTES for key in keys):
            raise DataFormatError(path, f"a key of {_KEY_BYTES} bytes, to rotate it", f"{len(keys[0])} bytes")
        keys.insert(0, secrets.token_bytes(_KEY_BYTES))
        replace_durably(path, b"".join(f"{key.hex()}\n".encode() for key in keys), mode=0o600)
    return len(keys)


def _keys_in(path: Path) -> list[bytes]:
    content = path.read_bytes()
    if _KEYS.fullmatch(content):
        return [bytes.fromhex(line) for line in content.decode().split()]
    if not _KEY_BYTES // 2 <= len(content) <= 2 * _KEY_BYTES:
        raise DataFormatError(path, "a key of 16 to 64 bytes", f"{len(content)} bytes")
    return [content]


def _make_key(path: Path) -> None:
    """Make a key file whole or not at all; FileExistsError when there is one."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(temporary)  # unlike a rename, it replaces nobody's key
        sync_file(path.parent)
    finally:
        temporary.unlink()
