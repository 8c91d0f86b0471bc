"""The audience: known and cold users, calls by weight, visits that follow the answers."""

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np
import orjson

from loadtest.traffic.audience import (
    Names,
    drawn_below,
    drawn_by_weight,
    drawn_uniform,
    drawn_users,
)
from loadtest.traffic.settings import TrafficSettings
from loadtest.transports.exchange import Exchange, Request
from recsys.core.errors import FieldError, InputError

_FULL_WATCH = 0.9


@dataclass(slots=True)
class Visit:
    """A user who stays."""

    user_id: str
    audience: str
    rounds_left: int
    events: bytes = b""
    """What is sent about the last answer."""


class AudienceTraffic:
    """Says what is asked next: first what visits have waiting, then new requests by weight."""

    def __init__(
        self, settings: TrafficSettings, item_ids: Sequence[str], *, seed: Sequence[int], run_id: str
    ) -> None:
        if settings.needs_items and not item_ids:
            raise InputError(
                "the traffic names items, but none are known (--items N, or a service with some)"
            )
        self._settings = settings
        self._item_ids = item_ids
        rng = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(4)]
        weights = dict(settings.mix)
        makers: dict[str, Callable[[], Request]] = {
            "recommend": self._recommend,
            "recommend_get": self._recommend_get,
            "similar": self._similar,
            "popular": self._popular,
            "events": self._events,
        }
        self._makers = [makers[name] for name in weights]
        self._calls = drawn_by_weight(np.array(list(weights.values())), rng[0])
        self._users = drawn_users(settings.users, rng[1])
        self._items = drawn_below(max(1, len(item_ids)), rng[2])
        self._chance = drawn_uniform(rng[3])
        self._names = Names(settings.users.prefix, run_id)
        self._event_prefix = f"{run_id}-e"
        self._n_events = 0
        self._n_scheduled = 0
        self._following: list[tuple[float, int, Visit]] = []
        self._query = f"?top_n={settings.top_n}" + (
            f"&context={quote(settings.context, safe='')}" if settings.context else ""
        )
        self._popular_request = Request("popular", "GET", f"/popular{self._query}")

    def next_request(self, now_s: float) -> Request:
        """Return the request of the visit that has waited longest, else a new one."""
        following = self._following
        if following and following[0][0] <= now_s:
            return self._follow(heapq.heappop(following)[2])
        return self._makers[next(self._calls)]()

    def answered(self, exchange: Exchange) -> None:
        """Let a visit go on; one that got no good answer is over."""
        visit = exchange.request.session
        if not isinstance(visit, Visit) or exchange.failure is not None or exchange.status >= 300:
            return
        if exchange.request.call == "recommend":
            visit.events = self._reaction(visit, exchange.body)
        if not visit.events and visit.rounds_left <= 0:
            return
        think_s = -self._settings.visits.think_s * math.log(1.0 - next(self._chance))
        self._n_scheduled += 1
        heapq.heappush(self._following, (exchange.finished_s + think_s, self._n_scheduled, visit))

    def _follow(self, visit: Visit) -> Request:
        if visit.events:
            body, visit.events = visit.events, b""
            return Request("events", "POST", "/events", body, audience=visit.audience, session=visit)
        visit.rounds_left -= 1
        return self._ask(visit.user_id, visit.audience, visit)

    def _recommend(self) -> Request:
        user_id, audience = self._names.of(next(self._users))
        visits = self._settings.visits
        if not visits.share or next(self._chance) >= visits.share:
            return self._ask(user_id, audience, None)
        more = 1.0 - 1.0 / visits.n_rounds  # chance of one more round
        extra = int(math.log(1.0 - next(self._chance)) / math.log(more)) if more > 0 else 0
        return self._ask(user_id, audience, Visit(user_id, audience, extra))

    def _ask(self, user_id: str, audience: str, visit: Visit | None) -> Request:
        settings = self._settings
        asked: dict[str, object] = {"user_id": user_id, "top_n": settings.top_n}
        if settings.session_items:
            asked["session"] = [self._item() for _ in range(settings.session_items)]
        if settings.context:
            asked["context"] = settings.context
        if settings.explain_share and next(self._chance) < settings.explain_share:
            asked["explain"] = True
        return Request(
            "recommend", "POST", "/recommend", orjson.dumps(asked), audience=audience, session=visit
        )

    def _recommend_get(self) -> Request:
        user_id, audience = self._names.of(next(self._users))
        path = f"/recommend/{quote(user_id, safe='')}{self._query}"
        return Request("recommend_get", "GET", path, audience=audience)

    def _similar(self) -> Request:
        return Request("similar", "GET", f"/similar/{quote(self._item(), safe='')}{self._query}")

    def _popular(self) -> Request:
        return self._popular_request

    def _events(self) -> Request:
        user_id, audience = self._names.of(next(self._users))
        body = orjson.dumps([self._event(user_id, self._item(), None)])
        return Request("events", "POST", "/events", body, audience=audience)

    def _reaction(self, visit: Visit, answer: bytes) -> bytes:
        """Return the events that follow from an answer; nothing when it has no items."""
        try:
            told = orjson.loads(answer)
            shown = [str(item["item_id"]) for item in told["items"][: self._settings.visits.n_events]]
            request_id = str(told["request_id"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return b""
        events = [self._event(visit.user_id, item_id, request_id) for item_id in shown]
        return orjson.dumps(events) if events else b""

    def _event(self, user_id: str, item_id: str, request_id: str | None) -> dict[str, object]:
        self._n_events += 1
        chance, watched = next(self._chance), self._settings.visits.watch_share
        kind = "watch" if chance < watched else "click" if chance < (1 + watched) / 2 else "skip"
        event: dict[str, object] = {
            "event_id": f"{self._event_prefix}{self._n_events}",
            "user_id": user_id,
            "kind": kind,
            "item_id": item_id,
        }
        if kind == "watch":
            event["value"] = _FULL_WATCH
        if request_id is not None:
            event["request_id"] = request_id
        return event

    def _item(self) -> str:
        return self._item_ids[next(self._items)]


def item_ids_of(answer: bytes) -> tuple[str, ...]:
    """Return the items that a list names.

    Raises:
        FieldError: it is not a list of ours.
    """
    try:
        return tuple(str(item["item_id"]) for item in orjson.loads(answer)["items"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise FieldError("/popular", repr(answer[:80]), "a JSON object with items") from None
