from collections.abc import Callable

import numpy as np
import pytest

from recsys.data.log import InteractionLog
from recsys.features.users import NO_ITEM, UserBatch
from recsys.recall.covisitation import CovisitationConfig, fit_covisitation
from recsys.recall.transitions import TransitionsConfig, fit_transitions

LogOf = Callable[..., InteractionLog]
UsersOf = Callable[..., UserBatch]

RAW = CovisitationConfig(popularity_exponent=0.0, n_lags=2, backward=0.5)
ALL = np.arange(4, dtype=np.int32)[None, :]


def test_weights_fall_with_distance_and_count_half_against_time(log_of: LogOf, users_of: UsersOf) -> None:
    source = fit_covisitation(log_of([[0, 1, 2]], 4), RAW)
    assert source.score(users_of([[1]]), ALL).tolist() == [[0.5, 0.0, 1.0, 0.0]]
    assert source.score(users_of([[0]]), ALL).tolist() == [[0.0, 1.0, 0.5, 0.0]]


def test_popularity_of_both_items_is_divided_out(log_of: LogOf, users_of: UsersOf) -> None:
    log = log_of([[0, 1], [0], [0], [0], [1], [1], [1], [1], [1], [1], [1], [1]], 4)  # 4 times 0, 9 times 1
    source = fit_covisitation(log, CovisitationConfig())
    assert source.score(users_of([[0]]), ALL)[0, 1] == pytest.approx(1 / (2 * 3))  # square roots


def test_older_items_of_the_history_count_less(log_of: LogOf, users_of: UsersOf) -> None:
    config = CovisitationConfig(popularity_exponent=0.0, n_lags=1, time_constant_items=5.0)
    source = fit_covisitation(log_of([[0, 1], [2, 3]], 4), config)
    scores = source.score(users_of([[0, 2]]), ALL)[0]
    assert scores[3] == 1.0
    assert scores[1] == pytest.approx(np.exp(-1 / 5))


def test_items_beyond_the_history_length_are_not_spread(log_of: LogOf, users_of: UsersOf) -> None:
    source = fit_covisitation(log_of([[0, 1]], 4), CovisitationConfig(history_length=1))
    assert source.score(users_of([[0, 3]]), ALL).tolist() == [[0.0] * 4]


def test_search_names_neighbours_and_nothing_else(log_of: LogOf, users_of: UsersOf) -> None:
    source = fit_covisitation(log_of([[0, 1, 2]], 4), RAW)
    found = source.search(users_of([[1], []]), 3, np.zeros((2, 4), dtype=np.bool_))
    assert found.item_rows.tolist() == [[2, 0, NO_ITEM], [NO_ITEM] * 3]


def test_transitions_are_shares_of_how_often_the_first_was_chosen(log_of: LogOf) -> None:
    log = log_of([[0, 1, 2], [0, 2]], 4)
    table = fit_transitions(log, TransitionsConfig(smoothing=2.0))
    chances = table.lookup(np.array([0, 2], dtype=np.int32), np.tile(ALL, (2, 1)))
    assert chances[0].tolist() == [0.0, 0.25, 0.375, 0.0]  # 1 / (2 + 2), (1/2 + 1) / (2 + 2)
    assert chances[1].tolist() == [0.0, 0.0, 0.0, 0.0]  # nothing ever followed
