from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsys.core.clock import SECONDS_PER_DAY
from recsys.core.errors import UnavailableError
from recsys.data.log import InteractionLog
from recsys.evaluation.answers import check_lists
from recsys.evaluation.baselines import BASELINES
from recsys.evaluation.baselines.ease import EaseConfig, fit_ease
from recsys.evaluation.baselines.full_ranking import best_rows, popularity_preference
from recsys.evaluation.baselines.item_knn import ItemKnnConfig, fit_item_knn
from recsys.evaluation.baselines.optional import OptionalFit
from recsys.evaluation.baselines.popularity import fit_popularity
from recsys.evaluation.baselines.pure_svd import PureSvdConfig, fit_pure_svd
from recsys.evaluation.baselines.recent_popularity import RecentPopularityConfig, fit_recent_popularity
from recsys.evaluation.model import Model
from recsys.features.users import UserBatch, batch_at

LogOf = Callable[[list[list[tuple[int, float]]], int], InteractionLog]
NO_CATALOGUE = pl.DataFrame()


def batch(log: InteractionLog, user: int, now_s: float = 0.0, n_history: int | None = None) -> UserBatch:
    """Ask for one user of a log, after all or the first ``n_history`` positions."""
    stop = log.offsets[user + 1] if n_history is None else log.offsets[user] + n_history
    return batch_at(log, np.array([user]), np.array([stop]), np.array([now_s]))


class TestBestRows:
    def ranked(self, scores: list[float], seen: list[int], n: int) -> list[int]:
        history = np.array(seen, dtype=np.int32)
        users = UserBatch(
            history[None, :],
            np.zeros((1, len(seen))),
            np.array([len(seen)]),
            np.zeros(1),
            np.zeros(1, dtype=np.int16),
            np.array([0, len(seen)]),
            history,
        )
        preference = np.arange(len(scores), dtype=np.int64)
        rows: list[int] = best_rows(np.array([scores], dtype=np.float32), users, n, preference)[0].tolist()
        return rows

    def test_sorts_by_score_whatever_its_sign(self) -> None:
        assert self.ranked([-2.0, 0.5, -0.5, 3.0, 0.0, -np.inf], [], 6) == [3, 1, 4, 2, 0, 5]

    def test_equal_scores_are_ordered_by_preference_and_minus_zero_is_zero(self) -> None:
        assert self.ranked([0.0, -0.0, 0.0, 1.0], [], 3) == [3, 2, 1]

    def test_what_was_seen_stays_out_and_the_rest_is_padded(self) -> None:
        assert self.ranked([1.0, 2.0, 3.0], [2], 4) == [1, 0, -1, -1]

    @settings(deadline=None)  # cores are shared
    @given(st.integers(1, 12), st.integers(1, 15), st.integers(0, 2**32 - 1))
    def test_agrees_with_sorting_everything(self, n_items: int, n: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        scores = rng.integers(-2, 3, n_items).astype(np.float64)
        seen = np.flatnonzero(rng.random(n_items) < 0.3)
        left = [row for row in range(n_items) if row not in seen]
        expected = sorted(left, key=lambda row: (-scores[row], -row))[:n]
        assert self.ranked(scores.tolist(), seen.tolist(), n) == expected + [-1] * (n - len(expected))


def test_popularity_shows_the_most_met_item_that_the_user_has_not_seen(log_of: LogOf) -> None:
    log = log_of([[(2, 1.0)], [(2, 1.0), (0, 2.0)], [(2, 1.0), (0, 2.0), (1, 3.0)]], 4)
    assert fit_popularity(log, NO_CATALOGUE).top(batch(log, 0), 4).tolist() == [[0, 1, 3, -1]]


def test_recent_popularity_looks_back_from_the_moment_of_the_question(log_of: LogOf) -> None:
    day = SECONDS_PER_DAY
    log = log_of([[(0, 0.0)], [(1, 0.0), (2, 5 * day)], [(1, 0.0), (3, 9 * day)]], 4)
    model = fit_recent_popularity(log, NO_CATALOGUE, RecentPopularityConfig(window_days=2.0))
    assert model.top(batch(log, 0, now_s=6 * day), 1).tolist() == [[2]]
    assert model.top(batch(log, 0, now_s=9.5 * day), 1).tolist() == [[3]]
    assert model.top(batch(log, 0, now_s=9 * day), 1).tolist() == [
        [1]
    ]  # item 3 is not past yet: all-time order


class TestItemKnn:
    def test_similarity_is_the_shrunk_cosine(self, log_of: LogOf) -> None:
        log = log_of([[(0, 1.0), (1, 2.0)], [(0, 1.0), (1, 2.0)], [(0, 1.0), (2, 2.0)], [(0, 1.0)]], 3)
        plain = fit_item_knn(log, NO_CATALOGUE, ItemKnnConfig(shrinkage=0.0)).similarity.toarray()
        assert plain[0].tolist() == pytest.approx([0.0, 2 / np.sqrt(4 * 2), 1 / np.sqrt(4)])
        assert plain[1, 2] == 0.0
        shrunk = fit_item_knn(log, NO_CATALOGUE, ItemKnnConfig(shrinkage=2.0)).similarity.toarray()
        assert shrunk[0, 2] == pytest.approx(1 / (2 + 2))

    def test_only_the_nearest_neighbours_are_kept(self, log_of: LogOf) -> None:
        log = log_of([[(0, 1.0), (1, 2.0)], [(0, 1.0), (1, 2.0)], [(0, 1.0), (2, 2.0)]], 3)
        kept = fit_item_knn(log, NO_CATALOGUE, ItemKnnConfig(n_neighbours=1)).similarity.toarray()
        assert (kept[0] > 0).tolist() == [False, True, False]

    def test_what_was_met_together_comes_first_and_a_new_user_gets_what_is_popular(
        self, log_of: LogOf
    ) -> None:
        log = log_of([[(0, 1.0), (1, 2.0)], [(2, 1.0), (3, 2.0)], [(2, 1.0), (3, 2.0)], [(0, 1.0)]], 4)
        model = fit_item_knn(log, NO_CATALOGUE, ItemKnnConfig(shrinkage=0.0))
        assert model.top(batch(log, 3), 2).tolist() == [[1, 2]]
        assert model.top(batch(log, 3, n_history=0), 2).tolist() == [[0, 2]]


class TestEase:
    def test_weights_solve_the_constrained_ridge_regression(self, log_of: LogOf) -> None:
        histories = [[(0, 1.0), (1, 2.0)], [(0, 1.0), (1, 2.0), (3, 3.0)], [(1, 1.0), (3, 2.0)], [(0, 1.0)]]
        weights = fit_ease(log_of(histories, 5), NO_CATALOGUE, EaseConfig(l2=0.5)).weights
        met = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1], [1, 0, 0]], dtype=np.float64)  # items 0, 1 and 3
        for column in range(3):
            others = [row for row in range(3) if row != column]
            ridge = met[:, others].T @ met[:, others] + 0.5 * np.eye(2)
            expected = np.linalg.solve(ridge, met[:, others].T @ met[:, column])
            assert weights[others, column] == pytest.approx(expected, abs=1e-5)
            assert weights[column, column] == 0.0

    def test_items_without_events_come_last(self, log_of: LogOf) -> None:
        log = log_of([[(0, 1.0), (2, 2.0)], [(0, 1.0), (2, 2.0)], [(0, 1.0)]], 3)
        assert fit_ease(log, NO_CATALOGUE, EaseConfig()).top(batch(log, 2), 2).tolist() == [[2, 1]]

    def test_too_many_items_are_refused_with_what_they_would_take(self, log_of: LogOf) -> None:
        with pytest.raises(UnavailableError, match=r"2 items would need .* the limit is 1 items"):
            fit_ease(log_of([[(0, 1.0), (2, 2.0)]], 3), NO_CATALOGUE, EaseConfig(max_items=1))


class TestPureSvd:
    def test_scores_are_the_history_projected_onto_the_leading_factors(self, log_of: LogOf) -> None:
        histories = [[(0, 1.0), (1, 2.0)], [(0, 1.0), (1, 2.0), (2, 3.0)], [(1, 1.0), (3, 2.0)], [(3, 1.0)]]
        model = fit_pure_svd(log_of(histories, 4), NO_CATALOGUE, PureSvdConfig(n_factors=(2,)))
        met = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 0, 1], [0, 0, 0, 1]], dtype=np.float64)
        leading = np.linalg.svd(met)[2][:2].T
        assert model.factors @ model.factors.T == pytest.approx(leading @ leading.T, abs=1e-5)

    def test_what_the_same_users_met_comes_first(self, log_of: LogOf) -> None:
        pairs = [[(0, 1.0), (1, 2.0)]] * 3 + [[(2, 1.0), (3, 2.0)]] * 4 + [[(0, 1.0)]]
        model = fit_pure_svd(log_of(pairs, 5), NO_CATALOGUE, PureSvdConfig(n_factors=(2,)))
        assert model.top(batch(log_of(pairs, 5), 7), 1).tolist() == [[1]]

    def test_the_number_of_factors_is_the_best_on_positions_held_out(self, log_of: LogOf) -> None:
        tastes = [
            [(3 * taste + (turn + step) % 3, float(step)) for step in range(3)]
            for taste, n_users in enumerate((9, 8, 7))
            for turn in range(n_users)
        ]
        model = fit_pure_svd(log_of(tastes, 9), NO_CATALOGUE, PureSvdConfig(n_factors=(1, 3)))
        assert model.factors.shape == (9, 3)  # one factor knows the largest of three tastes alone


def random_log(rng: np.random.Generator) -> tuple[InteractionLog, NDArray[np.int64]]:
    lengths = rng.integers(0, 6, 8)
    n = int(lengths.sum())
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    log = InteractionLog(
        offsets,
        rng.integers(0, 7, n).astype(np.int32),
        np.sort(rng.random(n)) * 1e7,
        np.zeros(n, dtype=np.int16),
        tuple("abcdefgh"),
        (),
        n_items=7,
    )
    return log, offsets[:-1] + rng.integers(0, lengths + 1)


def fitted(name: str, log: InteractionLog) -> Model:
    try:
        return BASELINES[name](log, NO_CATALOGUE)
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", sorted(BASELINES.keys() - {"sasrec"}))  # test_sasrec.py asks it the same
class TestEveryBaseline:
    @pytest.mark.parametrize("seed", range(5))
    def test_fills_lists_with_unseen_items_each_once(self, name: str, seed: int) -> None:
        log, stops = random_log(np.random.default_rng(seed))
        users = batch_at(log, np.arange(8), stops, np.full(8, 1e7))
        top = fitted(name, log).top(users, 9)
        check_lists(name, top, users, 9, log.n_items)
        n_seen = np.array([len(np.unique(users.slice(u, u + 1).excluded_rows)) for u in range(8)])
        assert (top >= 0).sum(axis=1).tolist() == (7 - n_seen).tolist()

    def test_gives_a_user_without_history_the_popular_items(self, name: str, log_of: LogOf) -> None:
        log = log_of([[(1, 1.0), (2, 2.0)], [(2, 1.0)]], 4)
        top = fitted(name, log).top(batch(log, 1, now_s=3.0, n_history=0), 2)
        assert top.tolist() == [[2, 1]]

    def test_answers_a_batch_as_it_answers_each_user_alone(self, name: str) -> None:
        log, stops = random_log(np.random.default_rng(7))
        users = batch_at(log, np.arange(8), stops, np.linspace(0.0, 1e7, 8))
        model = fitted(name, log)
        alone = [model.top(users.slice(user, user + 1), 4)[0].tolist() for user in range(8)]
        assert model.top(users, 4).tolist() == alone


class TestOptionalFit:
    def test_a_missing_package_is_named_with_the_extra_that_brings_it(self, log_of: LogOf) -> None:
        fit = OptionalFit("magic", ("json", "no_such_package"), "recsys.nowhere")
        with pytest.raises(
            UnavailableError, match=r"magic is unavailable: no_such_package is .*\[baselines\]"
        ):
            fit(log_of([[(0, 1.0)]], 1), NO_CATALOGUE)


def test_preference_grows_with_popularity_and_ties_prefer_the_earlier_row(log_of: LogOf) -> None:
    assert popularity_preference(log_of([[(2, 1.0)], [(2, 1.0), (3, 2.0)]], 4)).tolist() == [1, 0, 3, 2]
