from collections.abc import Callable, Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsys.data.log import InteractionLog
from recsys.recall.neighbours import NeighbourTable
from recsys.recall.pairs import pairs_at_lag, strongest_pairs

LogOf = Callable[..., InteractionLog]

N_ITEMS = 5
HISTORIES = st.lists(st.lists(st.integers(0, N_ITEMS - 1), max_size=8), min_size=1, max_size=5)


def counted_one_by_one(
    histories: Sequence[Sequence[int]], lag_weights: Sequence[float], backward: float
) -> NDArray[np.float64]:
    counts = np.zeros((N_ITEMS, N_ITEMS))
    for history in histories:
        for place, first in enumerate(history):
            for second, weight in zip(history[place + 1 :], lag_weights, strict=False):
                counts[first, second] += weight
                counts[second, first] += weight * backward
    np.fill_diagonal(counts, 0.0)
    return counts


def test_pairs_never_cross_from_one_user_to_the_next() -> None:
    earlier, later = pairs_at_lag(np.array([0, 0, 0, 1, 1], dtype=np.int32), 2)
    assert earlier.tolist() == [0]
    assert later.tolist() == [2]


def test_a_lag_longer_than_the_log_gives_no_pairs() -> None:
    earlier, later = pairs_at_lag(np.array([0, 0], dtype=np.int32), 2)
    assert (earlier.size, later.size) == (0, 0)


def kept(
    log: InteractionLog, n_neighbours: int, *, scale: NDArray[np.float64] | None = None
) -> NeighbourTable:
    ones = np.ones(log.n_items)
    return strongest_pairs(
        log,
        n_neighbours,
        lag_weights=np.array([1.0, 0.5, 0.25]),
        backward=0.5,
        scale_from=ones,
        scale_to=ones if scale is None else scale,
    )


def dense(table: NeighbourTable) -> NDArray[np.float32]:
    weights = np.zeros((table.n_items, table.n_items + 1), dtype=np.float32)
    np.put_along_axis(weights, table.rows.astype(np.intp), table.weights, axis=1)
    return weights[:, :-1]


def test_a_pair_counts_by_its_distance_and_half_backwards(log_of: LogOf) -> None:
    counts = dense(kept(log_of([[0, 1, 2]], N_ITEMS), N_ITEMS))
    assert counts[0, 1] == counts[1, 2] == 1.0
    assert counts[0, 2] == counts[1, 0] == counts[2, 1] == 0.5
    assert counts[2, 0] == 0.25


@given(histories=HISTORIES)
def test_with_room_for_all_every_pair_is_counted(log_of: LogOf, histories: list[list[int]]) -> None:
    counts = dense(kept(log_of(histories, N_ITEMS), N_ITEMS))
    assert np.array_equal(counts, counted_one_by_one(histories, [1.0, 0.5, 0.25], 0.5))


@given(histories=HISTORIES, n_neighbours=st.integers(1, N_ITEMS))
def test_what_is_kept_is_the_largest_of_each_row_sorted_by_row(
    log_of: LogOf, histories: list[list[int]], n_neighbours: int
) -> None:
    table = kept(log_of(histories, N_ITEMS), n_neighbours)
    counts = counted_one_by_one(histories, [1.0, 0.5, 0.25], 0.5)
    largest = -np.sort(-counts, axis=1)[:, :n_neighbours]
    assert np.array_equal(-np.sort(-table.weights, axis=1), largest)
    assert (np.diff(table.rows, axis=1) >= 0).all()
    assert np.array_equal(table.rows == N_ITEMS, table.weights == 0)  # padding


def test_of_equal_pairs_the_smaller_rows_are_kept(log_of: LogOf) -> None:
    table = kept(log_of([[3, 0], [3, 1], [3, 2]], N_ITEMS), 2)
    assert table.rows[3].tolist() == [0, 1]


def test_a_pair_is_multiplied_by_the_scale_of_its_second_item(log_of: LogOf) -> None:
    table = kept(log_of([[0, 1]], N_ITEMS), N_ITEMS, scale=np.array([1.0, 8.0, 1.0, 1.0, 1.0]))
    assert dense(table)[0, 1] == 8.0
    assert dense(table)[1, 0] == 0.5
