from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from recsys.core.errors import UnavailableError
from recsys.data.impressions import Target
from recsys.data.log import InteractionLog
from recsys.data.shown import ShownLog
from recsys.evaluation.impressions.targets_alone import fit_targets_alone
from recsys.features.users import batch_at
from recsys.ranking.targets import TargetsConfig

CONFIG = TargetsConfig(n_trees=10, min_child_weight=1.0, learning_rate=0.3)


@pytest.fixture
def log(log_of: Callable[..., InteractionLog]) -> InteractionLog:
    return log_of([[(3, 1.0)] for _ in range(40)], 4)


@pytest.fixture
def shown() -> ShownLog:
    """Everybody was shown items 0 to 2 and clicked 1, whatever else they chose."""
    rows, users = np.tile(np.arange(3, dtype=np.int32), 40), np.arange(40)
    nothing = np.zeros(len(rows), dtype=np.int64)
    return ShownLog(
        np.arange(41) * 3,
        users,
        users,
        users + 1,
        np.full(40, 5.0),
        np.full(40, 6.0),
        rows,
        nothing,
        nothing.astype(np.bool_),
        {Target.CLICK: rows == 1},
        0,
    )


def test_what_is_clicked_comes_first_and_nothing_seen_comes_at_all(
    log: InteractionLog, shown: ShownLog, catalogue_of: Callable[..., pl.DataFrame]
) -> None:
    model = fit_targets_alone(
        log, catalogue_of([[], [], [], []]), past=shown, target=Target.CLICK, config=CONFIG
    )
    users = batch_at(log, np.array([0]), log.offsets[1:2], np.array([10.0]))
    (found,) = model.scores(users, np.arange(3, dtype=np.int32)[None, :])
    assert found.argmax() == 1
    (best,) = model.top(users, 3).tolist()
    assert best[0] == 1
    assert 3 not in best  # the user has it


def test_a_target_that_nobody_measured_is_refused(
    log: InteractionLog, shown: ShownLog, catalogue_of: Callable[..., pl.DataFrame]
) -> None:
    with pytest.raises(UnavailableError, match="long_view"):
        fit_targets_alone(
            log, catalogue_of([[], [], [], []]), past=shown, target=Target.LONG_VIEW, config=CONFIG
        )
