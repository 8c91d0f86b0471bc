import numpy as np
import pytest
from scipy.stats import binom, chi2

from recsys.drift.divergence import jensen_shannon_rows
from recsys.drift.null import Null, calibrate, effective, left_out
from recsys.drift.tally import Tally

N_BINS = 5


def tally_of(n_clusters: int, n_windows: int, rng: np.random.Generator, *, alike: float = 1.0) -> Tally:
    """Draw clusters of 8 events; the smaller ``alike``, the more the events of one user are of one kind."""
    tastes = rng.dirichlet(np.full(N_BINS, alike), size=n_clusters)
    counts = rng.multinomial(8, tastes).astype(np.float32)
    return Tally(counts, np.arange(n_clusters) % n_windows)


def test_the_threshold_is_the_quantile_of_a_scaled_chi_square() -> None:
    null = Null(mean=4.0, variance=8.0)  # a chi-square of four degrees of freedom
    assert null.threshold(0.01, 1.0) == pytest.approx(chi2.isf(0.01, 4))
    assert null.threshold(0.01, 50.0) == pytest.approx(chi2.isf(0.01, 4) / 50)
    assert null.p_value(chi2.isf(0.01, 4) / 50, 50.0) == pytest.approx(0.01)


def test_what_never_varied_has_moved_as_soon_as_it_varies() -> None:
    null = Null(mean=0.0, variance=0.0)
    assert (null.threshold(0.01, 10.0), null.p_value(0.0, 10.0), null.p_value(0.1, 10.0)) == (0.0, 1.0, 0.0)


def test_independent_events_have_the_chi_square_of_the_textbook() -> None:
    rng = np.random.default_rng(0)
    counts = rng.multinomial(1, np.full(N_BINS, 1 / N_BINS), size=40_000).astype(np.float32)
    null = calibrate(Tally(counts, np.arange(40_000) % 20), 2_000, rng)
    # one event per user: 8 ln 2 times the divergence of n is chi-square of N_BINS - 1
    assert null.mean * 8 * np.log(2) == pytest.approx(N_BINS - 1, rel=0.25)


def test_users_who_resemble_themselves_raise_the_threshold() -> None:
    rng = np.random.default_rng(0)
    alike, unlike = tally_of(4_000, 20, rng, alike=0.2), tally_of(4_000, 20, rng, alike=50.0)
    assert calibrate(alike, 200, rng).mean > 3.0 * calibrate(unlike, 200, rng).mean


def test_days_of_their_own_kind_raise_the_threshold() -> None:
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.full(N_BINS, 20.0), size=20)  # each day has shares of its own
    counts = np.concatenate([rng.multinomial(8, share, size=200) for share in shares]).astype(np.float32)
    tally = Tally(counts, np.repeat(np.arange(20), 200))
    shuffled = Tally(counts, rng.permutation(tally.windows))
    assert calibrate(tally, 200, rng).mean > 5.0 * calibrate(shuffled, 200, rng).mean


def test_windows_with_hardly_anybody_are_left_out() -> None:
    rng = np.random.default_rng(0)
    tally = tally_of(100, 10, rng)
    assert len(left_out(tally)) == 10
    assert len(left_out(Tally(tally.counts[:99], tally.windows[:99]))) == 9


def test_false_alarms_are_as_rare_as_stated() -> None:
    rng = np.random.default_rng(1)
    rate, n_windows = 0.01, 4_000
    reference = tally_of(10_000, 20, rng, alike=0.5)
    null = calibrate(reference, 200, rng)
    windows = tally_of(200 * n_windows, n_windows, rng, alike=0.5).counts.reshape(200, n_windows, N_BINS)
    threshold = null.threshold(rate, effective(200, 10_000))
    shares = windows.sum(axis=0, dtype=np.float64) / (200 * 8)
    found = int((jensen_shannon_rows(reference.total / reference.total.sum(), shares) > threshold).sum())
    # 40 are expected; outside of these limits with odds of 1 in 1,000 if the rate is what it says
    assert binom.ppf(0.0005, n_windows, rate) <= found <= binom.ppf(0.9995, n_windows, rate)
