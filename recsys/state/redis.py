"""User state in Redis: shared by every replica on every node."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from recsys.core.errors import FieldError, UnavailableError
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
_MOST_ATTEMPTS = 100  # of one change; in each round of a race somebody wins, so so many losses mean a storm

_READ = """
local views = {}
for i, key in ipairs(KEYS) do views[i] = redis.call('HGET', key, 'view') end
return views
"""

_LOAD = """
local found = {}
for i, key in ipairs(KEYS) do
  found[2 * i - 1], found[2 * i] = unpack(redis.call('HMGET', key, 'version', 'ledger'))
end
return found
"""

_STORE = """
local stored = {}
for i, key in ipairs(KEYS) do
  local before, after, view, ledger = unpack(ARGV, 4 * i - 3, 4 * i)
  if (redis.call('HGET', key, 'version') or '') == before then
    redis.call('HSET', key, 'version', after, 'view', view, 'ledger', ledger)
    stored[i] = 1
  else
    stored[i] = 0
  end
end
return stored
"""
"""Compare-and-set per user: a record that somebody else changed meanwhile stays, and is reported with 0."""


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
        try:
            self._client = redis.Redis.from_url(
                url,
                password=password,
                socket_timeout=timeout_s,
                socket_connect_timeout=timeout_s,
                # one retry: a server that was restarted has cut every pooled connection
                retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
            )
        except ValueError as error:
            raise FieldError("user state url", str(error), "redis://host:port/database") from error

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
        """Forget a user up to ``at_s`` and leave a tombstone there."""
        for _ in range(_MOST_ATTEMPTS):
            [(_, version, record)] = self._load([user_id])
            if not self._store({user_id: (version, erase_until(record, at_s))}):
                return
        raise UnavailableError(_PART, f"a user was changed by others {_MOST_ATTEMPTS} times running")

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
            view, ledger = view_of(record, self._limits), encode_record(record)
            arguments += [version, _digest(version, ledger), view, ledger]
        with self._errors():
            stored: list[int] = self._run(_STORE, list(changed), *arguments)
        return [user_id for user_id, done in zip(changed, stored, strict=True) if not done]

    # Any: what a script returns depends on the script
    def _run(self, script: str, user_ids: Sequence[str], *arguments: bytes) -> list[Any]:
        if not user_ids:
            return []
        keys = [self._key_prefix + user_id for user_id in user_ids]
        return list(self._client.eval(script, len(keys), *keys, *arguments))

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
