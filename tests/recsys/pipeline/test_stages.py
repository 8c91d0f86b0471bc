from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from recsys.data.log import InteractionLog, Vocabulary, encode
from recsys.data.schema import Dataset
from recsys.features.items import fit_items
from recsys.features.users import NO_ITEM, UserBatch, batch_at
from recsys.pipeline import stages
from recsys.pipeline.catalogue import Catalogue
from recsys.pipeline.filters import Filters
from recsys.pipeline.stages import RankingStage, RecallStage, RerankingStage, TwoStage
from recsys.ranking.boosting import BoostingConfig, fit_ranker
from recsys.ranking.matrix import FEATURES, Knowledge, KnowledgeConfig, fit_knowledge
from recsys.recall.sequential import SequentialConfig
from recsys.recall.sources import Quotas, RecallConfig
from recsys.recall.svd import SvdConfig
from recsys.registry.reader import FolderBundleReader
from recsys.reranking.rerank import RerankingConfig

N = 20
UNAVAILABLE = (3, 8)
CONFIG = KnowledgeConfig(
    recall=RecallConfig(sequential=SequentialConfig(min_events=2, rank=4), svd=SvdConfig(n_factors=4))
)


@pytest.fixture(scope="module")
def log(simulated: Dataset) -> InteractionLog:
    return encode(simulated, Vocabulary(simulated.items["item_id"].to_list()))


@pytest.fixture(scope="module")
def pipeline(log: InteractionLog, simulated: Dataset) -> TwoStage:
    """Return a pipeline whose ranker has learned from chance: what it says does not matter here."""
    rows = np.arange(log.n_items)
    frame = simulated.items.with_columns(available=pl.Series(~np.isin(rows, UNAVAILABLE)))
    table = fit_items(frame)
    known: Knowledge = fit_knowledge(log, table, CONFIG)
    rng = np.random.default_rng(0)
    matrix = rng.random((100, len(FEATURES)), dtype=np.float32)
    labels = (rng.random(100) < 0.3).astype(np.float32)
    ranker = fit_ranker(matrix, labels, np.full(10, 10), BoostingConfig(n_trees=3))
    catalogue = Catalogue(frame, np.arange(log.n_items, dtype=np.int32), log.contexts)
    return TwoStage(
        RecallStage(known.sources, catalogue, Quotas()),
        RankingStage(known, ranker),
        RerankingStage(table, RerankingConfig(max_per_creator=2)),
        N,
    )


@pytest.fixture(scope="module")
def users(log: InteractionLog) -> UserBatch:
    rows = np.arange(40)
    stops = np.where(rows == 0, log.offsets[:40], log.offsets[1:41])
    return batch_at(log, rows, stops, np.full(40, log.times_s.max() + 1.0))


def test_recall_names_nothing_seen_and_nothing_unavailable(pipeline: TwoStage, users: UserBatch) -> None:
    named = pipeline.candidates(users).item_rows
    assert named.shape == (40, N)
    assert not np.isin(named, UNAVAILABLE).any()
    blocked = users.blocked(pipeline.recall.catalogue.n_items)
    blocked[:, UNAVAILABLE] = True
    for user, rows in enumerate(named):
        kept = rows[rows != NO_ITEM]
        assert not blocked[user, kept].any()
        assert len(kept) == min(N, np.count_nonzero(~blocked[user]))  # as many as there can be


def test_a_filter_holds_for_its_user_alone(pipeline: TwoStage, users: UserBatch) -> None:
    catalogue = pipeline.recall.catalogue
    creator = str(catalogue.frame["creator_id"][0])
    filters = [Filters(creator_ids=(creator,)), *[None] * 39]
    named = pipeline.recall.recall(users, N, filters)
    of_creator = catalogue.frame["creator_id"] == creator
    first = named.item_rows[0][named.item_rows[0] != NO_ITEM]
    assert len(first) > 0
    assert of_creator.to_numpy()[first].all()
    assert np.array_equal(named.item_rows[1:], pipeline.recall.recall(users, N).item_rows[1:])


def test_large_batches_are_named_in_parts_with_the_same_result(
    pipeline: TwoStage, users: UserBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    filters = [Filters(min_duration_s=float(user)) for user in range(40)]
    whole = pipeline.recall.recall(users, N, filters)
    monkeypatch.setattr(stages, "_MAX_BLOCKED_CELLS", 7 * pipeline.recall.catalogue.n_items)
    in_parts = pipeline.recall.recall(users, N, filters)
    assert np.array_equal(in_parts.item_rows, whole.item_rows)
    assert np.array_equal(in_parts.source_ranks, whole.source_ranks)


def test_ranks_are_scores_of_the_ranker_and_padding_has_none(pipeline: TwoStage, users: UserBatch) -> None:
    candidates = pipeline.candidates(users)
    padded = replace(candidates, item_rows=candidates.item_rows.copy())
    padded.item_rows[:, -2:] = NO_ITEM
    scores = pipeline.ranking.rank(users, padded)
    assert np.isfinite(scores[:, :-2]).all()
    assert (scores[:, -2:] == -np.inf).all()
    assert np.array_equal(scores[:, :-2], pipeline.ranking.rank(users, candidates)[:, :-2])


def test_a_list_holds_candidates_without_repeats(pipeline: TwoStage, users: UserBatch) -> None:
    candidates, slate = pipeline.recommend(users, 10, np.full(40, 0.3, dtype=np.float32))
    assert slate.item_rows.shape == (40, 10)
    for user, rows in enumerate(slate.item_rows):
        assert len(set(rows.tolist())) == 10
        assert set(rows.tolist()) <= set(candidates.item_rows[user].tolist())
    assert np.array_equal(pipeline.top(users, 10), pipeline.recommend(users, 10)[1].item_rows)


def test_a_user_in_a_batch_gets_the_list_the_user_gets_alone(pipeline: TwoStage, users: UserBatch) -> None:
    together = pipeline.recommend(users, 10)[1]
    for user in range(40):
        alone = pipeline.recommend(users.slice(user, user + 1), 10)[1]
        assert np.array_equal(alone.item_rows[0], together.item_rows[user])
        assert np.array_equal(alone.scores[0], together.scores[user])


def test_nobody_asks_and_nobody_is_answered(pipeline: TwoStage, users: UserBatch) -> None:
    assert pipeline.top(users.slice(0, 0), 10).shape == (0, 10)


def test_a_user_who_has_seen_everything_gets_an_empty_list_not_an_error(
    pipeline: TwoStage, users_of: Callable[..., UserBatch]
) -> None:
    everything = list(range(pipeline.recall.catalogue.n_items))
    users = users_of([everything], excluded=[everything])
    assert (pipeline.top(users, 10) == NO_ITEM).all()


def test_the_whole_pipeline_comes_back_from_a_bundle(
    pipeline: TwoStage, users: UserBatch, bundle_of: Callable[..., FolderBundleReader]
) -> None:
    read = TwoStage.load(bundle_of(pipeline.save))
    assert (read.n_candidates, read.reranking.config) == (N, pipeline.reranking.config)
    before, after = pipeline.recommend(users, 10), read.recommend(users, 10)
    assert np.array_equal(before[0].source_ranks, after[0].source_ranks)
    assert np.array_equal(before[1].item_rows, after[1].item_rows)
    assert np.array_equal(before[1].scores, after[1].scores)
