from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from recsys.core.errors import CorruptBundleError, UnavailableError
from recsys.data.impressions import Target
from recsys.data.log import InteractionLog
from recsys.data.shown import ShownLog
from recsys.features.items import fit_items
from recsys.features.users import UserBatch, batch_at
from recsys.ranking.matrix import FEATURES, Knowledge, KnowledgeConfig, candidate_matrix, fit_knowledge
from recsys.ranking.targets import TargetHeads, TargetsConfig, fit_heads, log_odds, rates_of_others
from recsys.recall.candidates import NOT_NAMED, Candidates
from recsys.recall.sequential import SequentialConfig
from recsys.recall.sources import SOURCE_NAMES, RecallConfig
from recsys.recall.svd import SvdConfig
from recsys.registry.reader import FolderBundleReader

LogOf = Callable[..., InteractionLog]
BundleOf = Callable[..., FolderBundleReader]

N_USERS, N_ITEMS = 60, 6
CLICK, LONG_VIEW = Target.CLICK, Target.LONG_VIEW
KNOWLEDGE = KnowledgeConfig(
    recall=RecallConfig(sequential=SequentialConfig(min_events=2, rank=4), svd=SvdConfig(n_factors=4))
)
BOTH = TargetsConfig(
    click_weight=2.0, long_view_weight=0.5, n_trees=10, min_child_weight=1.0, learning_rate=0.3
)


@pytest.fixture(scope="module")
def log(log_of: LogOf) -> InteractionLog:
    return log_of([[user % N_ITEMS, (user + 1) % N_ITEMS] for user in range(N_USERS)], N_ITEMS)


@pytest.fixture(scope="module")
def known(log: InteractionLog, catalogue_of: Callable[..., pl.DataFrame]) -> Knowledge:
    table = fit_items(catalogue_of(N_ITEMS, duration_s=[10.0 * (row + 1) for row in range(N_ITEMS)]))
    return fit_knowledge(log, table, KNOWLEDGE)


@pytest.fixture(scope="module")
def shown(log: InteractionLog) -> ShownLog:
    """Everybody was shown every item: items 0 to 2 are clicked, and item 5 alone is watched long."""
    rows = np.tile(np.arange(N_ITEMS, dtype=np.int32), N_USERS)
    users = np.arange(N_USERS)
    return ShownLog(
        np.arange(N_USERS + 1) * N_ITEMS,
        users,
        users,
        log.offsets[1:],
        np.full(N_USERS, 10.0),
        np.full(N_USERS, 20.0),
        rows,
        np.zeros(len(rows), dtype=np.int64),
        np.zeros(len(rows), dtype=np.bool_),
        {CLICK: rows < 3, LONG_VIEW: rows == 5},
        0,
    )


@pytest.fixture(scope="module")
def heads(shown: ShownLog, log: InteractionLog, known: Knowledge) -> TargetHeads:
    return fit_heads(shown, log, known.items, known.sources.tags, BOTH, seed=0)


def asked(log: InteractionLog, n_users: int = 3) -> tuple[UserBatch, Candidates]:
    """Return users who get every item as a candidate."""
    users = np.arange(n_users)
    rows = np.tile(np.arange(N_ITEMS, dtype=np.int32), (n_users, 1))
    ranks = np.full((n_users, N_ITEMS, len(SOURCE_NAMES)), NOT_NAMED)
    return batch_at(log, users, log.offsets[1 : n_users + 1], np.full(n_users, 10.0)), Candidates(rows, ranks)


def blend(heads: TargetHeads, log: InteractionLog, known: Knowledge) -> NDArray[np.float32]:
    users, candidates = asked(log)
    matrix = candidate_matrix(users, candidates, known).reshape(-1, len(FEATURES))
    scores = np.zeros(len(matrix), dtype=np.float32)
    return heads.blended(scores, matrix, candidates.item_rows.reshape(-1)).reshape(3, N_ITEMS)


def test_what_is_clicked_when_it_is_shown_comes_before_what_is_not(
    shown: ShownLog, log: InteractionLog, known: Knowledge
) -> None:
    config = BOTH.model_copy(update={"long_view_weight": 0.0})
    scores = blend(fit_heads(shown, log, known.items, known.sources.tags, config, seed=0), log, known)
    assert (scores[:, :3].min(axis=1) > scores[:, 3:].max(axis=1)).all()


def test_the_blend_is_the_weighted_sum_of_the_log_odds(
    heads: TargetHeads, log: InteractionLog, known: Knowledge
) -> None:
    one = blend(replace(heads, weights={CLICK: 1.0}), log, known)
    other = blend(replace(heads, weights={LONG_VIEW: 1.0}), log, known)
    assert blend(heads, log, known) == pytest.approx(2.0 * one + 0.5 * other, rel=1e-4)


def test_the_ranker_counts_as_much_as_its_weight_says(
    heads: TargetHeads, log: InteractionLog, known: Knowledge
) -> None:
    users, candidates = asked(log)
    matrix = candidate_matrix(users, candidates, known).reshape(-1, len(FEATURES))
    rows, scores = candidates.item_rows.reshape(-1), np.arange(len(matrix), dtype=np.float32)
    with_half = replace(heads, next_item_weight=0.5).blended(scores, matrix, rows)
    without = replace(heads, next_item_weight=0.0).blended(scores, matrix, rows)
    assert with_half - without == pytest.approx(scores / 2.0, abs=1e-4)


def test_what_a_user_answered_does_not_change_what_a_head_sees_of_it(
    shown: ShownLog, known: Knowledge
) -> None:
    own = shown.user_of == 7
    turned = {target: np.where(own, ~chosen, chosen) for target, chosen in shown.answers.items()}
    before = rates_of_others(shown, known.items, BOTH, seed=0)
    after = rates_of_others(replace(shown, answers=turned), known.items, BOTH, seed=0)
    assert np.array_equal(before[own], after[own])
    assert not np.array_equal(before[~own], after[~own])


def test_a_target_that_nobody_measured_is_refused_by_name(
    shown: ShownLog, log: InteractionLog, known: Knowledge
) -> None:
    with pytest.raises(UnavailableError, match="like"):
        fit_heads(shown, log, known.items, known.sources.tags, TargetsConfig(like_weight=1.0), seed=0)


def test_what_chance_showed_is_not_learned_from(
    shown: ShownLog, log: InteractionLog, known: Knowledge
) -> None:
    by_chance = np.ones(len(shown.item_rows), dtype=np.bool_)
    with pytest.raises(UnavailableError, match="click"):
        fit_heads(replace(shown, at_random=by_chance), log, known.items, known.sources.tags, BOTH, seed=0)


def test_new_items_are_those_of_which_nothing_is_known(heads: TargetHeads) -> None:
    grown = heads.with_items(N_ITEMS + 2)
    assert np.array_equal(grown.rates[:N_ITEMS], heads.rates[:N_ITEMS])
    assert np.array_equal(grown.rates[N_ITEMS:], np.repeat(heads.rates[-1:], 3, axis=0))
    assert np.array_equal(grown.with_items(N_ITEMS + 2).rates, grown.rates)


def test_heads_are_read_back_as_they_were_written(
    heads: TargetHeads, log: InteractionLog, known: Knowledge, bundle_of: BundleOf
) -> None:
    read = TargetHeads.load(bundle_of(heads.save))
    assert np.array_equal(blend(read, log, known), blend(heads, log, known))
    assert (read.weights, read.next_item_weight) == (heads.weights, heads.next_item_weight)


def test_a_bundle_without_heads_says_so(known: Knowledge, bundle_of: BundleOf) -> None:
    with pytest.raises(CorruptBundleError, match="ranker/targets"):
        TargetHeads.load(bundle_of(known.save))


def test_settings_by_which_nothing_decides_are_refused() -> None:
    assert TargetsConfig().weights == {}
    with pytest.raises(ValidationError, match="nothing is left to rank by"):
        TargetsConfig(next_item_weight=0.0)
    assert TargetsConfig(next_item_weight=0.0, like_weight=1.0).weights == {Target.LIKE: 1.0}


def test_log_odds_without_a_matrix_are_those_with_one(
    heads: TargetHeads, log: InteractionLog, known: Knowledge
) -> None:
    users, candidates = asked(log)
    assert np.array_equal(
        log_odds(heads, users, candidates.item_rows, known.items, known.sources.tags),
        blend(heads, log, known),
    )
