from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from recsys.core.clock import SECONDS_PER_DAY
from recsys.core.errors import FieldError
from recsys.data.log import InteractionLog
from recsys.data.shown import ShownLog
from recsys.data.splits import global_time, leave_last_out
from recsys.evaluation.impressions.split import known_by, sample_users, split_impressions

LogOf = Callable[..., InteractionLog]
DAY = SECONDS_PER_DAY


def sessions(*spans_days: tuple[float, float], users: list[int] | None = None) -> ShownLog:
    """Make a session of one item per span from start to end, each of a user of its own unless told."""
    n = len(spans_days)
    starts, ends = (np.array(times) * DAY for times in zip(*spans_days, strict=True))
    return ShownLog(
        np.arange(n + 1),
        np.arange(n) if users is None else np.array(users),
        np.full(n, -1),
        np.zeros(n, dtype=np.int64),
        starts,
        ends,
        np.zeros(n, dtype=np.int32),
        np.zeros(n, dtype=np.int64),
        np.zeros(n, dtype=np.bool_),
        {},
        0,
    )


@pytest.fixture
def log(log_of: LogOf) -> InteractionLog:
    return log_of([[(0, 0.5 * DAY), (1, 6.0 * DAY), (2, 8.0 * DAY)]], 3)


def test_the_last_days_are_asked_about_and_what_lies_across_the_cut_is_in_neither(
    log: InteractionLog,
) -> None:
    shown = sessions((1.0, 5.9), (5.9, 6.0), (6.0, 6.5), (10.0, 10.0))
    split = split_impressions(log, shown, test_days=4.0)
    assert split.cut_s == 6.0 * DAY
    assert (split.past.users.tolist(), split.test.users.tolist(), split.n_across) == ([0], [2, 3], 1)
    assert split.train.item_rows.tolist() == [0]  # what happened at the cut is later
    assert split.full is log


def test_a_validation_split_ends_where_the_test_begins(log: InteractionLog) -> None:
    shown = sessions((1.0, 1.0), (5.0, 5.0), (6.0, 6.0), (10.0, 10.0))
    test = split_impressions(log, shown, test_days=4.0)
    validation = split_impressions(log, shown, test_days=2.0, end_s=test.cut_s)
    assert validation.cut_s == 4.0 * DAY
    assert (validation.past.users.tolist(), validation.test.users.tolist()) == ([0], [1])


@pytest.mark.parametrize("days", [0.0, -1.0, 40.0])
def test_days_that_leave_one_side_empty_are_refused(log: InteractionLog, days: float) -> None:
    with pytest.raises(FieldError, match="test_days"):
        split_impressions(log, sessions((1.0, 1.0), (5.0, 5.0)), test_days=days)


def test_a_sample_keeps_all_sessions_of_its_users() -> None:
    shown = sessions(*[(1.0, 1.0)] * 6, users=[0, 0, 1, 1, 2, 2])
    sampled = sample_users(shown, 2, seed=0)
    assert np.unique(sampled.users, return_counts=True)[1].tolist() == [2, 2]
    assert sample_users(shown, 3, seed=0) is shown


def test_what_a_user_was_shown_from_the_held_out_answer_on_is_not_known(log_of: LogOf) -> None:
    lives = [[(0, 1.0 * DAY), (1, 3.0 * DAY)], [(2, 2.0 * DAY), (0, 4.0 * DAY), (1, 9.0 * DAY)]]
    log = log_of(lives, 3)
    spans = ((1.0, 2.9), (2.5, 3.0), (1.0, 3.9), (3.0, 3.5), (4.0, 4.5))
    shown = sessions(*spans, users=[0, 0, 1, 2, 2])
    shown = replace(shown, log_users=np.array([0, 0, 1, -1, -1]), stops=np.array([1, 1, 2, 0, 0]))
    found = known_by(shown, leave_last_out(log))
    # user 0 is asked at 3 days, user 1 at 9 days; the last that anybody learns from is at 4 days
    assert found.ends_s.tolist() == [2.9 * DAY, 3.9 * DAY, 3.5 * DAY]
    assert found.stops.tolist() == [1, 1, 0]  # user 1 begins a position earlier in the past that is left


def test_under_global_time_nothing_after_the_cut_is_known(log_of: LogOf) -> None:
    days = ((1.0, 2.0, 3.0, 8.0), (1.5, 4.0, 9.0, 10.0))
    lives = [[(item, day * DAY) for item, day in enumerate(life)] for life in days]
    split = global_time(log_of(lives, 4), 5.0 * DAY)
    shown = sessions((1.0, 3.9), (5.0, 5.5), (1.0, 8.5))
    assert known_by(shown, split).ends_s.tolist() == [3.9 * DAY]
