"""When users come: rows per user, sessions over days and hours of the day."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.core.clock import SECONDS_PER_DAY, SECONDS_PER_HOUR
from recsys.simulation.chance import Stream, stream
from recsys.simulation.scenario import Scenario

HOUR_WEIGHTS = np.array(
    [3, 2, 1, 1, 1, 1, 2, 4, 5, 4, 4, 4, 6, 6, 5, 5, 5, 6, 8, 10, 12, 12, 9, 6], dtype=np.float64
)
"""How busy each hour of the day (UTC) is: quiet nights, full evenings."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When the sessions of a block of users start; rows of one user lie together."""

    n_rows: NDArray[np.int64]  # shape (users,)
    offsets: NDArray[np.int64]  # shape (users,), where a user's rows begin
    session_starts_s: NDArray[np.float64]  # shape (rows,), NaN where a session goes on


def rows_per_user(scenario: Scenario, seed: int) -> NDArray[np.int64]:
    """Share out ``n_events`` rows log-normally over users, shape (users,).

    The sum is exactly ``n_events``; nobody has more than ``max_rows_per_user``; everybody has one at
    least when there are as many rows as users.
    """
    rng = stream(seed, Stream.ACTIVITY)
    n, cap = scenario.n_users, scenario.max_rows_per_user
    weights = rng.lognormal(0.0, scenario.activity_spread, size=n)
    least = min(1, scenario.n_events // n)
    left = scenario.n_events - least * n
    room = np.full(n, float(cap - least))
    share = np.minimum(room, weights * (left / weights.sum()))
    for _ in range(60):  # what the busiest may not have goes to the others
        missing = left - share.sum()
        open_weights = np.where(share < room, weights, 0.0)
        if missing < 0.5 or not open_weights.any():
            break
        share = np.minimum(room, share + open_weights * (missing / open_weights.sum()))
    rounded = np.diff(np.floor(np.cumsum(share) + 0.5), prepend=0.0).astype(np.int64)
    return least + rounded


def _draw_starts(
    scenario: Scenario, n: int, joined: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw ``n`` session starts; ``joined`` is the share of the span that was over when each user joined."""
    days = np.floor((joined + (1.0 - joined) * rng.random(n)) * scenario.n_days)
    hours = rng.choice(24, size=n, p=HOUR_WEIGHTS / HOUR_WEIGHTS.sum()) + rng.random(n)
    return np.asarray(scenario.starts_s + days * SECONDS_PER_DAY + hours * SECONDS_PER_HOUR)


def make_schedule(scenario: Scenario, n_rows: NDArray[np.int64], seed: int, block: int) -> Schedule:
    """Cut the rows of a block of users into sessions and give each session a start."""
    rng = stream(seed, Stream.SCHEDULE, block)
    offsets = np.cumsum(n_rows) - n_rows
    total = int(n_rows.sum())
    begins = rng.random(total) < 1.0 / scenario.session_length
    begins[offsets[n_rows > 0]] = True
    users = np.repeat(np.arange(n_rows.size), n_rows)[begins]
    is_new = rng.random(n_rows.size) < scenario.new_user_share
    joined = np.where(is_new, rng.random(n_rows.size), 0.0)
    starts_s = _draw_starts(scenario, users.size, joined[users], rng)
    session_starts_s = np.full(total, np.nan)
    session_starts_s[begins] = starts_s[np.lexsort((starts_s, users))]
    return Schedule(n_rows, offsets, session_starts_s)
