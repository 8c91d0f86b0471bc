"""What a soak asks: mostly recommendations, and everything that makes the service remember something."""

from collections.abc import Mapping

import numpy as np
import orjson

from loadtest.transports.exchange import Exchange, Request

_MIX = {"recommend": 0.75, "events": 0.15, "similar": 0.08, "popular": 0.02}
_AHEAD = 4_096  # choices drawn at once


class SoakTraffic:
    """A mix of calls for ever: users and items by chance, each event with an id of its own.

    Args:
        n_users: users ``0`` to this, all equally often, so that each is soon known and goes on growing.
        n_items: items ``0`` to this.
        seed: of all choices.
        mix: call -> its share.
    """

    def __init__(self, n_users: int, n_items: int, *, seed: int, mix: Mapping[str, float] = _MIX) -> None:
        self._rng = np.random.default_rng(seed)
        self._n_users, self._n_items = n_users, n_items
        self._calls = list(mix)
        self._shares = np.array(list(mix.values()))
        self._run = f"{seed}-{self._rng.integers(1 << 62):x}"
        self._n_events = 0
        self._drawn: list[tuple[int, int, int]] = []

    def next_request(self, now_s: float) -> Request:
        """Return what is asked now."""
        del now_s
        if not self._drawn:
            self._draw()
        call, user, item = self._drawn.pop()
        name = self._calls[call]
        if name == "recommend":
            session = [str(item)] * (item % 2)  # every other one differs from all before, so no cache has it
            body = orjson.dumps({"user_id": str(user), "top_n": 10, "session": session})
            return Request(name, "POST", "/recommend", body)
        if name == "events":
            return Request(name, "POST", "/events", self._event(user, item))
        return Request(name, "GET", f"/similar/{item}?top_n=10" if name == "similar" else "/popular?top_n=10")

    def answered(self, exchange: Exchange) -> None:
        """Learn nothing."""

    def _event(self, user: int, item: int) -> bytes:
        self._n_events += 1
        event_id = f"soak-{self._run}-{self._n_events}"
        return orjson.dumps(
            {"event_id": event_id, "user_id": str(user), "kind": "watch", "item_id": str(item)}
        )

    def _draw(self) -> None:
        calls = self._rng.choice(len(self._calls), _AHEAD, p=self._shares / self._shares.sum())
        users = self._rng.integers(0, self._n_users, _AHEAD)
        items = self._rng.integers(0, self._n_items, _AHEAD)
        self._drawn = list(zip(calls.tolist(), users.tolist(), items.tolist(), strict=True))
