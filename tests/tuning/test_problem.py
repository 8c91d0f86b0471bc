from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from recsys.core.errors import InputError
from recsys.data.log import InteractionLog
from recsys.evaluation.protocols import Protocol
from tuning.problem import final_split, make_problem
from tuning.sweep import Questions

LogOf = Callable[..., InteractionLog]
CatalogueOf = Callable[..., pl.DataFrame]


def test_the_last_position_is_the_test_and_the_one_before_is_validation(
    log_of: LogOf, catalogue_of: CatalogueOf
) -> None:
    log = log_of([[0, 1, 2, 3], [4, 5, 6], [7, 8], [9]], 10)
    problem = make_problem(log, catalogue_of(10), Questions(), seed=0)
    assert problem.split.full.item_rows.tolist() == [0, 1, 2, 4, 5, 7, 9]
    assert problem.split.train.item_rows.tolist() == [0, 1, 4, 7, 9]
    assert problem.split.test_users.tolist() == [0, 1]
    assert problem.split.target_rows.tolist() == [2, 5]
    assert final_split(log, Questions()).target_rows.tolist() == [3, 6, 8]


def test_global_time_cuts_the_past_once_more(log_of: LogOf, catalogue_of: CatalogueOf) -> None:
    times_s = [[float(10 * user + place) for place in range(10)] for user in range(10)]
    log = log_of([list(range(10))] * 10, 10, times_s=times_s)
    questions = Questions(protocol=Protocol.GLOBAL_TIME, test_share=0.2)
    problem = make_problem(log, catalogue_of(10), questions, seed=0)
    assert problem.split.full.times_s.max() == 79.0  # the newest fifth, from 80 on, is the test
    assert problem.split.train.times_s.max() == 63.0  # of the 80 left, the newest 16 are validation
    assert set(problem.split.now_s.tolist()) == {64.0}


@pytest.mark.parametrize("protocol", list(Protocol))
def test_what_the_test_asks_for_changes_nothing_in_the_problem(
    log_of: LogOf, catalogue_of: CatalogueOf, protocol: Protocol
) -> None:
    rng = np.random.default_rng(0)
    histories = [rng.permutation(12)[: rng.integers(3, 9)].tolist() for _ in range(40)]
    questions = Questions(protocol=protocol, test_share=0.25, max_users=20)
    log = log_of(histories, 12)
    split = final_split(log, questions)
    stops = log.offsets[:-1] + split.train.lengths  # where the past of each user ends
    past = np.arange(len(log.item_rows)) < np.repeat(stops, log.lengths)
    changed = np.where(past, log.item_rows, 11 - log.item_rows)
    other = log_of(
        [changed[log.offsets[user] : log.offsets[user + 1]].tolist() for user in range(log.n_users)], 12
    )
    one, two = (make_problem(each, catalogue_of(12), questions, seed=0) for each in (log, other))
    for name in ("test_users", "test_stops", "target_rows", "now_s"):
        assert np.array_equal(getattr(one.split, name), getattr(two.split, name))
    assert np.array_equal(one.split.full.item_rows, two.split.full.item_rows)
    assert np.array_equal(one.facts.surprise_bits, two.facts.surprise_bits)
    assert not np.array_equal(split.target_rows, final_split(other, questions).target_rows)


def test_no_more_users_are_asked_than_wanted(log_of: LogOf, catalogue_of: CatalogueOf) -> None:
    problem = make_problem(log_of([[0, 1, 2]] * 9, 3), catalogue_of(3), Questions(max_users=4), seed=0)
    assert len(problem.split) == 4


def test_a_log_without_anybody_to_ask_is_refused(log_of: LogOf, catalogue_of: CatalogueOf) -> None:
    with pytest.raises(InputError, match="three positions"):
        make_problem(log_of([[0, 1], [1]], 2), catalogue_of(2), Questions(), seed=0)
