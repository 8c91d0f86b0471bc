from pathlib import Path

import pytest

from recsys.data.badrows import OnBadRow
from recsys.data.formats import load_dataset

cost = pytest.importorskip("deployments.features.cost")


@pytest.mark.slow
def test_made_up_events_are_a_data_set_and_what_they_cost_is_told(tmp_path: Path) -> None:
    cost.write_events(tmp_path / "data", 5_000, seed=0)
    dataset = load_dataset(tmp_path / "data", on_bad_row=OnBadRow.FAIL, now_s=1.8e9).dataset
    times_s = dataset.interactions["time_s"]
    assert times_s.len() == 5_000
    assert times_s.is_sorted()
    assert (times_s.diff() > 0).sum() / dataset.interactions["user_id"].n_unique() > 2.0
    found = cost.measure(tmp_path / "data", tmp_path / "out", 1, 2_000, 1_000)
    assert (found.n_events, found.n_workers, found.rows_per_partition) == (5_000, 1, 2_000)
    assert found.n_users == dataset.interactions["user_id"].n_unique()
    assert found.events_per_s > 0
    assert 0 < found.workers_mb < found.driver_and_workers_mb
