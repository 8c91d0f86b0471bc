"""Room for so many requests of each kind, so that none starves the others."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from deployments.batching import FULL, LATE
from deployments.drain import DrainRate
from deployments.metrics import EXPECTED_WAIT_SECONDS, INSIDE
from deployments.overload_settings import OverloadSettings


class Room:
    """Requests of one kind inside a router.

    Args:
        kind: its name in metrics.
        max_inside: so many at once.
        max_wait_s: whoever would be inside for longer than this is refused,
        n_free: unless fewer than so many are inside: a batch that is not full costs nobody anything.
        drain: how fast those inside are answered; None where that is not learned.
        on_refusal: is told of everybody who is refused.
    """

    def __init__(
        self,
        kind: str,
        max_inside: int,
        *,
        max_wait_s: float = inf,
        n_free: int = 1,
        drain: DrainRate | None = None,
        on_refusal: Callable[[], None] = lambda: None,
    ) -> None:
        self.kind = kind
        self.n_inside = 0
        self._max_inside = max_inside
        self._max_wait_s = max_wait_s
        self._n_free = n_free
        self._drain = drain
        self._on_refusal = on_refusal

    @property
    def wait_s(self) -> float:
        """How long a newcomer would be inside: those before it, divided by how many are answered per second.

        0.0 while that rate is unknown (Little's law; the time of the newcomer's own batch is in it).
        """
        per_s = self._drain.per_s if self._drain is not None else 0.0
        return self.n_inside / per_s if per_s else 0.0

    def refuses(self, waited_s: float = 0.0) -> str:
        """Return why a newcomer is refused; empty when it is not.

        Args:
            waited_s: how long it has been waiting to get here, in seconds.
        """
        if self.n_inside >= self._max_inside:
            why = FULL
        elif self.n_inside >= self._n_free and waited_s + self.wait_s > self._max_wait_s:
            why = LATE
        else:
            return ""
        if self._drain is not None:
            self._drain.turned_away()
        self._on_refusal()
        return why

    def enter(self) -> None:
        """Count a newcomer."""
        self.n_inside += 1

    def leave(self) -> None:
        """Count one less."""
        self.n_inside -= 1


@dataclass(frozen=True, slots=True)
class Rooms:
    """The rooms of one router."""

    recommend: Room
    events: Room
    reads: Room
    probes: Room
    large_bodies: Room  # whatever they are for

    def show(self) -> None:
        """Bring the gauges of what they hold up to date."""
        for room in (self.recommend, self.events, self.reads, self.probes, self.large_bodies):
            INSIDE.labels(room.kind).set(room.n_inside)
        EXPECTED_WAIT_SECONDS.set(self.recommend.wait_s)


def rooms_of(
    settings: OverloadSettings,
    drain: DrainRate,
    *,
    n_free: int = 1,
    on_refusal: Callable[[], None] = lambda: None,
) -> Rooms:
    """Return empty rooms.

    Args:
        settings: their sizes.
        drain: how fast recommendations are answered.
        n_free: so many recommendations are let in whatever they would wait.
        on_refusal: is told of every recommendation that there is no room for.
    """
    most, wait_s = settings.max_recommends, settings.max_wait_s
    return Rooms(
        Room("recommend", most, max_wait_s=wait_s, n_free=n_free, drain=drain, on_refusal=on_refusal),
        Room("events", settings.max_events),
        Room("reads", settings.max_reads),
        Room("probes", settings.max_probes),
        Room("large-bodies", settings.max_large_bodies),
    )
