from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from recsys.data.log import InteractionLog
from recsys.evaluation.baselines.validation import best_setting, hold_out_last
from recsys.features.users import UserBatch

LogOf = Callable[[list[list[tuple[int, float]]], int], InteractionLog]
HISTORIES = [[(0, 1.0), (1, 2.0), (2, 3.0)], [(3, 1.0), (0, 2.0)], [(0, 1.0), (3, 2.0), (2, 9.0)]]


@dataclass(frozen=True)
class Always:
    """Names one list for everybody."""

    item_rows: tuple[int, ...]

    def top(self, users: UserBatch, n: int) -> NDArray[np.int32]:
        padded = (*self.item_rows, *[-1] * n)[:n]
        return np.tile(np.array(padded, dtype=np.int32), (len(users), 1))


def test_the_last_position_of_every_user_with_three_is_held_out(log_of: LogOf) -> None:
    held_out = hold_out_last(log_of(HISTORIES, 4))
    assert held_out.past.item_rows.tolist() == [0, 1, 3, 0, 0, 3]
    assert held_out.past.lengths.tolist() == [2, 2, 2]
    assert held_out.targets.rows.tolist() == [2, 2]
    latest = {tuple(row) for row in held_out.users.history_rows[:, :2].tolist()}
    assert latest == {(1, 0), (3, 0)}
    assert sorted(held_out.users.now_s.tolist()) == [3.0, 9.0]


def test_of_few_users_up_to_a_fifth_of_the_history_is_held_out_each_question_knowing_all_before(
    log_of: LogOf,
) -> None:
    log = log_of([[(step % 3, float(step)) for step in range(11)], [(0, 1.0), (2, 1.5), (1, 2.0)]], 3)
    held_out = hold_out_last(log)
    assert held_out.past.lengths.tolist() == [9, 2]
    asked = sorted(zip(held_out.users.now_s.tolist(), held_out.targets.rows.tolist(), strict=True))
    assert asked == [(2.0, 1), (9.0, 0), (10.0, 1)]
    assert sorted(held_out.users.n_positive.tolist()) == [2, 9, 10]


def test_users_who_are_not_asked_keep_their_last_position(log_of: LogOf) -> None:
    held_out = hold_out_last(log_of(HISTORIES, 4), n_questions=1)
    assert len(held_out.users) == 1
    assert len(held_out.past.item_rows) == 7


def test_quality_is_the_mean_ndcg_of_the_first_ten(log_of: LogOf) -> None:
    held_out = hold_out_last(log_of([*HISTORIES[:2], [(0, 1.0), (1, 2.0), (3, 3.0)]], 4))
    assert sorted(held_out.targets.rows.tolist()) == [2, 3]
    assert held_out.quality(Always((3, 2))) == pytest.approx((1 + 1 / np.log2(3)) / 2)
    assert held_out.quality(Always((0,))) == 0.0


def test_the_best_setting_is_taken_and_of_equal_ones_the_first(log_of: LogOf) -> None:
    held_out = hold_out_last(log_of(HISTORIES, 4))
    assert best_setting(held_out, [(0,), (3, 2), (2, 3), (2, 0)], Always) == (2, 3)
    assert best_setting(held_out, [(0,), (3,)], Always) == (0,)


def test_with_nobody_to_ask_the_first_setting_is_taken_without_a_fit(log_of: LogOf) -> None:
    held_out = hold_out_last(log_of([[(0, 1.0)], [(1, 1.0), (0, 2.0)]], 2))
    assert np.isnan(held_out.quality(Always((0,))))

    def never(setting: int) -> Always:
        raise AssertionError(setting)

    assert best_setting(held_out, [7, 8], never) == 7
