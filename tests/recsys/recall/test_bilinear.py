from collections.abc import Callable

import numpy as np
import pytest

from recsys.data.log import InteractionLog
from recsys.features.users import NO_ITEM, UserBatch
from recsys.recall.bilinear import BilinearConfig, BilinearSource, fit_bilinear
from recsys.recall.learning import Draw, LearningConfig, learn_choices

LogOf = Callable[..., InteractionLog]
UsersOf = Callable[..., UserBatch]

N_ITEMS = 9
LEARNING = LearningConfig(
    n_dimensions=8, n_epochs=60, questions_per_step=16, learning_rate=0.03, weight_decay=0.0, warm_up_steps=5
)
SMALL = BilinearConfig(min_events=2, learning=LEARNING)
CIRCLE = [[(start + step) % 8 for step in range(6)] for start in range(8)] * 3
"""After each item comes the next one; item 8 never comes."""


@pytest.fixture(scope="module")
def circle(log_of: LogOf) -> BilinearSource:
    return fit_bilinear(log_of(CIRCLE, N_ITEMS), SMALL)


def best(source: BilinearSource, users: UserBatch, n: int = 1) -> list[list[int]]:
    named: list[list[int]] = source.search(users, n, users.blocked(N_ITEMS)).item_rows.tolist()
    return named


def test_what_always_comes_next_is_named_first(circle: BilinearSource, users_of: UsersOf) -> None:
    histories = [[(last - 1) % 8, last] for last in range(8)]
    assert best(circle, users_of(histories, excluded=histories)) == [[(last + 1) % 8] for last in range(8)]


def test_the_chances_are_those_of_the_log(log_of: LogOf, users_of: UsersOf) -> None:
    # after item 0 comes 1 three times of four, and 2 once: the odds are 3 to 1
    source = fit_bilinear(log_of([[0, 1], [0, 1], [0, 1], [0, 2]] * 8, 3), SMALL)
    scores = source.score(users_of([[0]]), np.array([[1, 2]], dtype=np.int32))[0]
    assert np.exp(scores[0] - scores[1]) == pytest.approx(3.0, rel=0.2)


def test_an_item_of_few_events_takes_no_part(circle: BilinearSource, users_of: UsersOf) -> None:
    users = users_of([[8], [0, 8]])
    assert circle.score(users, np.array([[1, 8], [1, 8]], dtype=np.int32))[:, 1].tolist() == [0.0, 0.0]
    assert best(circle, users, N_ITEMS)[0] == [NO_ITEM] * N_ITEMS
    assert 8 not in best(circle, users, N_ITEMS)[1]


def test_of_nobody_nothing_is_known(circle: BilinearSource, users_of: UsersOf) -> None:
    everything = np.arange(N_ITEMS, dtype=np.int32)[None, :]
    assert not circle.score(users_of([[]]), everything).any()


def test_a_log_without_a_second_item_teaches_nothing_and_is_no_error(
    log_of: LogOf, users_of: UsersOf
) -> None:
    for histories in ([], [[1]], [[1], [2], [1], [2]]):
        source = fit_bilinear(log_of(histories, N_ITEMS), SMALL)
        assert np.isfinite(source.score(users_of([[1]]), np.array([[2]], dtype=np.int32))).all()


def test_only_the_most_popular_take_part_where_there_are_too_many(log_of: LogOf) -> None:
    log = log_of([[0, 1], [0, 1], [1, 2], [2, 1]], N_ITEMS)
    source = fit_bilinear(log, SMALL.model_copy(update={"max_items": 1}))
    assert source.index.rows.tolist() == [1]


def test_no_more_questions_are_asked_than_allowed(log_of: LogOf) -> None:
    log = log_of(CIRCLE, N_ITEMS)
    allowed = LEARNING.model_copy(update={"max_questions": 16})
    one_epoch = LEARNING.model_copy(update={"n_epochs": 1, "questions_per_step": 120})
    decays = SMALL.decays()
    steps = [learn_choices(log.item_rows, log.offsets, 9, decays, config) for config in (allowed, one_epoch)]
    # one step moves every number by the rate at most (here warmed up to a fifth of it, then nine tenths off)
    start = np.random.default_rng(0).normal(0.0, 0.05, (4, 9, 8)).astype(np.float32)
    for learned in steps:
        assert 0 < np.abs(learned.left - start).max() <= 0.03 / 5


def test_all_items_are_told_from_the_answer_where_they_are_few() -> None:
    draw = Draw.of(np.array([3, 1, 1]), LearningConfig(n_negatives=2))
    columns, log_chances = draw.columns(np.array([0], dtype=np.int32), np.random.default_rng(0))
    assert columns.tolist() == [0, 1, 2]
    assert log_chances.tolist() == [0.0, 0.0, 0.0]


def test_chances_count_the_draws_and_the_answers_of_others() -> None:
    counts = np.array([2, 1, 1, 0])
    draw = Draw.of(counts, LearningConfig(n_negatives=1, popularity_exponent=1.0))
    columns, log_chances = draw.columns(np.array([0], dtype=np.int32), np.random.default_rng(0))
    assert 0 in columns
    assert np.exp(log_chances[0]) == pytest.approx(1 - 0.5 * 0.5)  # neither drawn nor an answer: 1/2 each
