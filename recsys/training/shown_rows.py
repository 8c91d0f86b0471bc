"""A ranker that learns from what was shown: chosen against shown and not chosen.

The ranker of :mod:`recsys.training.cross_fit` learns to tell the next item from others that recall names. To
order what a recommender has already picked is another question, with harder negatives: somebody thought well
of every one of them. Recall is cross-fitted by user here too.

Where an item is shown decides much of whether it is clicked, and the ranker is not asked about that. So each
surface's own log odds are added to the margin while the trees grow, and left out when they score.

Source: Zhao et al., "Recommending What Video to Watch Next: A Multitask Ranking System", RecSys 2019 (a bias
that is added to the logit in training and left out in serving).
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt

from recsys.core.errors import UnavailableError
from recsys.core.settings import FrozenModel
from recsys.data.impressions import Target
from recsys.data.log import InteractionLog
from recsys.data.shown import ShownLog
from recsys.evaluation.impressions.scoring import batches, users_before
from recsys.features.items import fit_items
from recsys.pipeline.choosing import as_named
from recsys.pipeline.stages import TwoStage
from recsys.ranking.boosting import fit_ranker
from recsys.ranking.matrix import FEATURES, Knowledge, candidate_matrix, fit_knowledge
from recsys.recall.sources import name_candidates
from recsys.training.cross_fit import Step, TrainingRows
from recsys.training.two_stage import TrainingConfig, assembled, serving_knowledge


class ShownConfig(FrozenModel):
    """Which impressions the ranker learns from."""

    target: Target = Target.CLICK
    """What makes an impression a positive."""

    n_folds: int = Field(default=3, ge=2)
    """Groups of users; recall is fitted once per group and once more for serving."""

    max_sessions: PositiveInt = 60_000
    """Only so many sessions, the latest ones."""

    surface_offsets: bool = True
    """Add the log odds of each surface to the margin while the trees grow."""

    prior_impressions: PositiveFloat = 20.0
    """Every surface starts with so many impressions at the mean rate."""


def fit_from_shown(
    log: InteractionLog,
    items: pl.DataFrame,
    config: TrainingConfig,
    shown: ShownConfig,
    *,
    past: ShownLog,
    on_step: Step = lambda _, __: None,
) -> TwoStage:
    """Fit the pipeline with a ranker that learns from what was shown; recall is as ever.

    Args:
        log: positive interactions, all of them known at the moment of training.
        items: the catalogue, schema :data:`recsys.data.schema.ITEMS`; row order gives the item rows.
        config: settings of everything but the ranker's rows.
        shown: settings of those.
        past: what was shown; its stops are positions in ``log``. What chance showed is not learned from.
        on_step: told what is being done.

    Raises:
        UnavailableError: nobody knows the answers to this target.
    """
    if shown.target not in past.answers:
        raise UnavailableError(f"a ranker for {shown.target.value}", "the data set does not tell")
    latest = latest_sessions(past.of_impressions(~past.at_random), shown.max_sessions)
    rows = shown_rows(log, items, config, shown, past=latest, on_step=on_step)
    offsets = surface_offsets(latest, shown) if shown.surface_offsets else None
    known = serving_knowledge(log, items, config, on_step=on_step)
    ranker = fit_ranker(
        rows.matrix,
        rows.labels,
        rows.groups,
        config.boosting,
        offsets=offsets,
        seed=config.seed,
        on_tree=lambda tree: on_step("ranker", tree / config.boosting.n_trees),
    )
    return assembled(known, ranker, items, log, config)


def latest_sessions(past: ShownLog, n: int) -> ShownLog:
    """Keep the ``n`` sessions that began last."""
    chosen = np.zeros(past.n_sessions, dtype=np.bool_)
    chosen[np.argsort(past.starts_s, kind="stable")[-n:]] = True
    return past.of_sessions(chosen)


def surface_offsets(past: ShownLog, config: ShownConfig) -> NDArray[np.float32]:
    """Return the log odds of being chosen on the surface of each impression, shape (impressions,)."""
    chosen = past.answers[config.target]
    mean = chosen.mean()
    n_shown, n_chosen = np.bincount(past.surfaces), np.bincount(past.surfaces, chosen)
    prior = config.prior_impressions
    rates = (n_chosen + prior * mean) / (n_shown + prior)
    odds: NDArray[np.float32] = np.log(rates / (1.0 - rates))[past.surfaces].astype(np.float32)
    return odds


def shown_rows(
    log: InteractionLog,
    items: pl.DataFrame,
    config: TrainingConfig,
    shown: ShownConfig,
    *,
    past: ShownLog,
    on_step: Step = lambda _, __: None,
) -> TrainingRows:
    """Return one row per impression, in their order, every recall score out of sample."""
    table = fit_items(items, max_tags=config.max_tags)
    folds = np.random.default_rng(config.seed).integers(0, shown.n_folds, log.n_users)
    matrix = np.empty((len(past.item_rows), len(FEATURES)), dtype=np.float32)
    for fold in range(shown.n_folds):
        label = f"fold {fold + 1} of {shown.n_folds}"
        known = fit_knowledge(
            log.of_users(folds != fold),
            table,
            config.knowledge,
            seed=config.seed,
            on_step=partial(_named, on_step, label),
        )
        inside = np.where(past.log_users < 0, fold == 0, folds[past.log_users] == fold)
        numbers = np.flatnonzero(np.repeat(inside, np.diff(past.offsets)))
        for impressions, values in _values(log, known, past.of_sessions(inside), config):
            matrix[numbers[impressions]] = values
            on_step(f"{label}: impressions", 0.0)
    return TrainingRows(
        matrix,
        past.answers[shown.target].astype(np.float32),
        np.ones(len(past.item_rows), dtype=np.float32),
        np.diff(past.offsets),
        past.n_sessions,
    )


def _values(
    log: InteractionLog, known: Knowledge, shown: ShownLog, config: TrainingConfig
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Yield impressions and their rows of the candidate matrix, as serving would compute them."""
    for sessions, impressions in batches(shown, config.cross_fit.batch_users):
        users = users_before(log, shown, sessions)
        quotas = config.knowledge.recall.quotas
        named = name_candidates(known.sources, users, config.n_candidates, quotas, users.blocked(log.n_items))
        candidates = as_named(named, shown.item_rows[impressions])
        yield impressions, candidate_matrix(users, candidates, known)


def _named(on_step: Step, label: str, name: str) -> None:
    on_step(f"{label}: {name}", 0.0)
