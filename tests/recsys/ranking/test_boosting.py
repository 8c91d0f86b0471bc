from collections.abc import Callable

import numpy as np
import pytest
import xgboost
from numpy.typing import NDArray

from recsys.core.errors import IncompatibleBundleError
from recsys.ranking.boosting import BoostedRanker, BoostingConfig, Watch, fit_ranker
from recsys.ranking.matrix import FEATURES
from recsys.registry.reader import FolderBundleReader

TELLS = FEATURES.index("svd")
SMALL = BoostingConfig(n_trees=20, max_depth=3, learning_rate=0.3)
N_QUESTIONS, N_CANDIDATES = 200, 10

Rows = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]


@pytest.fixture(scope="module")
def rows() -> Rows:
    """Return questions whose answer is the candidate with the largest value in one column; one is nan."""
    rng = np.random.default_rng(0)
    matrix = rng.random((N_QUESTIONS, N_CANDIDATES, len(FEATURES)), dtype=np.float32)
    labels = np.zeros((N_QUESTIONS, N_CANDIDATES), dtype=np.float32)
    labels[np.arange(N_QUESTIONS), np.argmax(matrix[:, :, TELLS], axis=1)] = 1.0
    matrix[:, :, FEATURES.index("log_duration")] = np.nan
    groups = np.full(N_QUESTIONS, N_CANDIDATES, dtype=np.int64)
    return matrix.reshape(-1, len(FEATURES)), labels.reshape(-1), groups


@pytest.mark.parametrize("objective", ["binary:logistic", "rank:ndcg"])
def test_the_answer_of_most_questions_gets_the_highest_score(rows: Rows, objective: str) -> None:
    config = BoostingConfig.model_validate(SMALL.model_dump() | {"objective": objective})
    matrix, labels, groups = rows
    scores = fit_ranker(matrix, labels, groups, config).score(matrix).reshape(N_QUESTIONS, N_CANDIDATES)
    answers = labels.reshape(N_QUESTIONS, N_CANDIDATES).argmax(axis=1)
    assert (scores.argmax(axis=1) == answers).mean() > 0.8  # one in ten by chance


def test_a_row_counts_as_its_weight_says() -> None:
    nothing_to_tell = np.zeros((1_000, len(FEATURES)), dtype=np.float32)
    labels = np.tile(np.array([1, 0, 0, 0], dtype=np.float32), 250)
    groups = np.full(250, 4, dtype=np.int64)
    weights = np.where(labels > 0, 1, 9).astype(np.float32)  # each other candidate stands for nine
    config = SMALL.model_copy(update={"row_share": 1.0})
    alike, weighed = (
        fit_ranker(nothing_to_tell, labels, groups, config, weights=each).score(nothing_to_tell[:1])
        for each in (None, weights)
    )
    assert alike == pytest.approx(-np.log(3), abs=0.01)
    assert weighed == pytest.approx(-np.log(27), abs=0.01)


def test_the_feature_that_tells_has_the_largest_gain(rows: Rows) -> None:
    importance = fit_ranker(*rows, SMALL).importance()
    assert max(importance, key=importance.__getitem__) == "svd"
    assert "log_duration" not in importance


def test_one_seed_gives_one_ranker(rows: Rows) -> None:
    one, same, other = (fit_ranker(*rows, SMALL, seed=seed).score(rows[0]) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_every_tree_is_told(rows: Rows) -> None:
    told: list[int] = []
    fit_ranker(*rows, SMALL, on_tree=told.append)
    assert told == list(range(1, SMALL.n_trees + 1))


def test_watched_rows_are_scored_as_by_a_ranker_of_so_many_trees(rows: Rows) -> None:
    matrix, labels, groups = rows
    seen: dict[int, NDArray[np.float32]] = {}
    ranker = fit_ranker(*rows, SMALL, watch=Watch(matrix[:50], 8, seen.__setitem__))
    assert list(seen) == [8, 16]
    assert np.array_equal(ranker.score(matrix), fit_ranker(*rows, SMALL).score(matrix))
    few = fit_ranker(matrix, labels, groups, SMALL.model_copy(update={"n_trees": 16}))
    assert np.allclose(seen[16], few.score(matrix[:50]), atol=1e-6)


def test_whoever_watches_can_end_the_growing(rows: Rows) -> None:
    def enough(n_trees: int, _: NDArray[np.float32]) -> None:
        raise TimeoutError(n_trees)

    with pytest.raises(TimeoutError, match="4"):
        fit_ranker(*rows, SMALL, watch=Watch(rows[0], 4, enough))


def test_a_ranker_comes_back_from_a_bundle_with_the_same_scores(
    rows: Rows, bundle_of: Callable[..., FolderBundleReader]
) -> None:
    ranker = fit_ranker(*rows, SMALL)
    read = BoostedRanker.load(bundle_of(ranker.save))
    assert np.array_equal(read.score(rows[0]), ranker.score(rows[0]))


def test_no_rows_give_no_scores(rows: Rows) -> None:
    assert fit_ranker(*rows, SMALL).score(rows[0][:0]).shape == (0,)


def test_a_model_of_another_kind_is_refused_by_bundle_and_file(
    rows: Rows, bundle_of: Callable[..., FolderBundleReader]
) -> None:
    matrix, labels, _ = rows
    dart = xgboost.train({"booster": "dart"}, xgboost.DMatrix(matrix, labels), 2)
    ranker = fit_ranker(*rows, SMALL)
    reader = bundle_of(BoostedRanker(dart, ranker.trees).save)
    with pytest.raises(IncompatibleBundleError, match=f"{reader.name}: ranker/model.ubj: .*dart"):
        BoostedRanker.load(reader)
