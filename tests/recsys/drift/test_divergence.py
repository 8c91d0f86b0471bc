import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, ks_2samp

from recsys.core.errors import InputError, ShapeError
from recsys.drift.divergence import chi_square_p_value, jensen_shannon, kolmogorov_smirnov, psi

COUNTS = st.lists(st.integers(0, 50), min_size=5, max_size=5).filter(any)


def counts(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array(values, dtype=np.float64)


def test_the_stability_index_is_the_sum_of_differences_times_logs() -> None:
    # shares 0.25, 0.75 and 0.75, 0.25 with half a count more in each bin: 10.5/41 and 30.5/41
    expected = 2 * (30.5 - 10.5) / 41 * np.log(30.5 / 10.5)
    assert psi(counts(10, 30), counts(30, 10)) == pytest.approx(expected)


def test_the_stability_index_is_finite_where_a_bin_is_empty() -> None:
    # (0.5, 10.5) / 11 against (5.5, 5.5) / 11
    expected = (5.5 - 0.5) / 11 * np.log(5.5 / 0.5) + (5.5 - 10.5) / 11 * np.log(5.5 / 10.5)
    assert psi(counts(0, 10), counts(5, 5)) == pytest.approx(expected)


def test_jensen_and_shannon_by_hand() -> None:
    # (1, 0) against (1/2, 1/2): H(3/4, 1/4) - H(1/2, 1/2) / 2
    expected = 0.75 * np.log2(4 / 3) + 0.25 * 2 - 0.5
    assert jensen_shannon(counts(4, 0), counts(3, 3)) == pytest.approx(expected)


@given(COUNTS, COUNTS)
def test_jensen_and_shannon_agree_with_scipy(reference: list[int], window: list[int]) -> None:
    expected = jensenshannon(reference, window, base=2) ** 2
    assert jensen_shannon(counts(*reference), counts(*window)) == pytest.approx(expected, abs=1e-7)


@given(COUNTS, COUNTS)
def test_kolmogorov_and_smirnov_agree_with_scipy(reference: list[int], window: list[int]) -> None:
    first, second = (np.repeat(np.arange(5), each) for each in (reference, window))
    expected = ks_2samp(first, second, method="asymp").statistic
    assert kolmogorov_smirnov(counts(*reference), counts(*window)) == pytest.approx(expected)


@given(COUNTS)
def test_nothing_is_unlike_itself(values: list[int]) -> None:
    both = counts(*values)
    assert psi(both, both) == 0.0
    assert jensen_shannon(both, both) == kolmogorov_smirnov(both, both) == 0.0
    assert chi_square_p_value(both, both) == 1.0


def test_chi_square_agrees_with_scipy_and_leaves_bins_out_that_nobody_has() -> None:
    expected = chi2_contingency(np.array([[10, 20], [20, 10]]), correction=False).pvalue
    assert chi_square_p_value(counts(10, 0, 20), counts(20, 0, 10)) == pytest.approx(expected)
    # X2 = 30 * (1/3)^2 / (1/2 * 1/2) * 1/2 = 6.67 with one degree of freedom
    assert expected == pytest.approx(0.0098, abs=1e-4)


def test_histograms_must_have_the_same_bins_and_something_in_them() -> None:
    with pytest.raises(ShapeError):
        psi(counts(1, 2), counts(1, 2, 3))
    with pytest.raises(InputError, match="without any count"):
        jensen_shannon(counts(0, 0), counts(1, 2))
