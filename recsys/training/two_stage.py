"""From a log and a catalogue to the whole fitted pipeline."""

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveInt

from recsys.core.errors import UnavailableError
from recsys.core.settings import FrozenModel
from recsys.core.threads import side_by_side, wait_for
from recsys.data.log import InteractionLog
from recsys.data.shown import ShownLog
from recsys.drift.fit import ProfileConfig
from recsys.features.items import fit_items
from recsys.pipeline.catalogue import Catalogue
from recsys.pipeline.stages import RankingStage, RecallStage, RerankingStage, TwoStage
from recsys.ranking.boosting import BoostedRanker, BoostingConfig, fit_ranker
from recsys.ranking.matrix import Knowledge, KnowledgeConfig, fit_knowledge
from recsys.ranking.targets import TargetHeads, TargetsConfig, fit_heads
from recsys.recall.sequential import SequentialSource
from recsys.recall.shelf import Shelf
from recsys.reranking.cost import costs_of
from recsys.reranking.posterior import fit_interest
from recsys.reranking.rerank import RerankingConfig
from recsys.training.cross_fit import (
    FITS_AT_ONCE,
    CrossFitConfig,
    Step,
    TrainingRows,
    cross_fit,
    fold_tasks,
    joined,
)


class TrainingConfig(FrozenModel):
    """Everything that decides what a bundle becomes, besides the data."""

    knowledge: KnowledgeConfig = KnowledgeConfig()
    """Recall and the statistics of the log."""

    cross_fit: CrossFitConfig = CrossFitConfig()
    """Which questions the ranker learns from."""

    boosting: BoostingConfig = BoostingConfig()
    """The ranker."""

    targets: TargetsConfig = TargetsConfig()
    """What is learned from impressions."""

    reranking: RerankingConfig = RerankingConfig()
    """Caps on the lists."""

    max_tags: PositiveInt = 128
    """Only the most frequent tags count."""

    n_candidates: PositiveInt = 200
    """Candidates per request at serving time."""

    profile: ProfileConfig = ProfileConfig()
    """What later windows are compared with, to find drift."""

    seed: NonNegativeInt = 0
    """One seed, one result."""


def fit_two_stage(
    log: InteractionLog,
    items: pl.DataFrame,
    config: TrainingConfig,
    *,
    shown: ShownLog | None = None,
    shelf: Shelf | None = None,
    on_step: Step = lambda _, __: None,
) -> TwoStage:
    """Cross-fit the ranker, then fit recall on everybody for serving.

    Args:
        log: positive interactions, all of them known at the moment of training.
        items: the catalogue, schema :data:`recsys.data.schema.ITEMS`; row order gives the log's item rows.
        config: settings.
        shown: impressions that are known by then, with stops in ``log``; asked for where a target has a
            weight.
        shelf: keeps what takes longest, for further fits on the same log.
        on_step: told what is being done, of several things at a time.

    Raises:
        UnavailableError: a target has a weight, and nobody knows the answers to it.
    """
    rows, known = fit_parts(log, items, config, shelf=shelf, on_step=on_step)
    return fit_from_rows(log, items, config, rows, known, shown=shown, on_step=on_step)


def fit_parts(
    log: InteractionLog,
    items: pl.DataFrame,
    config: TrainingConfig,
    *,
    sequential: SequentialSource | None = None,
    shelf: Shelf | None = None,
    on_step: Step = lambda _, __: None,
) -> tuple[TrainingRows, Knowledge]:
    """Return what the ranker learns from, and what is known when serving; fitted side by side."""
    table = fit_items(items, max_tags=config.max_tags)
    seed, asking = config.seed, config.cross_fit
    folds = fold_tasks(log, table, config.knowledge, asking, seed=seed, shelf=shelf, on_step=on_step)
    with side_by_side(FITS_AT_ONCE) as pool:
        known = pool.submit(
            serving_knowledge, log, items, config, sequential=sequential, shelf=shelf, on_step=on_step
        )
        rows = [pool.submit(fold) for fold in folds]
        wait_for([known, *rows])
    return joined([each.result() for each in rows]), known.result()


def training_rows(log: InteractionLog, items: pl.DataFrame, config: TrainingConfig) -> TrainingRows:
    """Return what the ranker learns from."""
    table = fit_items(items, max_tags=config.max_tags)
    return cross_fit(log, table, config.knowledge, config.cross_fit, seed=config.seed)


def serving_knowledge(
    log: InteractionLog,
    items: pl.DataFrame,
    config: TrainingConfig,
    *,
    sequential: SequentialSource | None = None,
    shelf: Shelf | None = None,
    on_step: Step = lambda _, __: None,
) -> Knowledge:
    """Return what is known when serving: everything is fitted on everybody, but what was made already."""
    return fit_knowledge(
        log,
        fit_items(items, max_tags=config.max_tags),
        config.knowledge,
        seed=config.seed,
        sequential=sequential,
        shelf=shelf,
        on_step=lambda name: on_step(f"recall: {name}", 0.0),
    )


def fit_from_rows(
    log: InteractionLog,
    items: pl.DataFrame,
    config: TrainingConfig,
    rows: TrainingRows,
    known: Knowledge,
    *,
    shown: ShownLog | None = None,
    on_step: Step = lambda _, __: None,
) -> TwoStage:
    """Grow the ranker's trees, and those of the targets, and put the stages together."""
    heads = heads_of(shown, log, known, config, on_step=on_step)
    ranker = fit_ranker(
        rows.matrix,
        rows.labels,
        rows.groups,
        config.boosting,
        weights=rows.weights,
        seed=config.seed,
        on_tree=lambda tree: on_step("ranker", tree / config.boosting.n_trees),
    )
    return assembled(known, ranker, items, log, config, heads)


def heads_of(
    shown: ShownLog | None,
    log: InteractionLog,
    known: Knowledge,
    config: TrainingConfig,
    *,
    on_step: Step = lambda _, __: None,
) -> TargetHeads | None:
    """Return a head for each target that has a weight; None when none has.

    Raises:
        UnavailableError: a target has a weight, and nobody knows the answers to it.
    """
    if not config.targets.weights:
        return None
    if shown is None:
        raise UnavailableError("targets", "a target has a weight, and nothing is known of what was shown")
    return fit_heads(
        shown, log, known.items, known.sources.tags, config.targets, seed=config.seed, on_step=on_step
    )


def assembled(
    known: Knowledge,
    ranker: BoostedRanker,
    items: pl.DataFrame,
    log: InteractionLog,
    config: TrainingConfig,
    heads: TargetHeads | None = None,
) -> TwoStage:
    """Return the pipeline of parts that were fitted before.

    Args:
        known: of everybody.
        ranker: grown on rows that :func:`recsys.training.cross_fit.cross_fit` made under the same settings.
        items: the catalogue that ``known`` was fitted on.
        log: that ``known`` was fitted on.
        config: quotas, caps and the number of candidates.
        heads: of the targets that have a weight.
    """
    catalogue = Catalogue(items, _popular(known, items), log.contexts)
    return TwoStage(
        RecallStage(known.sources, catalogue, config.knowledge.recall.quotas),
        RankingStage(known, ranker, heads),
        RerankingStage(
            known.items,
            config.reranking,
            fit_interest(log) if config.reranking.exploration.needs_interest else None,
            costs_of(items) if config.reranking.cost_weight > 0.0 else None,
        ),
        config.n_candidates,
    )


def _popular(known: Knowledge, items: pl.DataFrame) -> NDArray[np.int32]:
    order = known.sources.popularity.orders[-1]
    open_to_show = items["available"].to_numpy().astype(np.bool_)
    return np.asarray(order[open_to_show[order]], dtype=np.int32)
