"""What a live run found: counts, a time line, and which arms everybody has met. All of it goes into JSON."""

from dataclasses import asdict, dataclass
from itertools import pairwise

NO_ARM = ""
"""Arm of requests that got no list, so that nobody said whose they are."""


@dataclass(frozen=True, slots=True)
class ArmResult:
    """What became of the requests of one arm."""

    arm: str
    bundles: tuple[str, ...]
    """Who answered, in order of first appearance."""
    n_answers: int
    """Lists that came; those with something wrong are among the failures too."""
    failures: dict[str, int]
    """By name: ``status 503``, ``timeout``, ``connect``, ``closed``, ``protocol``, ``not an answer``,
    ``not sent``, ``short list``, ``repeated item``, ``unknown item``."""
    n_degraded: int
    n_shown: int
    """Videos in lists."""
    n_met_again: int
    """Of those shown: how many the same user had met before in this run; events need a moment to arrive."""
    n_exhausted: int
    """Short lists for users who have met so much of the world that it has no more; not a failure."""
    n_looked: int
    n_watched: int
    watch_rate: float | None
    """Videos watched per video shown; None when nothing was shown."""
    true_watch_rate: float | None
    """The world's own chance of being watched, on average over the videos shown: ``watch_rate`` without the
    luck of who watched what."""
    p50_ms: float | None
    """Latency of lists that came, from the moment when they were due to be asked for."""
    p99_ms: float | None

    @property
    def n_failed(self) -> int:
        """How many requests failed."""
        return sum(self.failures.values())


@dataclass(frozen=True, slots=True)
class LiveSecond:
    """What ended within one second, for one arm."""

    at_s: int
    """Whole seconds after the beginning."""
    arm: str
    n_answers: int
    n_failed: int
    n_degraded: int
    n_shown: int
    n_watched: int
    p50_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class EventsResult:
    """What became of the events."""

    n_sent: int
    """Single events; they travel in one batch per list."""
    statuses: dict[str, int]
    """As the service says: ``accepted``, ``duplicate``, ``later``, ``rejected`` ..."""
    failures: dict[str, int]
    """Batches without a usable answer, by name."""


@dataclass(frozen=True, slots=True)
class ArmStep:
    """From this answer on, somebody was on this arm."""

    at_s: float
    """Seconds after the beginning, when the answer came."""
    arm: str


@dataclass(frozen=True, slots=True)
class Move:
    """Somebody was on one arm and then on another."""

    user_id: str
    at_s: float
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class LiveResult:
    """A whole run, or what there was of it when it was stopped."""

    url: str
    run_id: str
    started_unix_s: float
    elapsed_s: float
    n_asked: int
    """Requests for lists that were due, whether they could be sent or not."""
    n_unfinished: int
    """Lists and batches of events without an answer when waiting for them was given up."""
    visitors: dict[str, int]
    """Requests for lists by who asked: known, new, anonymous."""
    arms: tuple[ArmResult, ...]
    events: EventsResult
    seconds: tuple[LiveSecond, ...]
    """The time line, in order of time and arm."""
    paths: dict[str, tuple[ArmStep, ...]]
    """For everybody, by user or session: the arms met, in order; more than one step is a move."""

    @property
    def n_answers(self) -> int:
        """Lists that came."""
        return sum(arm.n_answers for arm in self.arms)

    @property
    def n_failed(self) -> int:
        """Requests for lists that failed, batches of events that did, events refused, all left unfinished."""
        lists = sum(arm.n_failed for arm in self.arms)
        events = sum(self.events.failures.values()) + self.events.statuses.get("rejected", 0)
        return lists + events + self.n_unfinished

    @property
    def failures(self) -> dict[str, int]:
        """All failures by name; those of events begin with ``events:``."""
        found: dict[str, int] = {}
        for arm in self.arms:
            for name, n in arm.failures.items():
                found[name] = found.get(name, 0) + n
        for name, n in self.events.failures.items():
            found[f"events: {name}"] = n
        if self.events.statuses.get("rejected"):
            found["events: rejected"] = self.events.statuses["rejected"]
        if self.n_unfinished:
            found["unfinished"] = self.n_unfinished
        return found

    @property
    def moves(self) -> tuple[Move, ...]:
        """Everybody's changes of arm, in order of time."""
        found = [
            Move(user_id, after.at_s, before.arm, after.arm)
            for user_id, steps in self.paths.items()
            for before, after in pairwise(steps)
        ]
        return tuple(sorted(found, key=lambda move: (move.at_s, move.user_id)))

    def arm(self, name: str) -> ArmResult | None:
        """Return the figures of an arm; None when it never answered."""
        return next((arm for arm in self.arms if arm.arm == name), None)

    def summary(self) -> dict[str, object]:
        """Return all but the time line and the paths, for JSON."""
        fields = asdict(self)
        for name in ("seconds", "paths"):
            del fields[name]
        totals = {"n_answers": self.n_answers, "n_failed": self.n_failed, "failures": self.failures}
        return {**fields, **totals, "n_users": len(self.paths), "moves": _counted(self.moves)}


def _counted(moves: tuple[Move, ...]) -> dict[str, int]:
    found: dict[str, int] = {}
    for move in moves:
        name = f"{move.before} -> {move.after}"
        found[name] = found.get(name, 0) + 1
    return found
