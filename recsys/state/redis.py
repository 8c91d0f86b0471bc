"""User state in Redis: shared by every replica on every node."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from recsys.core.errors import FieldError, UnavailableError
from recsys.core.pseudonyms import tombstone_of
from recsys.data.events import Event
from recsys.state.codec import decode_record, encode_record, read_view, view_of
from recsys.state.record import (
    Record,
    StateLimits,
    apply_events,
    changes,
    erase_until,
    parts_of,
    positions_by_user,
)
from recsys.state.store import EMPTY, Applied, UserState

_PART = "user state"
_Encodable = bytes | bytearray | memoryview | str | int | float  # what redis-py takes
_ERASED = "erased:"  # before the prefix: no user id makes a key that looks like a tombstone's
_MOST_ATTEMPTS = 100  # of one change; in each round of a race somebody wins, so so many losses mean a storm

_READ = """
local views, n = {}, #KEYS / 2
for i = 1, n do
  views[i] = redis.call('HGET', KEYS[i], 'view') or redis.call('HGET', KEYS[n + i], 'view')
end
return views
"""

_VERSION = """
local n = #KEYS / 2
local function version_of(i)
  return (redis.call('HGET', KEYS[i], 'version') or '') .. (redis.call('HGET', KEYS[n + i], 'version') or '')
end
"""
"""Of a user: of what is kept of them and of their tombstone, for an erasure changes it too."""

_LOAD = f"""{_VERSION}
local found = {{}}
for i = 1, n do
  found[2 * i - 1] = version_of(i)
  found[2 * i] = redis.call('HGET', KEYS[i], 'ledger') or redis.call('HGET', KEYS[n + i], 'ledger')
end
return found
"""

_STORE = f"""{_VERSION}
local stored = {{}}
for i = 1, n do
  local before, after, view, ledger = unpack(ARGV, 4 * i - 3, 4 * i)
  if version_of(i) == before then
    redis.call('HSET', KEYS[i], 'version', after, 'view', view, 'ledger', ledger)
    stored[i] = 1
  else
    stored[i] = 0
  end
end
return stored
"""
"""Compare-and-set per user: a record that somebody else changed meanwhile stays, and is reported with 0."""

_ERASE = f"""{_VERSION}
local before, after, view, ledger, buried_view, buried_ledger = unpack(ARGV)
if version_of(1) ~= before then return {{0}} end
redis.call('HSET', KEYS[2], 'version', after, 'view', buried_view, 'ledger', buried_ledger)
redis.call('DEL', KEYS[1])
if ledger ~= '' then redis.call('HSET', KEYS[1], 'version', after, 'view', view, 'ledger', ledger) end
return {{1}}
"""
"""Compare-and-set too: the tombstone in place of the user; with an empty ledger, nothing else stays."""


def redis_client(url: str, *, password: str | None, timeout_s: float) -> redis.Redis:
    """Return a client of the Redis that a url names; the first call is the first contact.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``.
        password: for a url that has none.
        timeout_s: how long one connection attempt and one answer may take.

    Raises:
        FieldError: ``url`` is none of Redis.
    """
    try:
        return redis.Redis.from_url(
            url,
            password=password,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            # one retry: a server that was restarted has cut every pooled connection
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        )
    except ValueError as error:
        raise FieldError("user state url", str(error), "redis://host:port/database") from error


class RedisUserState:
    """A :class:`recsys.state.store.UserStateStore` in Redis 6 or later; the first call is the first contact.

    One hash per user holds view, ledger and version, so eviction or expiry never leaves half a user. Keys of
    one call may lie in any slot, so a Redis Cluster does not serve it; a primary with replicas does.

    Args:
        url: ``redis://[user:password@]host:port/database``, or ``rediss://`` for TLS.
        limits: how much is remembered of one user; the same for all who share the server.
        password: for a url that has none.
        timeout_s: how long one connection attempt and one answer may take.
        key_prefix: what the key of every user begins with.

    Raises:
        FieldError: ``url`` is none of Redis.
    """

    def __init__(
        self,
        url: str,
        *,
        limits: StateLimits | None = None,
        password: str | None = None,
        timeout_s: float = 0.5,
        key_prefix: str = "marquee:user:",
    ) -> None:
        self._limits = limits or StateLimits()
        self._key_prefix = key_prefix
        self._closed = False
        self._client = redis_client(url, password=password, timeout_s=timeout_s)

    @property
    def is_local(self) -> bool:
        """Whether reading asks no other machine: False, whatever the url says."""
        return False

    def read(self, user_ids: Sequence[str]) -> list[UserState]:
        """Return the states of many users in one round trip, in the order asked; EMPTY where unknown."""
        with self._errors():
            views: list[bytes | None] = self._run(_READ, user_ids)
        return [EMPTY if view is None else read_view(view) for view in views]

    def apply(self, events: Sequence[Event]) -> list[Applied]:
        """Apply events, all of a user's at once; after an error some users may have theirs and others not."""
        positions = positions_by_user(events)
        applied = [Applied.ACCEPTED] * len(events)
        left = list(positions)
        for _ in range(_MOST_ATTEMPTS):
            if not left:
                return applied
            changed: dict[str, tuple[bytes, Record]] = {}
            for user_id, version, record in self._load(left):
                places = positions[user_id]
                after, results = apply_events(record, [events[place] for place in places], self._limits)
                for place, result in zip(places, results, strict=True):
                    applied[place] = result
                if changes(results):
                    changed[user_id] = (version, after)
            left = self._store(changed)
        raise UnavailableError(_PART, f"{len(left)} user(s) changed by others {_MOST_ATTEMPTS} times running")

    def fill(self, records: Iterable[tuple[str, Record]]) -> int:
        """Write whole records, whatever was there before, some thousands per round trip; return how many."""
        n_written = 0
        for part in parts_of(records):
            with self._errors():
                pipeline = self._client.pipeline(transaction=False)
                for user_id, record in part:
                    ledger = encode_record(record)
                    view, digest = view_of(record, self._limits), _digest(b"", ledger)
                    fields: dict[_Encodable, _Encodable] = {"version": digest, "view": view, "ledger": ledger}
                    pipeline.hset(self._key_prefix + user_id, mapping=fields)
                pipeline.execute()
            n_written += len(part)
        return n_written

    def erase(self, user_id: str, at_s: float) -> None:
        """Forget a user up to ``at_s``; the tombstone's key is a hash of the id.

        The server's own files hold what it was told until it writes them anew: ``BGREWRITEAOF``, ``BGSAVE``.
        """
        for _ in range(_MOST_ATTEMPTS):
            [(_, version, found)] = self._load([user_id])
            record = erase_until(found, at_s)
            tombstone = Record(erased_at_s=record.erased_at_s)
            left, buried = self._fields(record), self._fields(tombstone)
            after = _digest(version, left[1])
            stays = left if record != tombstone else (b"", b"")
            with self._errors():
                [done] = self._run(_ERASE, [user_id], version, after, *stays, *buried)
            if done:
                return
        raise UnavailableError(_PART, f"a user was changed by others {_MOST_ATTEMPTS} times running")

    def named(self, user_ids: Sequence[str]) -> int:
        """Return how many records are kept under one of these ids."""
        with self._errors():
            keys = [self._key_prefix + user_id for user_id in user_ids]
            return int(self._client.exists(*keys)) if keys else 0

    def containing(self, texts: Sequence[str]) -> int:
        """Return how many keys and values of this store hold one of these texts; goes through all of them."""
        needles = [text.encode() for text in texts]
        n_found = 0
        with self._errors():
            for key in self._client.scan_iter(match=f"*{_literal(self._key_prefix)}*", count=1_000):
                held = [key, *self._client.hgetall(key).values()]
                n_found += sum(any(needle in part for needle in needles) for part in held)
        return n_found

    def close(self) -> None:
        """Close all connections; further calls raise UnavailableError."""
        self._closed = True
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _load(self, user_ids: Sequence[str]) -> list[tuple[str, bytes, Record]]:
        """Return each user's id, version and record."""
        with self._errors():
            found: list[bytes | None] = self._run(_LOAD, user_ids)
        return [
            (user_id, version or b"", decode_record(ledger))
            for user_id, version, ledger in zip(user_ids, found[::2], found[1::2], strict=True)
        ]

    def _store(self, changed: dict[str, tuple[bytes, Record]]) -> list[str]:
        """Write the records whose version is still the one that was read; return the users of the others."""
        arguments: list[bytes] = []
        for version, record in changed.values():
            view, ledger = self._fields(record)
            arguments += [version, _digest(version, ledger), view, ledger]
        with self._errors():
            stored: list[int] = self._run(_STORE, list(changed), *arguments)
        return [user_id for user_id, done in zip(changed, stored, strict=True) if not done]

    # Any: what a script returns depends on the script
    def _run(self, script: str, user_ids: Sequence[str], *arguments: bytes) -> list[Any]:
        if not user_ids:
            return []
        keys = [self._key_prefix + user_id for user_id in user_ids]
        keys += [f"{_ERASED}{self._key_prefix}{tombstone_of(user_id)}" for user_id in user_ids]
        return list(self._client.eval(script, len(keys), *keys, *arguments))

    def _fields(self, record: Record) -> tuple[bytes, bytes]:
        """Return what is kept of a record: view and ledger."""
        return view_of(record, self._limits), encode_record(record)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn the errors of the server and of the way to it into ours."""
        if self._closed:
            raise UnavailableError(_PART, "closed")
        try:
            yield
        except redis.RedisError as error:
            raise UnavailableError(_PART, f"redis: {error}") from error


def _digest(version_before: bytes, ledger: bytes) -> bytes:
    """Return the next version: no count, for after an eviction counting would begin again at old numbers."""
    return hashlib.blake2b(version_before + ledger, digest_size=16).digest()


def _literal(text: str) -> str:
    """Return a pattern of Redis that this text alone matches."""
    return re.sub(r"([*?\[\]\\])", r"\\\1", text)
