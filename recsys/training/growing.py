"""More trees for a ranker, grown on what has happened since its bundle was made.

The bundle's own recall is asked what it would have named for the users as they were before each new event: it
has not seen the answers, so nothing has to be fitted for honest rows (prequential evaluation, Dawid 1984).
"""

from dataclasses import replace

import numpy as np

from recsys.data.log import InteractionLog, encode
from recsys.data.schema import Dataset
from recsys.pipeline.stages import TwoStage
from recsys.ranking.boosting import BoostedRanker, fit_ranker
from recsys.training.cross_fit import Questions, rows_at
from recsys.training.two_stage import TrainingConfig


def new_questions(log: InteractionLog, since_s: float) -> Questions:
    """Return the positions later than ``since_s`` whose users had something before."""
    starts = np.repeat(log.offsets[:-1], log.lengths)
    stops = np.flatnonzero((log.times_s > since_s) & (np.arange(len(log.item_rows)) > starts))
    return Questions(log.user_rows[stops].astype(np.int64), stops)


def grown(
    model: TwoStage, dataset: Dataset, since_s: float, training: TrainingConfig, n_trees: int
) -> BoostedRanker:
    """Return the ranker of a pipeline with ``n_trees`` more; as it is when nothing can be learned.

    Args:
        model: the pipeline, made of what had happened until ``since_s``.
        dataset: everything that is known by now; items that the pipeline does not know are left out.
        since_s: Unix time.
        training: settings of the trees and the questions.
        n_trees: how many are added.
    """
    ranker, catalogue = model.ranking.ranker, model.recall.catalogue
    log = encode(dataset, catalogue.items)
    known_contexts = np.array([0, *(catalogue.context_row(name) for name in log.contexts)], dtype=np.int16)
    log = replace(log, context_rows=known_contexts[log.context_rows], contexts=catalogue.contexts)
    rows = rows_at(
        log,
        model.ranking.known,
        new_questions(log, since_s),
        training.knowledge,
        training.cross_fit,
        seed=training.seed,
    )
    if not len(rows.labels):
        return ranker
    config = training.boosting.model_copy(update={"n_trees": n_trees})
    return fit_ranker(
        rows.matrix, rows.labels, rows.groups, config, weights=rows.weights, seed=training.seed, onto=ranker
    )
