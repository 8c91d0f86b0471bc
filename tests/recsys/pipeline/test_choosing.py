import numpy as np
import pytest

from recsys.data.log import InteractionLog, Vocabulary, encode
from recsys.data.schema import Dataset
from recsys.features.users import NO_ITEM, UserBatch, batch_at
from recsys.pipeline.stages import TwoStage
from recsys.ranking.boosting import BoostingConfig
from recsys.ranking.matrix import KnowledgeConfig
from recsys.recall.sequential import SequentialConfig
from recsys.recall.sources import RecallConfig
from recsys.recall.svd import SvdConfig
from recsys.training.cross_fit import CrossFitConfig
from recsys.training.two_stage import TrainingConfig, fit_two_stage
from tests.small import BILINEAR

TINY = TrainingConfig(
    knowledge=KnowledgeConfig(
        recall=RecallConfig(
            bilinear=BILINEAR, sequential=SequentialConfig(min_events=2, rank=4), svd=SvdConfig(n_factors=4)
        )
    ),
    cross_fit=CrossFitConfig(n_folds=2, min_positions=3, max_positions=3, n_candidates=20),
    boosting=BoostingConfig(n_trees=10, max_depth=3),
    n_candidates=10,
)


@pytest.fixture(scope="module")
def log(simulated: Dataset) -> InteractionLog:
    return encode(simulated, Vocabulary(simulated.items["item_id"].to_list()))


@pytest.fixture(scope="module")
def model(log: InteractionLog, simulated: Dataset) -> TwoStage:
    return fit_two_stage(log, simulated.items, TINY)


@pytest.fixture(scope="module")
def users(log: InteractionLog) -> UserBatch:
    rows = np.arange(5)
    return batch_at(log, rows, log.offsets[rows] + 3, np.full(5, log.times_s.max()))


def test_a_choice_that_recall_names_is_scored_as_the_pipeline_scores_it(
    model: TwoStage, users: UserBatch
) -> None:
    candidates = model.candidates(users)
    turned = np.ascontiguousarray(candidates.item_rows[:, ::-1])
    found = model.scores(users, turned)
    assert np.array_equal(found[:, ::-1], model.ranking.rank(users, candidates))


def test_a_choice_that_recall_does_not_name_has_a_score_and_padding_has_none(
    model: TwoStage, users: UserBatch
) -> None:
    named = model.candidates(users).item_rows[0]
    strange = np.setdiff1d(np.arange(model.recall.catalogue.n_items), named)[:1]
    choices = np.array([[strange[0], NO_ITEM]] * 5, dtype=np.int32)
    found = model.scores(users, choices)
    assert np.isfinite(found[:, 0]).all()
    assert (found[:, 1] == -np.inf).all()
