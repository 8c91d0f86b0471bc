from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsys.data.log import InteractionLog
from recsys.recall.pairs import pair_counts, pairs_at_lag

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


def test_a_pair_counts_by_its_distance_and_half_backwards(log_of: LogOf) -> None:
    log = log_of([[0, 1, 2]], N_ITEMS)
    ((start, counts),) = pair_counts(log, lag_weights=np.array([1.0, 0.5]), backward=0.5)
    assert start == 0
    assert counts[0, 1] == counts[1, 2] == 1.0
    assert counts[0, 2] == counts[1, 0] == counts[2, 1] == 0.5
    assert counts[2, 0] == 0.25


@pytest.mark.parametrize("rows_at_once", [1, 2, N_ITEMS])
@given(histories=HISTORIES)
def test_blocks_of_any_size_hold_the_counts_of_all_pairs(
    log_of: LogOf, rows_at_once: int, histories: list[list[int]]
) -> None:
    blocks = list(
        pair_counts(
            log_of(histories, N_ITEMS),
            lag_weights=np.array([1.0, 0.5, 0.25]),
            backward=0.5,
            block_bytes=4 * N_ITEMS * rows_at_once,
        )
    )
    starts = [start for start, _ in blocks]
    assert starts == list(range(0, N_ITEMS, rows_at_once))
    counts = np.concatenate([block for _, block in blocks])
    assert np.array_equal(counts, counted_one_by_one(histories, [1.0, 0.5, 0.25], 0.5))
