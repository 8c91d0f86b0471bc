from itertools import count
from pathlib import Path

import numpy as np
import pytest

from loadtest.bench.in_process import in_turns, open_pipeline
from recsys.data.formats import load_dataset
from recsys.ranking.boosting import BoostingConfig
from recsys.registry.local import LocalRegistry
from recsys.simulation.scenario import scenario_named
from recsys.simulation.writer import simulate
from recsys.training.cross_fit import CrossFitConfig
from recsys.training.train import train
from recsys.training.two_stage import TrainingConfig


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the folders of a registry with a stable bundle and of the data it was trained on."""
    folder = tmp_path_factory.mktemp("scale")
    simulate(scenario_named("tiny"), 7, folder / "data")
    registry = LocalRegistry(folder / "registry")
    quick = TrainingConfig(
        cross_fit=CrossFitConfig(n_folds=2, max_positions=8, n_candidates=20),
        boosting=BoostingConfig(n_trees=3),
        n_candidates=20,
    )
    dataset = load_dataset(folder / "data", now_s=2e9).dataset
    bundle = train(dataset, registry, quick, key="k", now_s=1.0).bundle
    registry.promote(bundle.name, "stable", expected=None, by="test", now_s=1.0)
    return folder / "registry", folder / "data"


def test_users_are_asked_with_all_they_did(trained: tuple[Path, Path]) -> None:
    pipeline = open_pipeline(*trained, n_users=5, seed=0)
    assert len(pipeline.users) == 5
    assert (pipeline.users.history_rows[:, 0] >= 0).all()
    assert (np.diff(pipeline.users.excluded_offsets) == pipeline.users.n_positive).all()


def test_pipelines_take_turns_and_the_warm_up_is_not_counted(trained: tuple[Path, Path]) -> None:
    pipeline = open_pipeline(*trained, n_users=2, seed=0)
    ticks = count()
    first, second = in_turns([pipeline, pipeline], 3, lambda: float(next(ticks)))
    assert (first.tolist(), second.tolist()) == ([1.0] * 3, [1.0] * 3)  # the clock ticks twice per request
    assert next(ticks) == 2 * 2 * (3 + 3)  # as many to warm up, two pipelines, two looks at the clock
