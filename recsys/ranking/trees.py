"""Boosted trees as arrays that a compiled loop walks: XGBoost's scores, bit for bit, in half the time.

XGBoost takes one row through all trees before the next; here 64 rows go down one tree together, level by
level, so that the processor follows many paths at once and the tree stays in its nearest cache. The idea is
that of Asadi, Lin and de Vries, "Runtime Optimizations for Tree-Based Machine Learning Models", TKDE 2014.
"""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import orjson
import xgboost
from numpy.typing import NDArray

from recsys.core.compiled import compiled

_ROWS_TOGETHER: Final = 64
_PROBES: Final = 256
_LEAF: Final = -1


@dataclass(frozen=True, slots=True)
class Trees:
    """All nodes of all trees; the children of a node lie next to each other, and a leaf is its own child."""

    features: NDArray[np.uint64]  # shape (nodes,): the column that is looked at; 0 in a leaf
    thresholds: NDArray[np.float32]  # the right child's values begin here; nan in a leaf
    nan_goes_right: NDArray[np.uint64]  # 1 or 0
    left_children: NDArray[np.uint64]
    values: NDArray[np.float32]  # of leaves; 0 elsewhere
    roots: NDArray[np.uint64]  # shape (trees,)
    depths: NDArray[np.int64]  # shape (trees,)
    base: np.float32  # the margin before the first tree

    @classmethod
    def of(cls, booster: xgboost.Booster) -> Self:
        """Take over what XGBoost has learned, and compare the scores of some hundred rows.

        Raises:
            ValueError: these are no plain trees, or XGBoost scores them in another way.
        """
        learner = orjson.loads(bytes(booster.save_raw("json")))["learner"]
        model = learner["gradient_booster"]
        if model["name"] != "gbtree":
            raise ValueError(f"a booster of kind {model['name']}, expected gbtree")
        trees = cls(**_laid_out(model["model"]["trees"]), base=_base_margin(learner))
        probes = trees.probes(int(learner["learner_model_param"]["num_feature"]))
        if not np.array_equal(trees.score(probes), margins_by_xgboost(booster, probes)):
            raise ValueError("its trees give other scores than XGBoost itself")
        return trees

    def score(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the margin of each row, shape (rows,)."""
        scores = np.full(len(matrix), self.base, dtype=np.float32)
        _add_trees(
            np.ascontiguousarray(matrix, dtype=np.float32),
            self.features,
            self.thresholds,
            self.nan_goes_right,
            self.left_children,
            self.values,
            self.roots,
            self.depths,
            scores,
        )
        return scores

    def probes(self, n_features: int, *, seed: int = 0) -> NDArray[np.float32]:
        """Return rows that tell one way to walk from another: thresholds themselves, nan and infinities."""
        rng = np.random.default_rng(seed)
        awkward = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0], dtype=np.float32)
        known = self.thresholds[~np.isnan(self.thresholds)]
        values = np.concatenate([awkward, known, np.nextafter(known, np.float32(-np.inf))])
        probes = rng.choice(values, (_PROBES, n_features))
        inner = np.flatnonzero(~np.isnan(self.thresholds))
        if len(inner):  # half of them look at a node of each column with just its threshold
            picked = rng.choice(inner, (_PROBES // 2, n_features))
            own = self.features[picked] == np.arange(n_features)
            probes[: len(picked)][own] = self.thresholds[picked][own]
        return probes


def margins_by_xgboost(booster: xgboost.Booster, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the margin of each row as XGBoost itself has it, shape (rows,)."""
    margins = booster.inplace_predict(matrix, predict_type="margin", missing=np.nan, validate_features=False)
    return np.asarray(margins, dtype=np.float32)


def _base_margin(learner: dict[str, Any]) -> np.float32:
    """Return what every score begins with, as a model without trees says: so it has XGBoost's own bits."""
    [base_score] = np.atleast_1d(orjson.loads(learner["learner_model_param"]["base_score"]))
    row = np.zeros((1, 1), dtype=np.float32)
    parameters = {"objective": learner["objective"]["name"], "base_score": base_score, "verbosity": 0}
    bare = xgboost.train(parameters, xgboost.DMatrix(row, label=[0.0]), num_boost_round=0)
    return np.float32(margins_by_xgboost(bare, row).item())


def _laid_out(trees: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the arrays of :class:`Trees`: level by level, children side by side."""
    rows: list[tuple[int, float, int, int, float]] = []
    roots, depths = [], []
    for tree in trees:
        first = len(rows)
        level, depth, n_placed = [0], -1, 1
        roots.append(first)
        while level:
            depth += 1
            below: list[int] = []
            for node in level:
                left = tree["left_children"][node]
                value = tree["split_conditions"][node]
                if left == _LEAF:
                    rows.append((0, np.nan, 0, len(rows), value))
                    continue
                goes_right = 1 - tree["default_left"][node]
                rows.append((tree["split_indices"][node], value, goes_right, first + n_placed, 0.0))
                below += [left, tree["right_children"][node]]
                n_placed += 2
            level = below
        depths.append(depth)
    features, thresholds, goes_right, lefts, values = zip(*rows, strict=True) if rows else ((),) * 5
    return {
        "features": np.array(features, dtype=np.uint64),
        "thresholds": np.array(thresholds, dtype=np.float32),
        "nan_goes_right": np.array(goes_right, dtype=np.uint64),
        "left_children": np.array(lefts, dtype=np.uint64),
        "values": np.array(values, dtype=np.float32),
        "roots": np.array(roots, dtype=np.uint64),
        "depths": np.array(depths, dtype=np.int64),
    }


@compiled
def _add_trees(
    matrix: NDArray[np.float32],
    features: NDArray[np.uint64],
    thresholds: NDArray[np.float32],
    nan_goes_right: NDArray[np.uint64],
    left_children: NDArray[np.uint64],
    values: NDArray[np.float32],
    roots: NDArray[np.uint64],
    depths: NDArray[np.int64],
    scores: NDArray[np.float32],
) -> None:
    """Add every tree's value of every row, tree after tree, as XGBoost does.

    Places are unsigned: the loop need not ask whether one is counted from the end.
    """
    n_rows = np.uint64(len(matrix))
    together = np.uint64(_ROWS_TOGETHER)
    at = np.empty(_ROWS_TOGETHER, dtype=np.uint64)
    for start in range(np.uint64(0), n_rows, together):
        n = min(together, n_rows - start)
        for tree in range(len(roots)):
            for row in range(n):
                at[row] = roots[tree]
            for _ in range(depths[tree]):
                for row in range(n):
                    node = at[row]
                    value = matrix[start + row, features[node]]
                    is_nan = np.uint64(value != value)
                    goes_right = np.uint64(value >= thresholds[node]) | (is_nan & nan_goes_right[node])
                    at[row] = left_children[node] + goes_right
            for row in range(n):
                scores[start + row] += values[at[row]]
