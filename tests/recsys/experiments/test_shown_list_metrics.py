import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.core.errors import FieldError, ShapeError
from recsys.experiments.list_metrics import hit_at, ndcg_at


def test_a_liked_item_in_the_second_place_is_worth_less_than_in_the_first() -> None:
    gains = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(ndcg_at(gains, 2), [1.0, 1 / np.log2(3), 0.0, 0.0])
    np.testing.assert_array_equal(hit_at(gains, 2), [1.0, 1.0, 0.0, 0.0])


def test_grades_count() -> None:
    worth = 1 / np.log2([2.0, 3.0])
    expected = (1 * worth[0] + 3 * worth[1]) / (3 * worth[0] + 1 * worth[1])
    assert ndcg_at(np.array([[1.0, 3.0]]), 10)[0] == pytest.approx(expected)


@given(st.integers(0, 5), st.integers(0, 12), st.integers(1, 15), st.integers(0, 2**32 - 1))
def test_it_is_between_none_and_the_ideal_order(n: int, places: int, k: int, seed: int) -> None:
    gains = np.random.default_rng(seed).integers(0, 4, (n, places)).astype(np.float64)
    found, ideal = ndcg_at(gains, k), ndcg_at(-np.sort(-gains, axis=1), k)
    assert ((found >= 0.0) & (found <= ideal + 1e-12)).all()
    np.testing.assert_allclose(ideal, hit_at(gains, max(places, 1)))


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ShapeError):
        ndcg_at(np.zeros(3), 2)
    with pytest.raises(FieldError, match="gains"):
        hit_at(np.array([[-1.0]]), 2)
    with pytest.raises(FieldError, match="k"):
        hit_at(np.zeros((1, 1)), 0)
