from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsys.data.log import InteractionLog, Vocabulary, encode
from recsys.data.schema import Dataset
from recsys.features.items import ItemTable, fit_items
from recsys.features.users import UserBatch
from recsys.ranking.matrix import FEATURES, Knowledge, KnowledgeConfig, fit_knowledge
from recsys.recall.sequential import SequentialConfig
from recsys.recall.shelf import Shelf
from recsys.recall.sources import RecallConfig
from recsys.recall.svd import SvdConfig
from recsys.training import cross_fit as module
from recsys.training.cross_fit import (
    CrossFitConfig,
    Questions,
    TrainingRows,
    cross_fit,
    questions,
    sampled,
    users_at,
)
from tests.small import BILINEAR

LogOf = Callable[..., InteractionLog]
CatalogueOf = Callable[..., pl.DataFrame]

SMALL = KnowledgeConfig(
    recall=RecallConfig(
        bilinear=BILINEAR, sequential=SequentialConfig(min_events=2, rank=4), svd=SvdConfig(n_factors=3)
    )
)
CONFIG = CrossFitConfig(n_folds=3, min_positions=2, max_positions=2, n_candidates=10, batch_users=16)


@pytest.fixture(scope="module")
def log(simulated: Dataset) -> InteractionLog:
    return encode(simulated, Vocabulary(simulated.items["item_id"].to_list()))


@pytest.fixture(scope="module")
def items(simulated: Dataset) -> ItemTable:
    return fit_items(simulated.items)


@pytest.fixture(scope="module")
def rows(log: InteractionLog, items: ItemTable) -> TrainingRows:
    return cross_fit(log, items, SMALL, CONFIG, seed=1)


def answers(rows: TrainingRows) -> NDArray[np.float32]:
    """Return how many candidates of each question are its answer."""
    return np.add.reduceat(rows.labels, np.cumsum(rows.groups) - rows.groups)


def test_the_latest_positions_with_a_past_are_asked(log_of: LogOf) -> None:
    log = log_of([[1, 2, 3, 4], [5], [6, 7], [8, 9]], 10)
    asked = questions(log, np.array([True, True, True, False]), 2)
    assert log.item_rows[asked.stops].tolist() == [3, 4, 7]  # what is asked for; 5 has no past
    assert asked.users.tolist() == [0, 0, 2]


@given(st.lists(st.lists(st.integers(0, 3), max_size=6), min_size=1, max_size=5), st.integers(1, 4))
def test_every_question_has_a_past_and_no_user_is_asked_too_often(
    log_of: LogOf, histories: list[list[int]], n_positions: int
) -> None:
    log = log_of(histories, 4)
    asked = questions(log, np.ones(len(histories), dtype=np.bool_), n_positions)
    expected = [min(n_positions, max(0, len(history) - 1)) for history in histories]
    assert np.bincount(asked.users, minlength=len(histories)).tolist() == expected
    assert (users_at(log, asked).n_positive >= 1).all()


def test_users_are_asked_at_the_moment_and_in_the_context_of_what_came_next(log_of: LogOf) -> None:
    log = log_of([[0, 1]], 2, times_s=[[10.0, 30.0]], context_rows=[[1, 2]], contexts=("home", "tv"))
    users = users_at(log, questions(log, np.array([True]), 5))
    assert (users.now_s.tolist(), users.context_rows.tolist()) == ([30.0], [2])
    assert users.history_rows[0, :2].tolist() == [0, -1]


def test_no_user_is_known_to_the_models_that_name_the_users_candidates(
    log: InteractionLog, items: ItemTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_by_fold: list[list[int]] = []
    known_by_fold: list[set[int]] = []

    def fit(log: InteractionLog, *args: object, **kwargs: object) -> Knowledge:
        known_by_fold.append(set(log.user_rows.tolist()))
        asked_by_fold.append([])
        return fit_knowledge(log, items, SMALL)

    def ask(log: InteractionLog, asked: Questions) -> UserBatch:
        asked_by_fold[-1].extend(asked.users.tolist())
        return users_at(log, asked)

    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # one fold after the other: who asks belongs to the latest fit
    monkeypatch.setattr(module, "fit_knowledge", fit)
    monkeypatch.setattr(module, "users_at", ask)
    cross_fit(log, items, SMALL, CONFIG, seed=1)
    everybody = {int(user) for user in np.flatnonzero(log.lengths >= 2)}
    assert len(asked_by_fold) == 3
    for asked, known in zip(asked_by_fold, known_by_fold, strict=True):
        assert not set(asked) & known
        assert len(known) > log.n_users / 2
    all_asked = [user for asked in asked_by_fold for user in asked]
    assert set(all_asked) == everybody
    assert max(np.bincount(all_asked)) == 2  # positions each, in one fold alone


def test_every_kept_question_has_its_answer_once_among_its_candidates(rows: TrainingRows) -> None:
    assert rows.matrix.shape == (rows.groups.sum(), len(FEATURES))
    assert len(rows.labels) == len(rows.matrix)
    assert (answers(rows) == 1.0).all()
    assert rows.groups.max() <= CONFIG.n_candidates
    assert 0 < len(rows.groups) <= rows.n_asked


def test_an_answer_that_recall_does_not_name_is_never_forced_in(
    log_of: LogOf, catalogue_of: CatalogueOf
) -> None:
    n_users, n_items = 12, 100  # each user ends with an item of their own, which nobody else knows
    log = log_of([[0, 1, 2, 3, 99 - user] for user in range(n_users)], n_items)
    config = CONFIG.model_copy(update={"min_positions": 1, "max_positions": 1})
    rows = cross_fit(log, fit_items(catalogue_of(n_items)), SMALL, config, seed=0)
    assert rows.n_asked == n_users
    assert (len(rows.groups), len(rows.labels)) == (0, 0)
    assert rows.matrix.shape == (0, len(FEATURES))


def test_folds_fitted_side_by_side_give_what_they_give_one_by_one(
    log: InteractionLog, items: ItemTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    for n_threads in ("1", "4"):
        monkeypatch.setenv("OMP_NUM_THREADS", n_threads)
        made.append(cross_fit(log, items, SMALL, CONFIG, seed=1))
    one, four = made
    assert one.matrix.tobytes() == four.matrix.tobytes()
    assert one.weights.tobytes() == four.weights.tobytes()


def test_what_lies_on_the_shelf_is_not_learned_again(
    rows: TrainingRows, log: InteractionLog, items: ItemTable
) -> None:
    shelf = Shelf()
    for _ in range(2):
        again = cross_fit(log, items, SMALL, CONFIG, seed=1, shelf=shelf)
        assert again.matrix.tobytes() == rows.matrix.tobytes()
    assert len(shelf) == CONFIG.n_folds


def test_one_seed_gives_one_result(rows: TrainingRows, log: InteractionLog, items: ItemTable) -> None:
    again = cross_fit(log, items, SMALL, CONFIG, seed=1)
    assert again.matrix.tobytes() == rows.matrix.tobytes()
    assert np.array_equal(again.labels, rows.labels)
    assert np.array_equal(again.groups, rows.groups)
    assert cross_fit(log, items, SMALL, CONFIG, seed=2).matrix.tobytes() != rows.matrix.tobytes()


@pytest.mark.parametrize("max_questions", [10, 60, 100, 150, 10_000])
def test_no_more_questions_than_allowed_but_for_the_last_user(
    log: InteractionLog, items: ItemTable, max_questions: int
) -> None:
    config = CONFIG.model_copy(update={"max_questions": max_questions})
    n_asked = cross_fit(log, items, SMALL, config, seed=0).n_asked
    of_everybody = int(np.minimum(np.maximum(log.lengths - 1, 0), 2).sum())
    least = min(max_questions, of_everybody)
    assert least <= n_asked <= least + 1


def test_few_users_are_asked_more_positions_each(log: InteractionLog, items: ItemTable) -> None:
    config = CONFIG.model_copy(update={"max_positions": 5, "max_questions": 4 * log.n_users})
    n_asked = cross_fit(log, items, SMALL, config, seed=0).n_asked
    assert n_asked == int(np.minimum(np.maximum(log.lengths - 1, 0), 4).sum())


def test_a_log_of_single_choices_asks_nothing(log_of: LogOf, catalogue_of: CatalogueOf) -> None:
    rows = cross_fit(log_of([[0], [1]], 3), fit_items(catalogue_of(3)), SMALL, CONFIG, seed=0)
    assert rows.n_asked == 0
    assert rows.matrix.shape == (0, len(FEATURES))


def test_every_step_is_told_with_its_fold_and_a_share_of_what_is_done(
    log: InteractionLog, items: ItemTable
) -> None:
    told: list[tuple[str, float]] = []
    cross_fit(log, items, SMALL, CONFIG, seed=0, on_step=lambda name, share: told.append((name, share)))
    assert ("fold 1 of 3: sequential", 0.0) in told
    shares = [share for name, share in told if name == "fold 3 of 3: candidates"]
    assert shares == sorted(shares)
    assert 0.0 <= shares[0] < shares[-1] < 1.0


class TestSampledRows:
    HIT = np.array([[0, 0, 0, 1, 0, 0], [1, 0, 0, 0, 0, 0]], dtype=np.bool_)
    NAMED = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]], dtype=np.bool_)

    def sample(self, n: int, n_hard: int) -> tuple[list[list[int]], list[list[float]]]:
        config = CONFIG.model_copy(update={"negatives_per_question": n, "hard_negatives": n_hard})
        columns, weights = sampled(self.HIT, self.NAMED, config, np.random.default_rng(0))
        return columns.tolist(), weights.tolist()

    def test_the_answer_and_the_best_of_the_others_stay_and_count_once(self) -> None:
        columns, weights = self.sample(2, 2)
        assert columns == [[0, 1, 3], [0, 1, 2]]
        assert weights == [[1, 1, 1], [1, 1, 1]]

    def test_what_is_drawn_stands_for_all_that_it_was_drawn_from(self) -> None:
        columns, weights = self.sample(2, 1)
        assert columns[0][:1] == [0]
        assert 3 in columns[0]
        assert sorted(weights[0]) == [1, 1, 4]  # one of columns 1, 2, 4 and 5
        assert weights[1] == [1, 1, 1]  # only two others: each for itself

    def test_padding_counts_nothing(self) -> None:
        _, weights = self.sample(5, 1)
        assert weights == [[1] * 6, [1, 1, 1, 0, 0, 0]]

    def test_the_answer_stays_even_when_one_other_is_kept(self) -> None:
        columns, _ = self.sample(1, 5)
        assert columns == [[0, 3], [0, 1]]


def test_sampled_rows_count_for_as_many_as_there_are_without_sampling(
    log: InteractionLog, items: ItemTable, rows: TrainingRows
) -> None:
    config = CONFIG.model_copy(update={"negatives_per_question": 5, "hard_negatives": 2})
    some = cross_fit(log, items, SMALL, config, seed=1)
    assert some.groups.max() == 6
    assert some.labels.sum() == rows.labels.sum()
    assert some.weights.sum() == pytest.approx(rows.weights.sum())
    assert len(some.labels) < len(rows.labels)
