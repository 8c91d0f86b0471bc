"""Gradient-boosted trees over the candidate matrix.

Source: Chen and Guestrin, "XGBoost: A Scalable Tree Boosting System", KDD 2016.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import xgboost
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveInt, field_validator

from recsys.core.errors import IncompatibleBundleError
from recsys.core.settings import FrozenModel
from recsys.ranking.matrix import FEATURES
from recsys.ranking.trees import Trees
from recsys.registry.bundle import BundleReader, BundleWriter

_FILE = "ranker/model.ubj"


class BoostingConfig(FrozenModel):
    """How the trees are grown."""

    n_trees: PositiveInt = 300
    """Boosting rounds."""

    max_depth: int = Field(default=6, ge=1, le=16)
    """Levels of a tree."""

    learning_rate: float = Field(default=0.05, gt=0.0, le=1.0)
    """Share of each tree's correction that is taken."""

    min_child_weight: NonNegativeFloat = 5.0
    """Least sum of second derivatives in a leaf."""

    row_share: float = Field(default=0.8, gt=0.0, le=1.0)
    """Share of the rows that each tree sees."""

    column_share: float = Field(default=0.6, gt=0.0, le=1.0)
    """Share of the features that each tree sees."""

    l2: NonNegativeFloat = 2.0
    """Penalty on the leaves' values."""

    objective: Literal["binary:logistic", "rank:ndcg"] = "binary:logistic"
    """What the trees minimise."""

    left_out: tuple[str, ...] = ()
    """Features that no tree may look at: what is one worth?"""

    @field_validator("left_out")
    @classmethod
    def _are_features(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(names) - set(FEATURES)):
            raise ValueError(f"no such feature: {', '.join(unknown)}")
        return names


@dataclass(frozen=True, slots=True)
class BoostedRanker:
    """Scores rows of the candidate matrix; only :func:`fit_ranker` and :meth:`load` make one."""

    booster: xgboost.Booster
    trees: Trees

    def score(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the margin (log odds under the logistic objective) of each row, shape (rows,)."""
        return self.trees.score(matrix)

    @property
    def n_trees(self) -> int:
        """How many trees there are."""
        return self.booster.num_boosted_rounds()

    def importance(self) -> dict[str, float]:
        """Return the total gain of each feature that any tree uses."""
        gains = self.booster.get_score(importance_type="total_gain")
        return {name: float(gain) for name, gain in gains.items() if isinstance(gain, float | int)}

    def save(self, writer: BundleWriter, file: str = _FILE) -> None:
        """Write the model in XGBoost's own binary JSON."""
        self.booster.save_model(writer.path(file))

    @classmethod
    def load(cls, reader: BundleReader, file: str = _FILE) -> Self:
        """Read the model back.

        Raises:
            IncompatibleBundleError: its trees cannot be walked as XGBoost does.
        """
        booster = xgboost.Booster({"nthread": 1})
        booster.load_model(reader.path(file))
        try:
            return cls(booster, Trees.of(booster))
        except ValueError as error:
            raise IncompatibleBundleError(reader.name, file, str(error)) from error


@dataclass(frozen=True, slots=True)
class Watch:
    """Rows that are scored while the trees grow, so that somebody can see how good they are by then."""

    matrix: NDArray[np.float32]  # shape (rows, features)
    every: int  # so many trees lie between two looks
    look: Callable[[int, NDArray[np.float32]], None]  # is given the number of trees, and margins (rows,)


def fit_ranker(
    matrix: NDArray[np.float32],
    labels: NDArray[np.float32],
    groups: NDArray[np.int64],
    config: BoostingConfig,
    *,
    weights: NDArray[np.float32] | None = None,
    seed: int = 0,
    onto: BoostedRanker | None = None,
    on_tree: Callable[[int], None] | None = None,
    watch: Watch | None = None,
) -> BoostedRanker:
    """Grow the trees. Without rows every score is the same: recall order stays.

    Args:
        matrix: shape (rows, features), columns as in :data:`FEATURES`.
        labels: shape (rows,), 1.0 for the item that was chosen next.
        groups: shape (questions,), rows of each question, one question after another.
        config: settings.
        weights: shape (rows,), what each row counts; ranking objectives weigh questions alone and ignore it.
        seed: for the shares of rows and columns.
        onto: its trees stay, and ``config.n_trees`` are added to them; None: they are all there are.
        on_tree: told the number of each finished tree.
        watch: rows to be scored now and then; whatever its ``look`` raises ends the growing.
    """
    ranked = config.objective == "rank:ndcg"
    if config.left_out:
        matrix = matrix.copy()
        matrix[:, [FEATURES.index(name) for name in config.left_out]] = np.nan
    data = xgboost.QuantileDMatrix(
        matrix,
        labels,
        weight=None if ranked else weights,
        group=groups if ranked else None,
        feature_names=list(FEATURES),
    )
    parameters = {
        "objective": config.objective,
        "max_depth": config.max_depth,
        "eta": config.learning_rate,
        "min_child_weight": config.min_child_weight,
        "subsample": config.row_share,
        "colsample_bytree": config.column_share,
        "lambda": config.l2,
        "tree_method": "hist",
        "seed": seed,
        "verbosity": 1 if len(labels) else 0,  # XGBoost warns of a data set without rows
    }
    callbacks: list[xgboost.callback.TrainingCallback] = []
    if on_tree is not None:
        callbacks.append(_Told(on_tree))
    if watch is not None:
        callbacks.append(_Watched(watch))
    before = None if onto is None else onto.booster
    booster = xgboost.train(parameters, data, config.n_trees, callbacks=callbacks, xgb_model=before)
    return BoostedRanker(booster, Trees.of(booster))


class _Told(xgboost.callback.TrainingCallback):
    def __init__(self, on_tree: Callable[[int], None]) -> None:
        super().__init__()
        self._on_tree = on_tree

    def after_iteration(
        self, model: xgboost.Booster, epoch: int, evals_log: xgboost.callback.TrainingCallback.EvalsLog
    ) -> bool:
        del model, evals_log
        self._on_tree(epoch + 1)
        return False


class _Watched(xgboost.callback.TrainingCallback):
    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch
        self._rows = xgboost.DMatrix(watch.matrix, feature_names=list(FEATURES))

    def after_iteration(
        self, model: xgboost.Booster, epoch: int, evals_log: xgboost.callback.TrainingCallback.EvalsLog
    ) -> bool:
        del evals_log
        if (epoch + 1) % self._watch.every == 0:  # XGBoost remembers the margins of the trees before
            margins = model.predict(self._rows, output_margin=True)
            self._watch.look(epoch + 1, np.asarray(margins, dtype=np.float32))
        return False
