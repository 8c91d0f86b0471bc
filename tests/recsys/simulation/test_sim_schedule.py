import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from recsys.simulation.scenario import SCENARIOS
from recsys.simulation.schedule import HOUR_WEIGHTS, make_schedule, rows_per_user

TINY = SCENARIOS["tiny"]


@given(
    n_users=st.integers(1, 60),
    n_items=st.integers(1, 40),
    fullness=st.floats(0.0, 1.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_rows_are_shared_out_exactly_and_nobody_gets_more_than_the_most(
    n_users: int, n_items: int, fullness: float, seed: int
) -> None:
    scenario = TINY.model_copy(update={"n_users": n_users, "n_items": n_items})
    n_events = max(1, int(fullness * n_users * scenario.max_rows_per_user))
    n_rows = rows_per_user(scenario.model_copy(update={"n_events": n_events}), seed)
    assert n_rows.sum() == n_events
    assert n_rows.max() <= scenario.max_rows_per_user
    assert n_rows.min() >= min(1, n_events // n_users)


def test_activity_is_unequal() -> None:
    n_rows = rows_per_user(SCENARIOS["small"], seed=1)
    assert n_rows.max() > 5 * np.median(n_rows)


def test_session_starts_of_a_user_are_in_order_and_the_first_row_starts_one() -> None:
    n_rows = np.array([5, 0, 40, 1])
    schedule = make_schedule(TINY, n_rows, seed=2, block=0)
    assert schedule.offsets.tolist() == [0, 5, 5, 45]
    for begin, n in zip(schedule.offsets, n_rows, strict=True):
        own = schedule.session_starts_s[begin : begin + n]
        starts = own[~np.isnan(own)]
        assert n == 0 or not np.isnan(own[0])
        assert (np.diff(starts) >= 0).all()
        assert ((TINY.starts_s <= starts) & (starts < TINY.ends_s)).all()


def test_sessions_have_the_mean_length_asked_for() -> None:
    n_rows = np.full(1_000, 25)
    schedule = make_schedule(TINY, n_rows, seed=3, block=0)
    started = int((~np.isnan(schedule.session_starts_s)).sum()) - 1_000  # first rows always start one
    trials = 1_000 * 24
    assert binom.ppf(1e-6, trials, 1 / 8) <= started <= binom.isf(1e-6, trials, 1 / 8)


def test_evenings_are_as_busy_as_their_weight_says() -> None:
    schedule = make_schedule(TINY, np.full(2_000, 20), seed=4, block=0)
    starts = schedule.session_starts_s[~np.isnan(schedule.session_starts_s)]
    at_nine = int(((starts - TINY.starts_s) % 86_400 // 3_600 == 21).sum())
    share = HOUR_WEIGHTS[21] / HOUR_WEIGHTS.sum()
    assert binom.ppf(1e-6, starts.size, share) <= at_nine <= binom.isf(1e-6, starts.size, share)
