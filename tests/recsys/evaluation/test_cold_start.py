from collections.abc import Callable, Iterable

import numpy as np
import polars as pl
import pytest

from recsys.core.errors import FieldError
from recsys.data.log import InteractionLog, Vocabulary, encode
from recsys.data.schema import Dataset
from recsys.data.splits import cut_for
from recsys.evaluation.baselines import BASELINES
from recsys.evaluation.new_items import (
    CONTENT,
    KS,
    MIN_HISTORY,
    POPULAR,
    RANDOM,
    RANDOM_NEW,
    SHELF,
    WHOLE,
    find_new_items,
    new_items,
)
from recsys.evaluation.new_users import (
    DECLARED,
    FILTERED,
    MAX_CLICKS,
    OURS,
    RECENT,
    find_new_users,
    new_users,
)
from recsys.evaluation.scenarios import ScenarioReport, rows_of, scenario_page
from recsys.features.users import NO_ITEM
from recsys.ranking.boosting import BoostingConfig
from recsys.ranking.matrix import KnowledgeConfig
from recsys.recall.sequential import SequentialConfig
from recsys.recall.sources import RecallConfig
from recsys.recall.svd import SvdConfig
from recsys.training.cross_fit import CrossFitConfig
from recsys.training.two_stage import TrainingConfig, fit_two_stage
from tests.small import BILINEAR

LogOf = Callable[..., InteractionLog]
CatalogueOf = Callable[..., pl.DataFrame]

TINY = TrainingConfig(
    knowledge=KnowledgeConfig(
        recall=RecallConfig(
            bilinear=BILINEAR, sequential=SequentialConfig(min_events=2, rank=4), svd=SvdConfig(n_factors=4)
        )
    ),
    cross_fit=CrossFitConfig(n_folds=2, min_positions=3, max_positions=3, n_candidates=20),
    boosting=BoostingConfig(n_trees=5, max_depth=3),
    n_candidates=30,
)


def at(item_rows: Iterable[int], first_s: float) -> list[tuple[int, float]]:
    """One item a second."""
    return [(row, first_s + step) for step, row in enumerate(item_rows)]


def test_whoever_comes_after_the_moment_is_new_and_in_no_training_log(
    log_of: LogOf, catalogue_of: CatalogueOf
) -> None:
    young = at([0, 1, 2, 3, 4, 3, 5, 6, 7], 100.0)
    log = log_of([at(range(8), 0.0), young, at([0, 1, 2], 100.0)], 8)
    found = find_new_users(log, catalogue_of([["t"]] * 8), cut_s=50.0)
    assert found.users.tolist() == [1]  # the third has no more than the first clicks
    assert found.train.lengths.tolist() == [8, 0, 0]
    assert found.first_rows.tolist() == [[0, 1, 2, 3, 4]]
    assert found.targets.rows.tolist() == [5, 6, 7]  # 3 is among the first
    assert found.asked_s.tolist() == [105.0]
    assert found.tags == [[]]  # nothing comes later than the targets


def test_after_each_click_one_more_item_is_known_and_the_first_are_never_shown(
    log_of: LogOf, catalogue_of: CatalogueOf
) -> None:
    log = log_of([at([7], 0.0), at(range(6), 10.0)], 8)
    found = find_new_users(log, catalogue_of([[]] * 8), cut_s=5.0)
    for n_clicks in range(MAX_CLICKS + 1):
        users = found.batch(n_clicks)
        history = users.history_rows[0]
        assert history[history != NO_ITEM].tolist() == list(range(n_clicks))[::-1]
        assert users.excluded_rows.tolist() == [0, 1, 2, 3, 4]
    said = found.batch(1, [[6, 7]]).history_rows[0]
    assert said[said != NO_ITEM].tolist() == [0, 7, 6]  # what was clicked is later than what was said


def test_what_comes_later_changes_nothing_that_models_learn_from(simulated: Dataset) -> None:
    log = encode(simulated, Vocabulary(simulated.items["item_id"].to_list()))
    cut_s = cut_for(log, 0.3)
    rng = np.random.default_rng(0)
    later = log.times_s >= cut_s
    shuffled = log.item_rows.copy()
    shuffled[later] = rng.permutation(shuffled[later])
    changed = InteractionLog(
        log.offsets, shuffled, log.times_s, log.context_rows, log.user_ids, log.contexts, log.n_items
    )
    one = find_new_users(log, simulated.items, cut_s).train
    other = find_new_users(changed, simulated.items, cut_s).train
    assert np.array_equal(one.item_rows, other.item_rows)
    assert np.array_equal(one.offsets, other.offsets)


def test_of_new_items_and_of_what_test_users_do_later_models_learn_nothing(simulated: Dataset) -> None:
    log = encode(simulated, Vocabulary(simulated.items["item_id"].to_list()))
    found = find_new_items(log, cut_for(log, 0.5))
    assert found.is_new.any()
    assert not found.is_new[found.train.item_rows].any()
    assert found.is_new[found.targets.rows].all()
    learned = {(user, at_s) for user, at_s in zip(found.train.user_rows, found.train.times_s, strict=True)}
    for user in range(log.n_users):
        own = slice(log.offsets[user], log.offsets[user + 1])
        new = np.flatnonzero(found.is_new[log.item_rows[own]])
        if len(new) and new[0] >= MIN_HISTORY:
            asked_s = log.times_s[own][new[0]]
            assert not any(who == user and at_s > asked_s for who, at_s in learned)


def test_a_moment_after_which_nobody_new_comes_is_refused(log_of: LogOf, catalogue_of: CatalogueOf) -> None:
    with pytest.raises(FieldError, match="0 new users"):
        find_new_users(log_of([at(range(8), 0.0)], 8), catalogue_of([[]] * 8), cut_s=4.0)
    with pytest.raises(FieldError, match="new item"):
        find_new_items(log_of([[(0, 0.0), (1, 9.0)], [(1, 0.0), (0, 9.0)]], 2), cut_s=5.0)


def test_who_chooses_a_new_item_after_some_others_is_asked_just_before(log_of: LogOf) -> None:
    old = at(range(5), 0.0)
    log = log_of([[*old, (6, 9.0), (0, 10.0), (7, 11.0)], [*old, (5, 9.0)], [(6, 9.0), (7, 10.0)]], 9)
    found = find_new_items(log, cut_s=9.0)
    assert np.flatnonzero(found.is_new).tolist() == [5, 6, 7]
    assert len(found.users) == 2  # the third has no past
    assert found.users.history_rows[:, :6].tolist() == [[4, 3, 2, 1, 0, NO_ITEM]] * 2
    assert found.users.now_s.tolist() == [9.0, 9.0]
    assert found.targets.offsets.tolist() == [0, 2, 3]
    assert found.targets.rows.tolist() == [6, 7, 5]
    assert found.train.lengths.tolist() == [5, 5, 0]


@pytest.fixture(scope="module")
def users_report(simulated: Dataset) -> ScenarioReport:
    log = encode(simulated, Vocabulary(simulated.items["item_id"].to_list()))
    found = find_new_users(log, simulated.items, cut_for(log, 0.5))
    fits = {"popularity": BASELINES["popularity"], RECENT: BASELINES[RECENT]}
    return new_users(
        found,
        simulated.items,
        fits | {OURS: lambda train, items: fit_two_stage(train, items, TINY)},
        data="simulated",
    )


def test_new_users_are_measured_after_each_click_against_both_popularities(
    users_report: ScenarioReport,
) -> None:
    seen = {(row.circumstance, row.method) for row in users_report.rows}
    methods = {"popularity", RECENT, OURS, DECLARED, FILTERED}
    assert seen == {(f"{clicks} clicks", name) for clicks in range(MAX_CLICKS + 1) for name in methods}
    popular = {row.result.value for row in users_report.rows if row.method == "popularity"}
    assert len(popular) == 1  # the same question along the clicks: only what is known changes


def test_new_items_are_measured_by_source_against_chance(simulated: Dataset) -> None:
    log = encode(simulated, Vocabulary(simulated.items["item_id"].to_list()))
    found = find_new_items(log, cut_for(log, 0.6))
    report = new_items(found, fit_two_stage(found.train, simulated.items, TINY), data="simulated")
    values = {(row.circumstance, row.method): row.result.value for row in report.rows}
    assert values[f"recall@{KS[0]}", POPULAR] == 0.0  # it names what it knows first
    for k in KS:
        assert {values[f"recall@{k}", name] <= 1.0 for name in (RANDOM, WHOLE, CONTENT)} == {True}
    assert values["recall@200", RANDOM] == 1.0  # all there is
    assert {circumstance for circumstance, name in values if name in {RANDOM_NEW, SHELF}} <= {"recall@10"}
    explored = [row for row in report.rows if row.circumstance == "shown by one exploring list"]
    assert len(explored) == 4
    assert all(0.0 <= row.result.value <= 1.0 for row in explored)


def test_a_method_is_compared_with_the_best_baseline_and_losses_come_first() -> None:
    ones, zeros = np.ones(30), np.zeros(30)
    rows = rows_of("here", {"weak": zeros, "strong": ones, "ours": zeros}, ("weak", "strong"), seed=0)
    assert [(row.against, row.verdict) for row in rows] == [
        ("strong", ""),
        ("strong", ""),
        ("strong", "worse"),
    ]
    report = ScenarioReport(data="d", scenario="s", how="How.", metric="m", seed=0, rows=rows)
    assert "- **ours loses to strong** at here: -1.0000" in scenario_page(report)
    few = rows_of("here", {"weak": np.zeros(3), "ours": np.ones(3)}, ("weak",), seed=0)
    assert few[1].verdict == "no telling"  # of three users nothing is said
