import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsys.features.users import NO_ITEM
from recsys.recall.source import Ranked, first_allowed, top_of_dense

NOTHING_BLOCKED = np.zeros((1, 6), dtype=np.bool_)


def listed(ranked: Ranked, user: int = 0) -> list[tuple[int, float]]:
    rows, scores = ranked.item_rows[user], ranked.scores[user]
    return list(zip(rows.tolist(), scores.tolist(), strict=True))


def test_blocked_items_and_padding_make_room_for_the_next() -> None:
    item_rows = np.array([[4, 1, NO_ITEM, 2, 0]], dtype=np.int32)
    scores = np.array([[5.0, 4.0, 3.0, 2.0, 1.0]], dtype=np.float32)
    blocked = np.array([[False, True, False, False, False, False]])
    assert listed(first_allowed(item_rows, scores, blocked, 2)) == [(4, 5.0), (2, 2.0)]


def test_short_rows_are_padded_to_the_asked_width() -> None:
    ranked = first_allowed(
        np.array([[3]], dtype=np.int32), np.array([[9.0]], dtype=np.float32), NOTHING_BLOCKED, 3
    )
    assert listed(ranked) == [(3, 9.0), (NO_ITEM, -np.inf), (NO_ITEM, -np.inf)]


def test_items_of_a_score_table_at_zero_or_below_are_unknown() -> None:
    scores = np.array([[0.0, 2.0, -1.0, 3.0, 0.0, 0.0]], dtype=np.float32)
    assert listed(top_of_dense(scores, NOTHING_BLOCKED, 4))[:3] == [(3, 3.0), (1, 2.0), (NO_ITEM, -np.inf)]


def test_ties_go_to_the_smaller_row_even_at_the_cut() -> None:
    scores = np.array([[1.0, 1.0, 5.0, 1.0, 1.0, 1.0]], dtype=np.float32)
    assert [row for row, _ in listed(top_of_dense(scores, NOTHING_BLOCKED, 3))] == [2, 0, 1]


def sorted_the_slow_way(
    scores: NDArray[np.float32], blocked: NDArray[np.bool_], n: int
) -> list[tuple[int, float]]:
    pairs = [(row, float(s)) for row, s in enumerate(scores) if s > 0 and not blocked[row]]
    pairs.sort(key=lambda pair: (-pair[1], pair[0]))
    return (pairs + [(NO_ITEM, -np.inf)] * n)[:n]


@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_the_top_of_a_table_is_what_sorting_everything_gives(n_items: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(-1, 6, size=(3, n_items)).astype(np.float32)  # many ties
    blocked = rng.random(scores.shape) < 0.3
    ranked = top_of_dense(scores, blocked, n)
    for user in range(3):
        assert listed(ranked, user) == sorted_the_slow_way(scores[user], blocked[user], n)
