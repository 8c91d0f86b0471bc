"""Targets: how probable it is that what is shown is clicked, watched long, liked.

The ranker learns which item comes next; it never sees what was shown in vain. Here a head of boosted trees
per target learns from impressions, and its log odds are added to the ranker's score, each with a weight. A
rate of an item that a head learns from was counted over other users than the one who answers (cross-fitting,
Wolpert 1992), as it will be for whoever comes tomorrow; users' features are those of the moment.

Source: Covington, Adams and Sargin, "Deep Neural Networks for YouTube Recommendations", RecSys 2016 (ranking
by what follows an impression); Zhao et al., "Recommending What Video to Watch Next", RecSys 2019 (several
targets, one weighted sum).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import xgboost
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from recsys.core.errors import UnavailableError
from recsys.core.settings import FrozenModel
from recsys.data.impressions import Target
from recsys.data.log import InteractionLog
from recsys.data.shown import ShownLog
from recsys.features import pairs
from recsys.features.item_rates import rate_columns
from recsys.features.items import ItemTable
from recsys.features.users import UserBatch, batch_at
from recsys.ranking.boosting import BoostedRanker
from recsys.ranking.matrix import FEATURES
from recsys.ranking.trees import Trees
from recsys.recall.tags import TagsSource
from recsys.registry.bundle import BundleReader, BundleWriter

_FOLDER = "ranker/targets"
_SEEN = (
    "tags",
    "days_since_published",
    "log_duration",
    "duration_from_taste",
    "creator_share",
    "activity",
)
"""Features that heads look at: none that changes when somebody chooses an item. Popularity moves while a head
learns and stands still between two trainings; what is unknown until an item is chosen would tell a head that
somebody is about to."""

_MATRIX_COLUMNS = np.array([FEATURES.index(name) for name in _SEEN])
_RISING = frozenset({"tags", "creator_share"})
_BATCH_IMPRESSIONS = 4_096


class TargetsConfig(FrozenModel):
    """What besides the next item decides, learned from impressions; without a weight nothing does."""

    next_item_weight: NonNegativeFloat = 1.0
    """Times the ranker's score, where a target has a weight."""

    click_weight: NonNegativeFloat = 0.0
    """Times the log odds of a click."""

    long_view_weight: NonNegativeFloat = 0.0
    """Times the log odds of a long view."""

    like_weight: NonNegativeFloat = 0.0
    """Times the log odds of a like."""

    prior_impressions: PositiveFloat = 20.0
    """Every item starts with so many impressions at the mean rate."""

    n_folds: int = Field(default=5, ge=2)
    """Groups of users: rates that a head learns from are counted over the other groups."""

    n_trees: PositiveInt = 70
    """Boosting rounds of each head."""

    max_depth: int = Field(default=3, ge=1, le=16)
    """Levels of a tree."""

    learning_rate: float = Field(default=0.1, gt=0.0, le=1.0)
    """Share of each tree's correction that is taken."""

    min_child_weight: NonNegativeFloat = 20.0
    """Least sum of second derivatives in a leaf."""

    @model_validator(mode="after")
    def _something_decides(self) -> Self:
        if self.next_item_weight == 0.0 and not self.weights:
            raise ValueError("next_item_weight is 0 and no target has a weight: nothing is left to rank by")
        return self

    @property
    def weights(self) -> dict[Target, float]:
        """The targets that have a weight."""
        named = {
            Target.CLICK: self.click_weight,
            Target.LONG_VIEW: self.long_view_weight,
            Target.LIKE: self.like_weight,
        }
        return {target: weight for target, weight in named.items() if weight > 0.0}


@dataclass(frozen=True, slots=True)
class TargetHeads:
    """A head per target; only :func:`fit_heads` and :meth:`load` make one."""

    rates: NDArray[np.float32]  # shape (items + 1, columns), what impressions say of each; last, of a new one
    heads: Mapping[Target, BoostedRanker]
    weights: Mapping[Target, float]  # none is 0, and each has a head
    next_item_weight: float

    def blended(
        self, scores: NDArray[np.float32], matrix: NDArray[np.float32], item_rows: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Return the weighted sum of the ranker's scores and every target's log odds, shape (rows,).

        Args:
            scores: shape (rows,), of the ranker.
            matrix: shape (rows, features), rows of the candidate matrix.
            item_rows: shape (rows,), whose they are; padding gets arbitrary values.
        """
        return np.float32(self.next_item_weight) * scores + self.log_odds(
            matrix[:, _MATRIX_COLUMNS], item_rows
        )

    def log_odds(self, columns: NDArray[np.float32], item_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the weighted sum of the targets' log odds, shape (rows,).

        Args:
            columns: shape (rows, features), those of the candidate matrix that heads look at.
            item_rows: shape (rows,), whose they are.
        """
        seen = np.concatenate([columns, self.rates[item_rows]], axis=1)
        total = np.zeros(len(seen), dtype=np.float32)
        for target, weight in self.weights.items():
            total += np.float32(weight) * self.heads[target].score(seen)
        return total

    def with_items(self, n_items: int) -> Self:
        """Return heads for a catalogue that has grown to so many items; of new ones nothing is known."""
        n_new = n_items + 1 - len(self.rates)
        return replace(self, rates=np.concatenate([self.rates, np.repeat(self.rates[-1:], n_new, axis=0)]))

    def save(self, writer: BundleWriter) -> None:
        """Write under ``ranker/targets/``."""
        weights = {target.value: weight for target, weight in self.weights.items()}
        writer.json(f"{_FOLDER}/weights", {"next_item": self.next_item_weight, "targets": weights})
        writer.array(f"{_FOLDER}/rates", self.rates)
        for target, head in self.heads.items():
            head.save(writer, f"{_FOLDER}/{target.value}.ubj")

    @classmethod
    def load(cls, reader: BundleReader) -> Self:
        """Read back what :meth:`save` wrote.

        Raises:
            CorruptBundleError: the bundle has no heads.
        """
        known = reader.json(f"{_FOLDER}/weights")
        weights = {Target(name): float(weight) for name, weight in known["targets"].items()}
        heads = {target: BoostedRanker.load(reader, f"{_FOLDER}/{target.value}.ubj") for target in weights}
        return cls(reader.array(f"{_FOLDER}/rates"), heads, weights, float(known["next_item"]))


def fit_heads(
    shown: ShownLog,
    log: InteractionLog,
    items: ItemTable,
    tags: TagsSource,
    config: TargetsConfig,
    *,
    seed: int,
    on_step: Callable[[str, float], None] = lambda _, __: None,
) -> TargetHeads:
    """Grow a head for every target that has a weight.

    Args:
        shown: impressions, with stops in ``log``; those that chance made are left out.
        log: what the same users chose.
        items: the catalogue.
        tags: of the same catalogue.
        config: settings.
        seed: of the groups of users and of the trees' rows.
        on_step: told what is being done.

    Raises:
        UnavailableError: nobody knows the answers to a target that has a weight, or nothing was shown.
    """
    shown = shown.of_impressions(~shown.at_random)
    for target in config.weights:
        if target not in shown.answers or not shown.n_sessions:
            raise UnavailableError(f"the target {target.value}", "the data set does not tell what was shown")
    everybody = np.ones(len(shown.item_rows), dtype=np.bool_)
    rates = _rates_of(shown, everybody, items, config)
    of_others = rates_of_others(shown, items, config, seed=seed)
    inputs = np.concatenate([_moments(shown, log, items, tags, on_step), of_others], axis=1)
    heads = {}
    for number, target in enumerate(config.weights):
        on_step(f"target: {target.value}", number / len(config.weights))
        heads[target] = _grown(inputs, shown.answers[target], config, seed)
    return TargetHeads(rates, heads, config.weights, config.next_item_weight)


def log_odds(
    heads: TargetHeads,
    users: UserBatch,
    item_rows: NDArray[np.int32],
    items: ItemTable,
    tags: TagsSource,
) -> NDArray[np.float32]:
    """Return the weighted sum of the targets' log odds of items that need no candidate matrix.

    Args:
        heads: of the targets.
        users: who was asked, as they were then.
        item_rows: shape (users, items), every one a row of the catalogue.
        items: the catalogue.
        tags: of the same catalogue.

    Returns:
        shape (users, items).
    """
    columns = _columns(users, item_rows, items, tags)
    flat = heads.log_odds(columns.reshape(-1, columns.shape[-1]), item_rows.reshape(-1))
    return flat.reshape(item_rows.shape)


def rates_of_others(
    shown: ShownLog, items: ItemTable, config: TargetsConfig, *, seed: int
) -> NDArray[np.float32]:
    """Return what the impressions of other groups of users say of each item that was shown.

    Returns:
        shape (impressions, columns), columns as :func:`recsys.features.item_rates.rate_columns` has them.
    """
    groups = np.random.default_rng(seed).permutation(int(shown.users.max(initial=0)) + 1) % config.n_folds
    group_of = groups[shown.user_of]
    parts = [_rates_of(shown, group_of != group, items, config) for group in range(config.n_folds)]
    found: NDArray[np.float32] = np.stack(parts)[group_of, shown.item_rows]
    return found


def _rates_of(
    shown: ShownLog, counted: NDArray[np.bool_], items: ItemTable, config: TargetsConfig
) -> NDArray[np.float32]:
    answers = [shown.answers[target][counted] for target in Target if target in shown.answers]
    return rate_columns(shown.item_rows[counted], answers, items, prior_impressions=config.prior_impressions)


def _moments(
    shown: ShownLog,
    log: InteractionLog,
    items: ItemTable,
    tags: TagsSource,
    on_step: Callable[[str, float], None],
) -> NDArray[np.float32]:
    """Return what heads look at as each session begins, shape (impressions, features)."""
    n = len(shown.item_rows)
    session_of = np.repeat(np.arange(shown.n_sessions), np.diff(shown.offsets))
    matrix = np.empty((n, len(_SEEN)), dtype=np.float32)
    for start in range(0, n, _BATCH_IMPRESSIONS):
        on_step("targets: impressions", start / n)
        part = slice(start, start + _BATCH_IMPRESSIONS)
        asked = session_of[part]
        users = batch_at(log, shown.log_users[asked], shown.stops[asked], shown.starts_s[asked])
        matrix[part] = _columns(users, shown.item_rows[part][:, None], items, tags)[:, 0]
    return matrix


def _columns(
    users: UserBatch, rows: NDArray[np.int32], items: ItemTable, tags: TagsSource
) -> NDArray[np.float32]:
    """Return what heads look at, as the candidate matrix has it, shape (users, items, features)."""
    found = {
        "tags": tags.score(users, rows),
        "days_since_published": pairs.days_since_published(users, rows, items),
        "log_duration": pairs.log_duration(rows, items),
        "duration_from_taste": pairs.duration_from_taste(users, rows, items),
        "creator_share": pairs.creator_share(users, rows, items),
        "activity": pairs.activity(users),
    }
    matrix = np.empty((*rows.shape, len(_SEEN)), dtype=np.float32)
    for column, name in enumerate(_SEEN):
        matrix[:, :, column] = found[name]
    return matrix


def _directions(n_columns: int) -> tuple[int, ...]:
    """Return 1 for a column with which log odds may only rise: few answers teach no dips."""
    named = [int(name in _RISING) for name in _SEEN]
    return (*named, 0, *[1] * (n_columns - len(named) - 1))  # impressions may go either way


def _grown(
    inputs: NDArray[np.float32], chosen: NDArray[np.bool_], config: TargetsConfig, seed: int
) -> BoostedRanker:
    parameters: dict[str, Any] = {
        "objective": "binary:logistic",
        "max_depth": config.max_depth,
        "eta": config.learning_rate,
        "min_child_weight": config.min_child_weight,
        "monotone_constraints": _directions(inputs.shape[1]),
        "subsample": 0.8,
        "colsample_bytree": 0.8,
        "lambda": 5.0,
        "tree_method": "hist",
        "seed": seed,
    }
    data = xgboost.QuantileDMatrix(inputs, chosen.astype(np.float32))
    booster = xgboost.train(parameters, data, config.n_trees)
    return BoostedRanker(booster, Trees.of(booster))
