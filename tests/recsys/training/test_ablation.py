from collections.abc import Callable, Iterator

import numpy as np
import polars as pl
import pytest

from recsys.core.errors import FieldError
from recsys.data.log import InteractionLog, Vocabulary, encode
from recsys.data.schema import Dataset
from recsys.evaluation.protocols import Protocol
from recsys.ranking.boosting import BoostingConfig
from recsys.ranking.matrix import FEATURE_GROUPS, FEATURES, KnowledgeConfig
from recsys.recall.sequential import SequentialConfig
from recsys.recall.sources import RecallConfig
from recsys.recall.svd import SvdConfig
from recsys.training.ablation import METRICS, AblationConfig, ablate, arms_of, group_arms, validation_split
from recsys.training.cross_fit import CrossFitConfig
from recsys.training.two_stage import TrainingConfig
from tests.small import BILINEAR

LogOf = Callable[..., InteractionLog]
CatalogueOf = Callable[..., pl.DataFrame]

BASE = TrainingConfig(
    knowledge=KnowledgeConfig(
        recall=RecallConfig(
            bilinear=BILINEAR,
            sequential=SequentialConfig(min_events=2, rank=8, ridge=5.0),
            svd=SvdConfig(n_factors=4),
        )
    ),
    cross_fit=CrossFitConfig(n_folds=2, min_positions=3, max_positions=3, n_candidates=20),
    boosting=BoostingConfig(n_trees=10, max_depth=3, learning_rate=0.3),
    n_candidates=20,
)
JUDGED = AblationConfig(n_positions=2, n_resamples=100)


def clock() -> Callable[[], float]:
    """A clock that goes on by a second whenever somebody looks."""
    seconds: Iterator[int] = iter(range(10**6))
    return lambda: float(next(seconds))


@pytest.fixture(scope="module")
def log(simulated: Dataset) -> InteractionLog:
    return encode(simulated, Vocabulary(simulated.items["item_id"].to_list()))


class TestValidationSplit:
    def test_nothing_that_a_test_would_ask_for_is_in_it(self, log_of: LogOf) -> None:
        log = log_of([[0, 1, 2, 3, 9], [4, 5, 6, 7, 8]], 10)
        split = validation_split(log, Protocol.LEAVE_LAST_OUT, JUDGED)
        assert split.full.item_rows.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
        assert split.train.item_rows.tolist() == [0, 1, 4, 5]
        assert split.target_rows.tolist() == [2, 3, 6, 7]
        assert split.test_users.tolist() == [0, 0, 1, 1]

    def test_under_global_time_the_newest_part_is_cut_off_twice(self, log_of: LogOf) -> None:
        log = log_of([list(range(10)), list(range(10, 20))], 20)
        split = validation_split(log, Protocol.GLOBAL_TIME, JUDGED, test_share=0.2)
        assert split.full.times_s.max() == 7.0
        assert split.train.times_s.max() < split.now_s.min() <= 7.0

    def test_asks_a_sample_when_there_are_more(self, log_of: LogOf) -> None:
        log = log_of([[0, 1, 2, 3, 4]] * 10, 5)
        config = JUDGED.model_copy(update={"max_questions": 7})
        assert len(validation_split(log, Protocol.LEAVE_LAST_OUT, config)) == 7

    def test_other_answers_at_the_test_positions_change_nothing(self, log_of: LogOf) -> None:
        histories = [[0, 1, 2, 3, last] for last in (4, 5, 6)]
        one, other = (
            validation_split(log_of(each, 10), Protocol.LEAVE_LAST_OUT, JUDGED)
            for each in (histories, [[*history[:-1], 9] for history in histories])
        )
        assert np.array_equal(one.full.item_rows, other.full.item_rows)
        assert np.array_equal(one.target_rows, other.target_rows)


class TestArms:
    def test_every_feature_is_in_a_group_and_every_group_is_of_features(self) -> None:
        assert {name for names in FEATURE_GROUPS.values() for name in names} == set(FEATURES)

    def test_an_arm_per_group_leaves_out_its_features_and_changes_nothing_else(self) -> None:
        arms = group_arms(BASE)
        assert list(arms) == [f"without {group}" for group in FEATURE_GROUPS]
        arm = arms["without transitions"]
        assert arm.boosting.left_out == FEATURE_GROUPS["transitions"]
        assert arm.model_copy(update={"boosting": BASE.boosting}) == BASE

    def test_a_change_deep_inside_keeps_its_neighbours(self) -> None:
        arm = arms_of(BASE, {"deep": {"boosting": {"max_depth": 9}}})["deep"]
        assert arm.boosting == BASE.boosting.model_copy(update={"max_depth": 9})
        assert arm.knowledge == BASE.knowledge

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"boosting": {"max_depth": 99}}, "boosting.max_depth"),
            ({"magic": 1}, "magic"),
            ({"boosting": {"left_out": ["magic"]}}, "boosting.left_out"),
        ],
    )
    def test_a_change_that_cannot_be_is_refused_by_name(self, change: dict[str, object], field: str) -> None:
        with pytest.raises(FieldError) as raised:
            arms_of(BASE, {"wrong": change})
        assert raised.value.field == field


class TestAblate:
    def test_the_base_comes_first_and_differs_from_itself_by_nothing(
        self, log: InteractionLog, simulated: Dataset
    ) -> None:
        split = validation_split(log, Protocol.LEAVE_LAST_OUT, JUDGED)
        arms = {"same": BASE, **arms_of(BASE, {"stump": {"boosting": {"n_trees": 1, "max_depth": 1}}})}
        base, same, stump = ablate(split, simulated.items, BASE, arms, JUDGED, clock=clock())
        assert [base.arm, same.arm, stump.arm] == ["base", "same", "stump"]
        for metric in METRICS:
            assert (same.metrics[metric].value, same.metrics[metric].difference) == (
                base.metrics[metric].value,
                0.0,
            )
        assert stump.metrics["candidate_recall"].difference == 0.0  # the same recall
        worth = stump.metrics["ndcg@10"]
        assert worth.low <= worth.difference <= worth.high
        assert worth.difference == pytest.approx(worth.value - base.metrics["ndcg@10"].value)
        assert base.n_rows == stump.n_rows > 0

    def test_parts_that_an_arm_shares_with_the_base_cost_what_they_cost_the_base(
        self, log: InteractionLog, simulated: Dataset
    ) -> None:
        split = validation_split(log, Protocol.LEAVE_LAST_OUT, JUDGED)
        arms = arms_of(BASE, {"fewer": {"n_candidates": 10}})
        base, fewer = ablate(split, simulated.items, BASE, arms, JUDGED, clock=clock())
        assert base.fit_s == fewer.fit_s == 3.0  # rows, knowledge, trees: a second each by this clock

    def test_nothing_to_ask_is_refused(self, log_of: LogOf, catalogue_of: CatalogueOf) -> None:
        split = validation_split(log_of([[0], [1]], 2), Protocol.LEAVE_LAST_OUT, JUDGED)
        with pytest.raises(FieldError, match="no question"):
            ablate(split, catalogue_of(2), BASE, {}, JUDGED)
