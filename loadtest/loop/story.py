"""What happened in a run of the loop, told in the world's time; and what should not have happened."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import polars as pl
from scipy.stats import norm

from loadtest.live.population import Visit
from loadtest.live.reactions import Reactions
from loadtest.live.wire import Shown
from recsys.core.clock import SECONDS_PER_DAY

LOOP, CONTROL = "loop", "control"
"""The service that is refreshed, and the one that keeps the bundle of the beginning."""

SHIFT, ALARM, REFRESH, CANARY, PROMOTED = "shift", "alarm", "refresh", "canary", "promoted"
ORDER: Final = (SHIFT, ALARM, REFRESH, CANARY, PROMOTED)
"""What should happen, in this order."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened."""

    what: str
    at_s: float
    """Time of the world, Unix seconds."""
    by: str
    """Who did it."""
    why: str


@dataclass(frozen=True, slots=True)
class Day:
    """A day of one service's users."""

    service: str
    day: int
    """From the beginning of the run."""
    n_lists: int
    true_rate: float
    """The world's own chance of being watched, on average over the lists' videos."""
    watch_rate: float
    """Videos watched per video shown."""


@dataclass(frozen=True, slots=True)
class Gain:
    """The loop's lists against the control's, of the same visits: the same people at the same time."""

    n_lists: int
    loop: float
    control: float
    difference: float
    error: float
    """Standard error, lists of one person taken together."""
    odds: float
    """Chance of so large a difference, had the refresh no effect; one-sided, by the normal distribution."""


class Lists:
    """Every list that came from one service, and what it was worth."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, float, str, float, float]] = []
        self._latest_s = float("-inf")

    def take(self, visit: Visit, shown: Shown, reactions: Reactions) -> None:
        """Note a list."""
        del shown
        self._latest_s = max(self._latest_s, visit.world_time_s)
        who = visit.visitor.user_id or visit.visitor.session_id or str(visit.number)
        n_shown = max(1, int(reactions.shown.sum()))
        true_rate, watched = float(reactions.chances.sum()) / n_shown, float(reactions.watched.sum())
        self._rows.append((visit.number, visit.world_time_s, who, true_rate, watched / n_shown))

    @property
    def lived_s(self) -> float:
        """Time of the world at which the latest list was due; minus infinity before the first."""
        return self._latest_s

    def frame(self) -> pl.DataFrame:
        """Return a row per list: its visit, when, who, the chance of a watch, and what was watched."""
        schema = {
            "number": pl.Int64(),
            "time_s": pl.Float64(),
            "who": pl.String(),
            "true_rate": pl.Float64(),
            "watch_rate": pl.Float64(),
        }
        return pl.DataFrame(self._rows, schema, orient="row")


@dataclass(frozen=True, slots=True)
class Story:
    """A run that is over."""

    begins_s: float
    """Time of the world when users came."""
    moments: tuple[Moment, ...]
    """In order of time."""
    days: tuple[Day, ...]
    gain: Gain | None
    """From the promotion on; None: there was none, or no control."""
    rates: dict[str, dict[str, float]]
    """Service -> ``before`` the shift, ``between`` it and the promotion, ``after`` -> true rate."""
    n_failed: int
    failures: dict[str, int]
    events: str
    """Where events went first."""

    def moment(self, what: str) -> Moment | None:
        """Return the first moment of a kind."""
        return next((one for one in self.moments if one.what == what), None)

    def faults(self) -> list[str]:
        """Return what should not have happened; nothing when all is well."""
        found = [f"{what} did not happen" for what in ORDER if self.moment(what) is None]
        there = [moment for what in ORDER if (moment := self.moment(what)) is not None]
        found += [
            f"{after.what} came before {before.what}"
            for before, after in pairwise(there)
            if after.at_s < before.at_s
        ]
        found += [
            f"{one.what}: {one.why}" for one in self.moments if one.what not in (*ORDER, "step", "hold")
        ]
        if self.n_failed:
            found.append(f"{self.n_failed} failed requests: {self.failures}")
        return found

    def as_json(self) -> dict[str, object]:
        """Return all of it, ready for JSON."""
        return {**asdict(self), "faults": self.faults()}


def days_of(service: str, lists: pl.DataFrame, begins_s: float) -> Iterable[Day]:
    """Yield the days of a service."""
    day = ((pl.col("time_s") - begins_s) // SECONDS_PER_DAY).cast(pl.Int64()).alias("day")
    means = lists.group_by(day).agg(pl.len().alias("n"), pl.col("true_rate", "watch_rate").mean()).sort("day")
    for number, n, true_rate, watch_rate in means.iter_rows():
        yield Day(service, number, n, true_rate, watch_rate)


def rates_of(lists: pl.DataFrame, cuts_s: Sequence[float]) -> dict[str, float]:
    """Return the mean true rate before, between and after two moments; a part without lists is left out."""
    edges = [float("-inf"), *cuts_s, float("inf")]
    found = {}
    for name, (since_s, until_s) in zip(("before", "between", "after"), pairwise(edges), strict=False):
        part = lists.filter(pl.col("time_s").is_between(since_s, until_s, closed="left"))
        if part.height:
            found[name] = float(part["true_rate"].to_numpy().mean())
    return found


def gain_of(loop: pl.DataFrame, control: pl.DataFrame, since_s: float) -> Gain | None:
    """Compare the lists of the same visits from a time of the world on; None when fewer than two people came.

    The error takes the lists of one person together, for they are alike.

    Source: Liang and Zeger, "Longitudinal Data Analysis Using Generalized Linear Models", Biometrika 1986.
    """
    pairs = loop.filter(pl.col("time_s") >= since_s).join(control, on="number", suffix="_control")
    by_person = pairs.group_by("who").agg(
        pl.len().alias("n"), (pl.col("true_rate") - pl.col("true_rate_control")).sum().alias("sum")
    )
    if by_person.height < 2:
        return None
    n, sums = by_person["n"].to_numpy(), by_person["sum"].to_numpy()
    difference = float(sums.sum() / n.sum())
    error = float(np.sqrt(((sums - difference * n) ** 2).sum()) / n.sum())
    return Gain(
        int(n.sum()),
        float(pairs["true_rate"].to_numpy().mean()),
        float(pairs["true_rate_control"].to_numpy().mean()),
        difference,
        error,
        float(norm.sf(difference / error)) if error > 0.0 else float(difference <= 0.0),
    )
