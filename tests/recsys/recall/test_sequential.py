import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsys.data.log import InteractionLog
from recsys.features.users import NO_ITEM, UserBatch
from recsys.recall.sequential import SequentialConfig, fit_sequential

LogOf = Callable[..., InteractionLog]
UsersOf = Callable[..., UserBatch]

N_ITEMS = 6
RIDGE = 2.0
WHOLE = SequentialConfig(time_constants_items=(3.0, 9.0), ridge=RIDGE, rank=64, min_events=1)
"""Forgets nothing within 14 items, leaves out no item, cuts no rank."""

HISTORIES = st.lists(st.lists(st.integers(0, N_ITEMS - 1), max_size=14), min_size=1, max_size=6)


def rows_one_by_one(
    histories: Sequence[Sequence[int]], time_constants: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Build x, shape (moments, 2 x items), and y, shape (moments, items)."""
    xs, ys = [], []
    decay = np.exp(-1.0 / np.array(time_constants))[:, None]
    for history in histories:
        sums = np.zeros((2, N_ITEMS))
        for item, following in itertools.pairwise(history):
            sums = decay * sums
            sums[:, item] += 1.0
            xs.append(sums.reshape(-1))
            ys.append(np.eye(N_ITEMS)[following])
    return np.array(xs).reshape(-1, 2 * N_ITEMS), np.array(ys).reshape(-1, N_ITEMS)


def ridge_one_by_one(
    histories: Sequence[Sequence[int]], time_constants: tuple[float, float], ridge: float
) -> NDArray[np.float64]:
    x, y = rows_one_by_one(histories, time_constants)
    return np.asarray(np.linalg.solve(x.T @ x + ridge * np.eye(2 * N_ITEMS), x.T @ y))


@settings(max_examples=60)
@given(histories=HISTORIES)
def test_weights_from_lagged_pairs_equal_those_from_rows_one_by_one(
    log_of: LogOf, histories: list[list[int]]
) -> None:
    fitted = fit_sequential(log_of(histories, N_ITEMS), WHOLE)
    weights = (fitted.left @ fitted.index.vectors.T).reshape(2 * N_ITEMS, N_ITEMS)
    assert np.allclose(weights, ridge_one_by_one(histories, (3.0, 9.0), RIDGE), atol=2e-5)


def test_what_the_default_sums_forget_changes_the_weights_by_less_than_a_tenth(log_of: LogOf) -> None:
    rng = np.random.default_rng(0)
    histories = rng.integers(0, N_ITEMS, size=(20, 120)).tolist()
    config = SequentialConfig(ridge=RIDGE, rank=64)
    fitted = fit_sequential(log_of(histories, N_ITEMS), config)
    weights = (fitted.left @ fitted.index.vectors.T).reshape(2 * N_ITEMS, N_ITEMS)
    exact = ridge_one_by_one(histories, config.time_constants_items, RIDGE)
    assert np.abs(weights - exact).max() < 0.1 * np.abs(exact).max()


@settings(max_examples=40)
@given(histories=HISTORIES, asking=st.lists(st.integers(0, N_ITEMS - 1), min_size=1, max_size=10))
def test_the_exact_score_is_the_full_rank_linear_prediction(
    log_of: LogOf, users_of: UsersOf, histories: list[list[int]], asking: list[int]
) -> None:
    fitted = fit_sequential(log_of(histories, N_ITEMS), WHOLE.model_copy(update={"rank": 1}))
    x, _ = rows_one_by_one([[*asking, 0]], (3.0, 9.0))
    predicted = x[-1] @ ridge_one_by_one(histories, (3.0, 9.0), RIDGE)
    everything = np.arange(N_ITEMS, dtype=np.int32)[None, :]
    assert np.allclose(fitted.score(users_of([asking]), everything)[0], predicted, atol=1e-4)  # 16 bits


def test_at_full_rank_the_index_and_the_exact_weights_agree(log_of: LogOf, users_of: UsersOf) -> None:
    histories = np.random.default_rng(1).integers(0, N_ITEMS, size=(30, 12)).tolist()
    log = log_of(histories, N_ITEMS)
    exact = fit_sequential(log, WHOLE)
    by_index = fit_sequential(log, WHOLE.model_copy(update={"max_exact_mb": 0.0}))
    assert (exact.exact.kept, by_index.exact.kept) == (True, False)
    users = users_of(histories[:5])
    rows = np.tile(np.arange(N_ITEMS, dtype=np.int32), (5, 1))
    assert np.allclose(exact.score(users, rows), by_index.score(users, rows), atol=2e-3)
    for one, other in zip(exact.parts(users, rows), by_index.parts(users, rows), strict=True):
        assert np.allclose(one, other, atol=2e-3)


@pytest.mark.parametrize("max_exact_mb", [0.0, 1.0], ids=["index", "exact"])
def test_search_names_the_items_with_the_highest_scores(
    log_of: LogOf, users_of: UsersOf, max_exact_mb: float
) -> None:
    histories = np.random.default_rng(2).integers(0, N_ITEMS, size=(30, 12)).tolist()
    fitted = fit_sequential(
        log_of(histories, N_ITEMS), WHOLE.model_copy(update={"max_exact_mb": max_exact_mb})
    )
    users = users_of([[0, 1, 2], [5]])
    blocked = np.zeros((2, N_ITEMS), dtype=np.bool_)
    blocked[0, 3] = True
    scores = fitted.score(users, np.tile(np.arange(N_ITEMS, dtype=np.int32), (2, 1)))
    open_scores = np.where(blocked, -np.inf, scores)
    found = fitted.search(users, 3, blocked)
    assert found.item_rows.tolist() == np.argsort(-open_scores, axis=1)[:, :3].tolist()


def test_after_a_fixed_cycle_the_next_of_the_cycle_is_named_first(log_of: LogOf, users_of: UsersOf) -> None:
    fitted = fit_sequential(log_of([[0, 1, 2, 3, 4, 5] * 3] * 5, N_ITEMS), WHOLE)
    found = fitted.search(users_of([[0, 1, 2], [4, 5]]), 1, np.zeros((2, N_ITEMS), dtype=np.bool_))
    assert found.item_rows[:, 0].tolist() == [3, 0]


def test_rare_items_take_no_part(log_of: LogOf, users_of: UsersOf) -> None:
    log = log_of([[0, 1, 0, 1, 0, 1, 2]], N_ITEMS)
    fitted = fit_sequential(log, SequentialConfig(min_events=2, ridge=RIDGE))
    assert fitted.index.rows.tolist() == [0, 1]
    scores = fitted.score(users_of([[0], [2]]), np.array([[1, 2, NO_ITEM]] * 2, dtype=np.int32))
    assert scores[0, 0] > 0.0
    assert scores[0, 1:].tolist() == [0.0, 0.0]
    assert scores[1].tolist() == [0.0, 0.0, 0.0]  # nor does a history of rare items say anything


def test_at_most_so_many_items_take_part_the_most_popular(log_of: LogOf) -> None:
    log = log_of([[5, 5, 5, 2, 2, 1, 0]], N_ITEMS)
    fitted = fit_sequential(log, SequentialConfig(min_events=1, max_items=2))
    assert np.flatnonzero(fitted.exact.head_of < 2).tolist() == [2, 5]


@pytest.mark.parametrize("histories", [[[0, 1, 2]], [[0]], []], ids=["rare", "single", "none"])
def test_a_log_too_small_to_learn_from_names_nothing(
    log_of: LogOf, users_of: UsersOf, histories: list[list[int]]
) -> None:
    fitted = fit_sequential(log_of(histories, N_ITEMS), SequentialConfig())
    users = users_of([[0, 1]])
    found = fitted.search(users, 2, np.zeros((1, N_ITEMS), dtype=np.bool_))
    assert found.item_rows.tolist() == [[NO_ITEM, NO_ITEM]]
    assert fitted.score(users, np.array([[1, NO_ITEM]], dtype=np.int32)).tolist() == [[0.0, 0.0]]
