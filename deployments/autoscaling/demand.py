"""What one router or stage replica counts about itself, for the policy to read."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from operator import add

from recsys.core.clock import Clock
from recsys.rollout.traffic import TrafficDocument

ASKED = "asked"  # requests so far
LOOKED_UP = "looked_up"  # of these, those that were looked for in the cache so far
COMPUTED = "computed"  # of these, those that it did not have
WAITING = "waiting"  # requests that wait now
TAIL = "tail_s"  # 99th percentile lately; NOTHING_MEASURED when there were too few answers
BUSY = "busy_s"  # seconds of processor time of the event loop so far
SERVED = "served"  # requests, not batches, that a stage has worked on so far
BUNDLE = "bundle:"  # + lane: 1.0 when a document gives it a bundle
ARM = "arm:"  # + lane: 1.0 when a document sends users to it
SHARE = "share:"  # + lane: the largest share of users that a document gives it
NOTHING_MEASURED = -1.0  # Ray Serve takes numbers only

_EDGES_S = [0.001 * 1.2**place for place in range(50)]  # 1 ms to 7.6 s, each a fifth above the one before
_FEWEST = 100  # answers, for a 99th percentile to mean anything


class Demand:
    """Counts requests as they arrive at a router, and how long their answers take.

    Args:
        clock: monotonic seconds.
        window_s: the tail is that of the last window, and of the one before it.
    """

    def __init__(self, clock: Clock, window_s: float = 5.0) -> None:
        self._clock = clock
        self._window_s = window_s
        self._asked = 0
        self.looked_up = 0
        self.computed = 0
        self._under_way = 0
        self._begun_s = clock()
        self._before, self._now = _nothing(), _nothing()  # the last window, and this one

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count a request from here to the end of the block, whatever comes of it."""
        started_s = self._clock()
        self._asked += 1
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            self._turn()
            self._now[bisect_left(_EDGES_S, self._clock() - started_s)] += 1

    def turned_away(self) -> None:
        """Count a request that was refused before it got here: it was asked, and there was no room for it."""
        self._asked += 1

    def found(self, n: int, n_computed: int) -> None:
        """Count ``n`` requests looked for in the cache, of which ``n_computed`` go on to the stages."""
        self.looked_up += n
        self.computed += n_computed

    @property
    def asked(self) -> int:
        """Requests so far."""
        return self._asked

    @property
    def under_way(self) -> int:
        """Requests that have arrived and are not answered."""
        return self._under_way

    def tail_s(self) -> float | None:
        """Return the 99th percentile, rounded up by a fifth at most; None after fewer than 100 answers."""
        self._turn()
        up_to = list(accumulate(map(add, self._before, self._now)))
        if up_to[-1] < _FEWEST:
            return None
        bucket = bisect_left(up_to, 0.99 * up_to[-1])
        return _EDGES_S[min(bucket, len(_EDGES_S) - 1)]

    def _turn(self) -> None:
        """Begin a new window when this one is over; after a long silence both are empty."""
        passed_s = self._clock() - self._begun_s
        if passed_s < self._window_s:
            return
        self._before = self._now if passed_s < 2 * self._window_s else _nothing()
        self._now = _nothing()
        self._begun_s = self._clock()


def _nothing() -> list[int]:
    return [0] * (len(_EDGES_S) + 1)


def router_report(
    demand: Demand, *, busy_s: float, waiting: int, documents: Iterable[TrafficDocument]
) -> dict[str, float]:
    """Return what a router tells the policy.

    Args:
        demand: its counts.
        busy_s: processor time of its event loop so far.
        waiting: requests that have not been sent on yet.
        documents: the traffic document in force, and the one that waits to be.
    """
    tail_s = demand.tail_s()
    report = {
        ASKED: float(demand.asked),
        LOOKED_UP: float(demand.looked_up),
        COMPUTED: float(demand.computed),
        WAITING: float(waiting),
        TAIL: NOTHING_MEASURED if tail_s is None else tail_s,
        BUSY: busy_s,
    }
    for document in documents:
        for name, value in _of_lanes(document):
            report[name] = max(value, report.get(name, 0.0))
    return report


def _of_lanes(document: TrafficDocument) -> Iterator[tuple[str, float]]:
    for lane, bundle in document.lanes.items():
        shares = [arm.share for arm in document.arms if arm.lane == lane]
        if document.shadow is not None and document.shadow.lane == lane:
            shares.append(document.shadow.share)  # its work is real, though nobody sees it
        if document.interleaving is not None and document.interleaving.lane == lane:
            shares.append(document.interleaving.share)
        yield f"{BUNDLE}{lane}", float(bundle is not None)
        yield f"{ARM}{lane}", float(bool(shares))
        yield f"{SHARE}{lane}", sum(shares)


def stage_report(served: int, *, busy_s: float) -> dict[str, float]:
    """Return what a replica of recall or ranking tells the policy."""
    return {SERVED: float(served), BUSY: busy_s}
