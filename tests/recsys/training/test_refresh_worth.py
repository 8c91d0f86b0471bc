from pathlib import Path

from recsys.data.schema import Dataset
from recsys.ranking.boosting import BoostingConfig
from recsys.ranking.matrix import KnowledgeConfig
from recsys.recall.sequential import SequentialConfig
from recsys.recall.sources import RecallConfig
from recsys.recall.svd import SvdConfig
from recsys.training.cross_fit import CrossFitConfig
from recsys.training.refresh_cost import made_up_log, measure
from recsys.training.refresh_worth import worth
from recsys.training.two_stage import TrainingConfig
from tests.small import BILINEAR

TINY = TrainingConfig(
    knowledge=KnowledgeConfig(
        recall=RecallConfig(
            bilinear=BILINEAR,
            sequential=SequentialConfig(min_events=2, rank=8, ridge=5.0),
            svd=SvdConfig(n_factors=4),
        )
    ),
    cross_fit=CrossFitConfig(n_folds=2, min_positions=3, max_positions=3, n_candidates=20),
    boosting=BoostingConfig(n_trees=5, max_depth=3, learning_rate=0.3),
    n_candidates=20,
)


def test_each_way_is_asked_the_same_users(simulated: Dataset) -> None:
    found = worth(simulated, TINY, base_share=0.7, test_share=0.2, max_asked=50)
    assert found["n_asked"] == 50
    scores, seconds = found["ndcg@10"], found["seconds"]
    assert isinstance(scores, dict)
    assert isinstance(seconds, dict)
    assert list(scores) == list(seconds) == ["before", "refreshed", "continued", "full"]
    assert all(0.0 < score < 1.0 for score in scores.values())


def test_the_cost_of_a_made_up_month_comes_with_equal_sums(tmp_path: Path) -> None:
    log = made_up_log(300, 60, 8.0, 31, seed=1)
    cost = measure(log, 30 * 86_400.0, SequentialConfig(min_events=2, rank=4), tmp_path)
    assert (cost.n_users, cost.n_events) == (300, len(log.item_rows))
    assert 0 < cost.n_users_changed <= cost.n_new_events < cost.n_events
    assert cost.sums_off <= 2**-22
    assert cost.weights_off <= 1e-4 * cost.largest_weight + 1e-6
