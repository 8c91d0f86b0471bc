from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from recsys.data.impressions import impressions_of
from recsys.data.log import InteractionLog, Vocabulary, encode
from recsys.data.schema import Dataset
from recsys.data.shown import encode_impressions
from recsys.features.items import fit_items
from recsys.features.users import NO_ITEM, UserBatch, batch_at
from recsys.overlay.change import ItemChange
from recsys.overlay.overlay import NOTHING, put_into
from recsys.pipeline import stages
from recsys.pipeline.catalogue import Catalogue
from recsys.pipeline.filters import Filters
from recsys.pipeline.overlaid import differences, overlaid_ranking, overlaid_recall, overlaid_reranking
from recsys.pipeline.stages import RankingStage, RecallStage, RerankingStage, TwoStage
from recsys.ranking.boosting import BoostingConfig, fit_ranker
from recsys.ranking.matrix import FEATURES, Knowledge, KnowledgeConfig, candidate_matrix, fit_knowledge
from recsys.ranking.targets import TargetsConfig, fit_heads
from recsys.recall.sequential import SequentialConfig
from recsys.recall.sources import Quotas, RecallConfig
from recsys.recall.svd import SvdConfig
from recsys.registry.reader import FolderBundleReader
from recsys.reranking.rerank import RerankingConfig
from tests.small import BILINEAR

N = 20
UNAVAILABLE = (3, 8)
CONFIG = KnowledgeConfig(
    recall=RecallConfig(
        bilinear=BILINEAR, sequential=SequentialConfig(min_events=2, rank=4), svd=SvdConfig(n_factors=4)
    )
)


@pytest.fixture(scope="module")
def log(simulated: Dataset) -> InteractionLog:
    return encode(simulated, Vocabulary(simulated.items["item_id"].to_list()))


@pytest.fixture(scope="module", params=[False, True], ids=["next item", "targets"])
def pipeline(log: InteractionLog, simulated: Dataset, request: pytest.FixtureRequest) -> TwoStage:
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
    heads = None
    if request.param:
        vocabulary = Vocabulary(simulated.items["item_id"].to_list())
        shown = encode_impressions(impressions_of(simulated), vocabulary, log)
        config = TargetsConfig(click_weight=1.0, n_trees=5)
        heads = fit_heads(shown, log, table, known.sources.tags, config, seed=0)
    return TwoStage(
        RecallStage(known.sources, catalogue, Quotas()),
        RankingStage(known, ranker, heads),
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


@pytest.fixture(scope="module")
def overlaid(pipeline: TwoStage) -> TwoStage:
    """Return the pipeline once i1 is gone and two items have come, the later one like the user's."""
    catalogue = pipeline.recall.catalogue
    told = [
        ItemChange(item_id="new", tags=catalogue.describe(0)["tags"], since_s=2.0),
        ItemChange(item_id="newer", tags=[], since_s=3.0),
        ItemChange(item_id=catalogue.items.ids[1], available=False, since_s=1.0),
    ]
    found = differences(catalogue, put_into(NOTHING, told, [0.0] * 3, 10)[0])
    items = pipeline.ranking.known.items
    return TwoStage(
        overlaid_recall(pipeline.recall, items, found, 0.1),
        overlaid_ranking(pipeline.ranking, catalogue, found),
        overlaid_reranking(pipeline.reranking, catalogue, found),
        N,
    )


def test_late_items_stand_in_the_last_places_and_all_else_is_as_before_but_for_what_is_gone(
    pipeline: TwoStage, overlaid: TwoStage, users: UserBatch
) -> None:
    n_items = pipeline.recall.catalogue.n_items
    named = overlaid.candidates(users).item_rows
    assert (np.sort(named[:, -2:]) == [n_items, n_items + 1]).all()
    assert not (named == 1).any()
    before = pipeline.candidates(users).item_rows
    same = ~(before == 1).any(axis=1)
    assert same.any()
    assert (named[same, :-2] == before[same, :-2]).all()


def test_who_has_met_a_late_item_does_not_get_it_again(overlaid: TwoStage, users: UserBatch) -> None:
    late_row = overlaid.recall.catalogue.items.row("new")
    one = users.slice(0, 1)
    far = np.int32(10_000)  # a row of which this process has not heard yet
    met = replace(
        one,
        excluded_offsets=np.array([0, 2], dtype=np.int64),
        excluded_rows=np.array([late_row, far], dtype=np.int32),
    )
    assert late_row in overlaid.candidates(one).item_rows
    assert late_row not in overlaid.candidates(met).item_rows


def test_items_of_before_keep_their_scores_and_late_ones_count_as_never_met(
    pipeline: TwoStage, overlaid: TwoStage, users: UserBatch
) -> None:
    candidates = overlaid.candidates(users)
    matrix = candidate_matrix(users, candidates, overlaid.ranking.known)
    late = candidates.item_rows >= pipeline.recall.catalogue.n_items
    column = FEATURES.index
    assert (matrix[late][:, column("popularity")] == 0).all()
    assert np.isnan(matrix[late][:, column("days_since_first_seen")]).all()
    assert (matrix[late][:, column("passages")] == 0).all()
    assert (matrix[late][:, column("tags")] > 0).any()
    older = candidates.below(pipeline.recall.catalogue.n_items)
    assert (
        pipeline.ranking.rank(users, older)[~late] == overlaid.ranking.rank(users, candidates)[~late]
    ).all()
    assert np.isneginf(pipeline.ranking.rank(users, candidates)[late]).all()  # it has not heard of them yet


def test_lists_may_hold_late_items_whoever_else_is_in_the_batch(overlaid: TwoStage, users: UserBatch) -> None:
    together = overlaid.top(users, N)
    n_learned = overlaid.recall.catalogue.n_learned
    assert n_learned is not None
    assert (together >= n_learned).any()
    alone = np.concatenate([overlaid.top(users.slice(user, user + 1), N) for user in range(len(users))])
    assert (alone == together).all()
