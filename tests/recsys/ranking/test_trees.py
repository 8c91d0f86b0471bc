"""The compiled trees against XGBoost's own predictor: equal means equal in every bit."""

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsys.ranking.trees import Trees, margins_by_xgboost

N_FEATURES = 5


def grown(
    seed: int, *, objective: str = "binary:logistic", n_trees: int = 8, depth: int = 4
) -> xgboost.Booster:
    """Return trees over rows of which a tenth is missing."""
    rng = np.random.default_rng(seed)
    matrix = np.round(rng.normal(size=(400, N_FEATURES)), 1).astype(np.float32)
    labels = (matrix[:, 0] + matrix[:, 1] * matrix[:, 2] > 0).astype(np.float32)
    matrix[rng.random(matrix.shape) < 0.1] = np.nan
    data = xgboost.DMatrix(matrix, labels)
    if objective == "rank:ndcg":
        data.set_group([40] * 10)
    parameters = {"objective": objective, "max_depth": depth, "nthread": 1, "min_child_weight": 0}
    return xgboost.train(parameters, data, n_trees)


def rows_of(seed: int, n: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    rows = np.round(rng.normal(size=(n, N_FEATURES)), 1).astype(np.float32)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    return rows


def test_a_tree_of_one_split_is_walked_as_on_paper() -> None:
    """One feature, labels 0 below and 1 from 0.5 on; eta 1, no penalty: both leaves are exact."""
    matrix = np.array([[0.0], [0.25], [0.5], [0.75]], dtype=np.float32)
    data = xgboost.DMatrix(matrix, np.array([0.0, 0.0, 1.0, 1.0]))
    parameters = {
        "objective": "reg:squarederror",
        "max_depth": 1,
        "eta": 1.0,
        "lambda": 0.0,
        "base_score": 0.0,
        "min_child_weight": 0,
    }
    trees = Trees.of(xgboost.train(parameters, data, 1))
    assert trees.score(matrix).tolist() == [0.0, 0.0, 1.0, 1.0]
    assert trees.depths.tolist() == [1]
    assert trees.left_children.tolist() == [1, 1, 2]  # leaves point to themselves


@given(seed=st.integers(0, 50), n=st.sampled_from([0, 1, 63, 64, 65, 200]), depth=st.integers(1, 9))
@settings(deadline=None, max_examples=25)
def test_every_row_gets_the_bits_that_xgboost_gives_it(seed: int, n: int, depth: int) -> None:
    booster = grown(seed, depth=depth)
    rows = rows_of(seed + 1, n)
    assert np.array_equal(Trees.of(booster).score(rows), margins_by_xgboost(booster, rows).reshape(n))


@pytest.mark.parametrize("objective", ["binary:logistic", "rank:ndcg"])
def test_thresholds_nan_and_infinities_go_where_xgboost_sends_them(objective: str) -> None:
    booster = grown(3, objective=objective, n_trees=30, depth=6)
    trees = Trees.of(booster)
    for seed in range(20):
        probes = trees.probes(N_FEATURES, seed=seed)
        assert np.array_equal(trees.score(probes), margins_by_xgboost(booster, probes))


def test_a_row_has_the_same_score_whoever_stands_beside_it() -> None:
    trees = Trees.of(grown(5))
    rows = rows_of(6, 150)
    alone = np.concatenate([trees.score(rows[i : i + 1]) for i in range(len(rows))])
    assert np.array_equal(trees.score(rows), alone)


def test_trees_of_nothing_but_a_leaf_give_every_row_the_same() -> None:
    data = xgboost.DMatrix(np.zeros((4, N_FEATURES), dtype=np.float32), np.ones(4))
    trees = Trees.of(xgboost.train({"objective": "binary:logistic"}, data, 3))
    assert trees.depths.tolist() == [0, 0, 0]
    assert len(set(trees.score(rows_of(0, 9)).tolist())) == 1


def test_trees_that_are_not_plain_ones_are_refused() -> None:
    """DART weighs its trees, which the arrays do not know."""
    rows = rows_of(1, 300)
    data = xgboost.DMatrix(rows, (np.nan_to_num(rows[:, 0]) > 0).astype(np.float32))
    dart = xgboost.train({"booster": "dart", "rate_drop": 0.5, "objective": "binary:logistic"}, data, 10)
    with pytest.raises(ValueError, match="kind dart, expected gbtree"):
        Trees.of(dart)


def test_a_model_that_xgboost_scores_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Walked like the next version of XGBoost might: a threshold itself belongs to the left."""
    booster = grown(2)
    right = margins_by_xgboost
    monkeypatch.setattr(
        "recsys.ranking.trees.margins_by_xgboost",
        lambda model, rows: right(model, np.nextafter(rows, np.float32(-np.inf))),
    )
    with pytest.raises(ValueError, match="other scores than XGBoost"):
        Trees.of(booster)
