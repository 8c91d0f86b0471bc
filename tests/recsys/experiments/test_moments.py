import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsys.core.errors import FieldError, ShapeError
from recsys.experiments.moments import Moments, merged, moments_by_group, moments_of


def table(n: int, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    shown = np.asarray(1 + rng.poisson(8, n), np.float64)
    before = rng.gamma(2.0, 3.0, n)
    before[rng.random(n) < 0.2] = np.nan
    return rng.binomial(shown.astype(np.int64), 0.2).astype(np.float64), shown, before


def test_a_plain_metric_has_the_mean_and_variance_of_its_numerators() -> None:
    moments = moments_of([1.0, 2.0, 6.0])
    assert (moments.n, moments.ratio) == (3, 3.0)
    assert moments.variance == pytest.approx(7.0)


def test_a_ratio_has_the_variance_of_the_delta_method() -> None:
    watched, shown, _ = table(500)
    moments = moments_of(watched, shown)
    ratio = watched.sum() / shown.sum()
    assert moments.ratio == pytest.approx(ratio)
    parts = (watched - ratio * shown) / shown.mean()
    assert moments.variance == pytest.approx(np.var(parts, ddof=1))


def test_covariances_are_those_of_numpy() -> None:
    watched, shown, before = table(300)
    columns = [watched, shown, np.nan_to_num(before), ~np.isnan(before)]
    np.testing.assert_allclose(
        moments_of(watched, shown, before).covariance(), np.cov(np.array(columns, dtype=np.float64))
    )


@given(st.integers(0, 60), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_parts_in_any_order_add_up_to_the_whole(n: int, n_parts: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    watched, shown, before = table(n, seed)
    whole = moments_of(watched, shown, before)
    parts = moments_by_group(rng.integers(0, n_parts, n), n_parts, watched, shown, before)
    shuffled = [parts[i] for i in rng.permutation(n_parts)]
    together = merged(shuffled)
    assert together.n == whole.n == n
    np.testing.assert_allclose(together.means, whole.means, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(together.products, whole.products, rtol=1e-9, atol=1e-9)


def test_the_variance_survives_figures_far_from_zero() -> None:
    assert moments_of(np.array([0.0, 1.0, 2.0]) + 1e9).variance == pytest.approx(1.0)


def test_they_come_back_from_json_as_they_went() -> None:
    moments = moments_of(*table(50))
    assert Moments.model_validate_json(moments.model_dump_json()) == moments


def test_a_linear_map_gives_the_moments_of_the_mapped_columns() -> None:
    watched, shown, _ = table(100)
    swap = np.eye(4)
    swap[0, 1] = -2.0
    mapped = moments_of(watched, shown).mapped(swap, np.array([5.0, 0.0, 0.0, 0.0]))
    direct = moments_of(watched - 2.0 * shown + 5.0, shown)
    np.testing.assert_allclose(mapped.means, direct.means)
    np.testing.assert_allclose(mapped.products, direct.products, atol=1e-9)


def test_too_few_users_have_no_variance() -> None:
    assert np.isnan(Moments().variance)
    assert np.isnan(moments_of([1.0]).variance)
    assert np.isnan(Moments().ratio)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_figure_that_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(FieldError, match="numerator"):
        moments_of([1.0, bad])
    with pytest.raises(FieldError, match="denominator"):
        moments_of([1.0, 1.0], [1.0, bad])


def test_columns_of_other_length_are_refused() -> None:
    with pytest.raises(ShapeError, match="denominator"):
        moments_of([1.0, 2.0], [1.0])
