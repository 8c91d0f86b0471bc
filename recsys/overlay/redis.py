"""The overlay in Redis: shared by every replica on every node."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Self, TypeVar

import redis

from recsys.core.errors import UnavailableError
from recsys.overlay.change import ItemChange
from recsys.overlay.overlay import CAPACITY, NOTHING, Overlay, Put, decoded, put_into, without
from recsys.overlay.store import PART
from recsys.state.redis import redis_client

Result = TypeVar("Result")
_MOST_ATTEMPTS = 100  # of one change; in each round of a race somebody wins


class RedisOverlay:
    """A :class:`recsys.overlay.store.OverlayStore` in Redis 6 or later; the first call is the first contact.

    Args:
        url: as :class:`recsys.state.redis.RedisUserState` takes it.
        password: for a url that has none.
        capacity: items that it holds; the same for all who write.
        timeout_s: how long one connection attempt and one answer may take.
        key_prefix: what both keys begin with.

    Raises:
        FieldError: ``url`` is none of Redis.
    """

    def __init__(
        self,
        url: str,
        *,
        password: str | None = None,
        capacity: int = CAPACITY,
        timeout_s: float = 2.0,
        key_prefix: str = "marquee:catalogue:",
    ) -> None:
        self._capacity = capacity
        self._items, self._state = f"{key_prefix}items", f"{key_prefix}state"
        self._client = redis_client(url, password=password, timeout_s=timeout_s)

    def put(self, changes: Sequence[ItemChange], accepted_s: Sequence[float]) -> list[Put]:
        """Put changes in; others who write at the same time are waited for."""
        return self._changed(lambda now: put_into(now, changes, accepted_s, self._capacity))

    def remove(self, item_ids: Iterable[str]) -> int:
        """Forget what is held of items."""
        ids = list(item_ids)

        def change(now: Overlay) -> tuple[Overlay, int]:
            left = without(now, ids)
            return left, len(now.items) - len(left.items)

        return self._changed(change)

    def read(self, known: Overlay) -> Overlay:
        """Return what is held now."""
        with self._errors():
            version, _ = _state(self._client.hmget(self._state, ["version", "next_slot"]))
            if version == known.version:
                return known
            with self._client.pipeline(transaction=True) as pipeline:
                pipeline.hmget(self._state, ["version", "next_slot"])
                pipeline.hgetall(self._items)
                return _overlay(*pipeline.execute())

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _changed(self, change: Callable[[Overlay], tuple[Overlay, Result]]) -> Result:
        with self._errors(), self._client.pipeline(transaction=True) as pipeline:
            for _ in range(_MOST_ATTEMPTS):
                pipeline.watch(self._state, self._items)  # type: ignore[no-untyped-call]  # redis-py's own gap
                before = _overlay(
                    pipeline.hmget(self._state, ["version", "next_slot"]), pipeline.hgetall(self._items)
                )
                after, result = change(before)
                if after is before:
                    return result
                pipeline.multi()
                gone = before.items.keys() - after.items.keys()
                if gone:
                    pipeline.hdel(self._items, *gone)
                changed = [item for item in after.items.values() if item.version == after.version]
                if changed:
                    pipeline.hset(
                        self._items, mapping={item.change.item_id: item.encoded() for item in changed}
                    )
                pipeline.hset(self._state, mapping={"version": after.version, "next_slot": after.next_slot})
                try:
                    pipeline.execute()
                except redis.WatchError:
                    continue
                return result
        raise UnavailableError(PART, f"changed by others {_MOST_ATTEMPTS} times running")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except redis.RedisError as error:
            raise UnavailableError(PART, str(error)) from error


def _state(found: Sequence[Any]) -> tuple[int, int]:
    return int(found[0] or 0), int(found[1] or 0)


def _overlay(state: Sequence[Any], items: Mapping[Any, Any]) -> Overlay:
    version, next_slot = _state(state)
    if not version:
        return NOTHING
    return Overlay(
        version,
        MappingProxyType({item_id.decode(): decoded(raw) for item_id, raw in items.items()}),
        next_slot,
    )
