from collections.abc import Callable

import numpy as np
import pytest

from recsys.core.clock import SECONDS_PER_DAY
from recsys.core.errors import FieldError
from recsys.data.log import InteractionLog
from recsys.data.shown import ShownLog
from recsys.evaluation.impressions.split import sample_users, split_impressions

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
