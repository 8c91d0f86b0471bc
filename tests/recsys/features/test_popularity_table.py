from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.core.clock import SECONDS_PER_DAY
from recsys.data.log import InteractionLog
from recsys.features.popularity import PopularityConfig, PopularityTable, fit_popularity
from recsys.registry.reader import FolderBundleReader

LogOf = Callable[..., InteractionLog]

DAY = SECONDS_PER_DAY
N_ITEMS = 4
USUAL = PopularityConfig().half_lives_days


def level(table: PopularityTable, now_s: float, half_life_row: int = 0) -> list[float]:
    (snapshot,) = table.snapshot_rows(np.array([now_s]))
    return [float(value) for value in table.levels[snapshot, half_life_row]]


def test_an_event_one_half_life_old_counts_half(log_of: LogOf) -> None:
    log = log_of([[0, 1]], 2, times_s=[[0.0, 2 * DAY]])
    table = fit_popularity(log, PopularityConfig(half_lives_days=(2.0, 1.0, *USUAL[2:])))
    mean = 1.5 / 2  # counts are 0.5 and 1.0 when the second event has just happened
    assert level(table, 3 * DAY) == pytest.approx([np.log1p(0.5 / mean), np.log1p(1.0 / mean)])
    assert level(table, 3 * DAY, 1) == pytest.approx([np.log1p(0.25 / 0.625), np.log1p(1.0 / 0.625)])


def test_an_event_does_not_count_at_its_own_moment(log_of: LogOf) -> None:
    table = fit_popularity(log_of([[0, 1]], 2, times_s=[[10.0, 20.0]]), PopularityConfig())
    assert level(table, 10.0) == [0.0, 0.0]
    assert level(table, 20.0)[1] == 0.0
    assert level(table, 20.1)[1] > 0.0


def test_before_the_first_event_nothing_is_popular(log_of: LogOf) -> None:
    table = fit_popularity(log_of([[0, 0]], 2, times_s=[[5.0, 6.0]]), PopularityConfig())
    assert level(table, -1e12) == [0.0, 0.0]


def test_an_empty_log_leaves_everything_at_zero(log_of: LogOf) -> None:
    table = fit_popularity(log_of([], N_ITEMS), PopularityConfig())
    assert level(table, 1e9) == [0.0] * N_ITEMS


def test_large_catalogues_get_fewer_snapshots(log_of: LogOf) -> None:
    log = log_of([[0] * 50], 1_000)
    small = PopularityConfig(max_table_mb=len(USUAL) * 1_000 * 4 * 5 / 2**20)
    assert len(fit_popularity(log, small).moments_s) == 1 + 5  # and the one that knows nothing
    assert len(fit_popularity(log, PopularityConfig()).moments_s) == 1 + 48


@settings(max_examples=60)
@given(
    events=st.lists(st.tuples(st.integers(0, N_ITEMS - 1), st.integers(0, 60)), min_size=1, max_size=40),
    n_snapshots=st.integers(1, 8),
    asked_s=st.integers(-1, 62),
)
def test_no_event_at_or_after_the_moment_ever_counts(
    log_of: LogOf, events: list[tuple[int, int]], n_snapshots: int, asked_s: int
) -> None:
    events = sorted(events, key=lambda event: event[1])
    log = log_of([[item for item, _ in events]], N_ITEMS, times_s=[[float(time_s) for _, time_s in events]])
    table = fit_popularity(log, PopularityConfig(half_lives_days=(1e9, *USUAL[1:]), n_snapshots=n_snapshots))
    (snapshot,) = table.snapshot_rows(np.array([float(asked_s)]))
    moment_s = table.moments_s[snapshot]
    assert moment_s <= asked_s
    counted = np.bincount([item for item, time_s in events if time_s < moment_s], minlength=N_ITEMS)
    mean = counted.mean() or 1.0
    assert table.levels[snapshot, 0].tolist() == pytest.approx(np.log1p(counted / mean).tolist(), rel=1e-5)


def test_a_table_comes_back_from_a_bundle(
    log_of: LogOf, bundle_of: Callable[..., FolderBundleReader]
) -> None:
    table = fit_popularity(log_of([[0, 1, 1]], 2), PopularityConfig())
    read = PopularityTable.load(bundle_of(table.save))
    assert np.array_equal(read.moments_s, table.moments_s)
    assert np.array_equal(read.levels, table.levels)
