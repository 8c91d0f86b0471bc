from dataclasses import replace

import numpy as np
import pytest

from recsys.core.errors import UnavailableError
from recsys.data.impressions import Target, impressions_of
from recsys.data.log import InteractionLog, Vocabulary, encode
from recsys.data.schema import Dataset
from recsys.data.shown import ShownLog, encode_impressions
from recsys.evaluation.impressions.metrics import PooledAuc
from recsys.evaluation.impressions.scoring import score_shown
from recsys.ranking.boosting import BoostingConfig, fit_ranker
from recsys.ranking.matrix import FEATURES, KnowledgeConfig
from recsys.recall.sequential import SequentialConfig
from recsys.recall.sources import RecallConfig
from recsys.recall.svd import SvdConfig
from recsys.training.shown_rows import (
    ShownConfig,
    fit_from_shown,
    latest_sessions,
    shown_rows,
    surface_offsets,
)
from recsys.training.two_stage import TrainingConfig

TINY = TrainingConfig(
    knowledge=KnowledgeConfig(
        recall=RecallConfig(sequential=SequentialConfig(min_events=2, rank=4), svd=SvdConfig(n_factors=4))
    ),
    boosting=BoostingConfig(n_trees=20, max_depth=3),
    n_candidates=10,
)
CONFIG = ShownConfig(n_folds=2)


@pytest.fixture(scope="module")
def log(simulated: Dataset) -> InteractionLog:
    return encode(simulated, Vocabulary(simulated.items["item_id"].to_list()))


@pytest.fixture(scope="module")
def shown(simulated: Dataset, log: InteractionLog) -> ShownLog:
    items = Vocabulary(simulated.items["item_id"].to_list())
    return encode_impressions(impressions_of(simulated), items, log)


def test_every_impression_has_a_row_and_its_answer(
    log: InteractionLog, shown: ShownLog, simulated: Dataset
) -> None:
    rows = shown_rows(log, simulated.items, TINY, CONFIG, past=shown)
    assert rows.matrix.shape == (len(shown.item_rows), len(FEATURES))
    assert rows.labels.tolist() == shown.answers[Target.CLICK].tolist()
    assert rows.groups.sum() == len(rows.labels)
    hours = rows.matrix[:, FEATURES.index("hour_of_day")]
    starts_s = np.repeat(shown.starts_s, np.diff(shown.offsets))
    np.testing.assert_allclose(hours, starts_s % 86_400 / 3_600, rtol=1e-5)  # every row at its own place


def test_what_a_user_does_from_a_session_on_is_not_in_its_rows(
    log: InteractionLog, shown: ShownLog, simulated: Dataset
) -> None:
    """Deal the choices of the asked half anew from their last session on; the other half teaches recall."""
    folds = np.random.default_rng(TINY.seed).integers(0, CONFIG.n_folds, log.n_users)
    last = np.diff(shown.log_users, append=-2) != 0
    asked = last & (shown.log_users >= 0)
    asked[asked] = folds[shown.log_users[asked]] == 0
    later = np.zeros(len(log.item_rows), dtype=np.bool_)
    for user, stop in zip(shown.log_users[asked], shown.stops[asked], strict=True):
        later[stop : log.offsets[user + 1]] = True
    dealt = log.item_rows.copy()
    dealt[later] = (dealt[later] + 1) % log.n_items
    past = shown.of_sessions(asked)
    before, after = (
        shown_rows(each, simulated.items, TINY, CONFIG, past=past).matrix
        for each in (log, replace(log, item_rows=dealt))
    )
    assert later.any()
    assert np.array_equal(before, after, equal_nan=True)


def test_a_ranker_of_impressions_orders_those_it_learned_from(
    log: InteractionLog, shown: ShownLog, simulated: Dataset
) -> None:
    model = fit_from_shown(log, simulated.items, TINY, CONFIG, past=shown)
    scores = score_shown(model, "ours", log, shown)
    auc = PooledAuc(scores, shown.answers[Target.CLICK], shown.user_of)
    assert auc.value(np.ones(shown.users.max() + 1)) > 0.55  # 0.5 is chance; these rows are not held out


def test_needs_answers_to_its_target(log: InteractionLog, shown: ShownLog, simulated: Dataset) -> None:
    config = ShownConfig(target=Target.LONG_VIEW)
    with pytest.raises(UnavailableError, match="long_view"):
        fit_from_shown(log, simulated.items, TINY, config, past=shown)


def test_the_latest_sessions_are_kept_in_their_order(shown: ShownLog) -> None:
    kept = latest_sessions(shown, 10)
    assert kept.n_sessions == 10
    assert kept.starts_s.min() >= np.sort(shown.starts_s)[-10]
    assert (np.diff(kept.users) >= 0).all()
    assert latest_sessions(shown, 10**9).n_sessions == shown.n_sessions


def test_the_offset_of_a_surface_is_its_log_odds(shown: ShownLog) -> None:
    two = replace(
        shown.of_sessions(np.arange(shown.n_sessions) < 0),
        surfaces=np.array([1, 1, 1, 1, 2, 2]),
        answers={Target.CLICK: np.array([True, False, False, False, True, True])},
    )
    found = surface_offsets(two, ShownConfig(prior_impressions=2.0))
    assert found[0] == pytest.approx(np.log((1 + 1) / (3 + 1)))  # of 4 shown 1, the prior adds 1 of 2
    assert found[4] == pytest.approx(np.log((2 + 1) / (0 + 1)))


def test_trees_do_not_learn_what_the_offsets_say_already() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.random((4_000, len(FEATURES)), dtype=np.float32)
    margins = np.where(matrix[:, 0] > 0.5, 2.0, -2.0).astype(np.float32)
    labels = (rng.random(4_000) < 1.0 / (1.0 + np.exp(-margins))).astype(np.float32)
    config = BoostingConfig(n_trees=20, max_depth=2, column_share=1.0, row_share=1.0)
    groups = np.array([4_000])
    plain = fit_ranker(matrix, labels, groups, config).score(matrix)
    on_top = fit_ranker(matrix, labels, groups, config, offsets=margins).score(matrix)
    high = matrix[:, 0] > 0.5
    assert plain[high].mean() - plain[~high].mean() > 1.0
    assert (
        abs(on_top[high].mean() - on_top[~high].mean()) < 0.5
    )  # 5 standard errors of a difference of log odds
