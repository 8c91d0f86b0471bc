import asyncio
import threading
from collections.abc import Sequence

import pytest

from deployments.state_reader import StateReader
from recsys.core.errors import UnavailableError
from recsys.data.events import Event
from recsys.state.store import EMPTY, Applied, UserState


class Store:
    """Takes as long as it is told to, on a clock of its own, and remembers which threads asked."""

    def __init__(self, *, is_local: bool) -> None:
        self._is_local = is_local
        self.now_s = 100.0
        self.takes_s = 0.0
        self.error: UnavailableError | None = None
        self.threads: list[str] = []

    @property
    def is_local(self) -> bool:
        return self._is_local

    def clock(self) -> float:
        return self.now_s

    def read(self, user_ids: Sequence[str]) -> list[UserState]:
        self.threads.append(threading.current_thread().name)
        self.now_s += self.takes_s
        if self.error is not None:
            raise self.error
        return [EMPTY for _ in user_ids]

    def apply(self, events: Sequence[Event]) -> list[Applied]:
        raise NotImplementedError

    def erase(self, user_id: str, at_s: float) -> None:
        raise NotImplementedError

    def named(self, user_ids: Sequence[str]) -> int:
        raise NotImplementedError

    def close(self) -> None:
        pass

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *exc: object) -> None:
        pass


def read(store: Store, reader: StateReader) -> bool:
    """Read once; return whether the caller's own thread did it."""
    assert asyncio.run(reader.read(["ada", "ben"])) == [EMPTY, EMPTY]
    return store.threads[-1] == threading.current_thread().name


def test_a_local_store_is_read_at_once_and_any_other_in_a_thread() -> None:
    for is_local in (True, False):
        store = Store(is_local=is_local)
        assert read(store, StateReader(store, store.clock)) is is_local


def test_a_local_store_that_is_slow_is_left_to_threads_for_a_second() -> None:
    store = Store(is_local=True)
    reader = StateReader(store, store.clock)
    store.takes_s = 0.006
    assert read(store, reader)  # only now it is known to be slow
    store.takes_s = 0.0
    assert not read(store, reader)
    store.now_s += 1.01
    assert read(store, reader)
    reader.close()


def test_what_goes_wrong_reaches_the_caller() -> None:
    store = Store(is_local=True)
    store.error = UnavailableError("user state", "gone")
    with pytest.raises(UnavailableError, match="gone"):
        asyncio.run(StateReader(store, store.clock).read(["ada"]))
