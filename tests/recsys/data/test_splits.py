import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.core.errors import FieldError
from recsys.data.log import InteractionLog
from recsys.data.splits import Split, cut_for, each_of_the_last, global_time, leave_last_out

History = list[tuple[int, float]]


def log_of(*histories: History, n_items: int = 10) -> InteractionLog:
    """Each history is a list of (item row, time), old to new."""
    flat = [pair for history in histories for pair in history]
    return InteractionLog(
        np.concatenate([[0], np.cumsum([len(history) for history in histories])]).astype(np.int64),
        np.array([item for item, _ in flat], dtype=np.int32),
        np.array([time_s for _, time_s in flat], dtype=np.float64),
        np.zeros(len(flat), dtype=np.int16),
        tuple(f"u{user}" for user in range(len(histories))),
        (),
        n_items,
    )


def targets(split: Split) -> dict[int, list[int]]:
    """User row -> item rows asked for."""
    return {
        int(user): split.target_rows[split.target_offsets[t] : split.target_offsets[t + 1]].tolist()
        for t, user in enumerate(split.test_users)
    }


class TestLeaveLastOut:
    def test_holds_out_the_last_item_of_each_user_with_two(self) -> None:
        split = leave_last_out(log_of([(1, 10.0), (2, 20.0)], [(3, 5.0)], [(1, 1.0), (4, 2.0), (5, 3.0)]))
        assert targets(split) == {0: [2], 2: [5]}
        assert split.test_stops.tolist() == [1, 5]
        assert split.now_s.tolist() == [20.0, 3.0]
        assert split.train.item_rows.tolist() == [1, 3, 1, 4]
        assert split.train.offsets.tolist() == [0, 1, 2, 4]
        assert split.cold.tolist() == [False, False]

    def test_does_not_ask_for_an_item_the_user_has_seen_and_counts_it(self) -> None:
        split = leave_last_out(log_of([(1, 10.0), (1, 20.0)], [(1, 1.0), (2, 2.0)]))
        assert targets(split) == {1: [2]}
        assert (split.n_seen_targets, split.n_repeated_targets, split.n_untested_users) == (1, 0, 1)

    def test_asks_once_for_an_item_met_twice_after_the_stop(self) -> None:
        split = leave_last_out(log_of([(1, 1.0), (7, 2.0), (7, 3.0)]), n_last=2)
        assert targets(split) == {0: [7]}
        assert split.n_repeated_targets == 1
        assert split.now_s.tolist() == [2.0]

    def test_refuses_to_hold_out_nothing(self) -> None:
        with pytest.raises(FieldError, match="n_last"):
            leave_last_out(log_of([(1, 1.0)]), n_last=0)

    def test_of_an_empty_log_asks_nobody(self) -> None:
        split = leave_last_out(log_of())
        assert len(split) == 0
        assert split.target_offsets.tolist() == [0]


class TestGlobalTime:
    def test_an_event_at_the_cut_is_the_future(self) -> None:
        split = global_time(log_of([(1, 9.0), (2, 10.0), (3, 11.0)], [(4, 1.0)]), 10.0)
        assert targets(split) == {0: [2, 3]}
        assert split.train.item_rows.tolist() == [1, 4]
        assert split.now_s.tolist() == [10.0]

    def test_marks_users_who_first_come_after_the_cut(self) -> None:
        split = global_time(log_of([(1, 20.0)], [(2, 1.0), (3, 20.0)]), 10.0)
        assert split.cold.tolist() == [True, False]
        assert split.test_stops.tolist() == [0, 2]
        assert split.train.lengths.tolist() == [0, 1]

    def test_refuses_a_cut_that_is_no_time(self) -> None:
        with pytest.raises(FieldError, match="cut_s"):
            global_time(log_of([(1, 1.0)]), float("nan"))


class TestCutFor:
    def test_a_tenth_of_ten_positions_is_the_last_one(self) -> None:
        log = log_of([(t, float(t)) for t in range(10)])
        assert cut_for(log, 0.1) == 9.0
        assert global_time(log, cut_for(log, 0.3)).test_stops.tolist() == [7]

    @pytest.mark.parametrize("share", [0.0, 1.0, -0.5])
    def test_refuses_a_share_that_leaves_one_side_empty(self, share: float) -> None:
        with pytest.raises(FieldError, match="test_share"):
            cut_for(log_of([(1, 1.0)]), share)


histories = st.lists(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 20)), min_size=1, max_size=8).map(
        lambda pairs: [(item, float(t)) for item, t in sorted(pairs, key=lambda pair: pair[1])]
    ),
    max_size=6,
)


@given(histories, st.integers(1, 3), st.integers(0, 21), st.booleans())
def test_no_split_asks_for_what_it_showed_or_loses_a_position(
    users: list[History], n_last: int, cut: int, by_time: bool
) -> None:
    log = log_of(*users)
    split = global_time(log, float(cut)) if by_time else leave_last_out(log, n_last)
    n_held_out = split.n_targets + split.n_seen_targets + split.n_repeated_targets
    assert len(split.train.item_rows) + n_held_out == len(log.item_rows)
    for user, asked in targets(split).items():
        start, stop = split.train.offsets[user], split.train.offsets[user + 1]
        assert asked
        assert len(set(asked)) == len(asked)
        assert not set(asked) & set(split.train.item_rows[start:stop].tolist())
    if by_time:
        assert (split.train.times_s < cut).all()


class TestEachOfTheLast:
    def test_asks_each_of_the_last_positions_with_all_before_it_as_history(self) -> None:
        split = each_of_the_last(log_of([(1, 10.0), (2, 20.0), (3, 30.0)], [(4, 1.0), (5, 2.0)]), 2)
        assert split.test_users.tolist() == [0, 0]
        assert split.test_stops.tolist() == [1, 2]
        assert split.target_rows.tolist() == [2, 3]
        assert split.now_s.tolist() == [20.0, 30.0]
        assert split.train.item_rows.tolist() == [1, 4, 5]  # who has no more than two is not asked

    def test_an_item_met_before_is_no_question(self) -> None:
        split = each_of_the_last(log_of([(1, 1.0), (1, 2.0), (2, 3.0), (2, 4.0)]), 3)
        assert split.target_rows.tolist() == [2]
        assert (split.n_seen_targets, split.n_repeated_targets) == (1, 1)

    def test_one_position_is_leave_last_out(self) -> None:
        log = log_of([(1, 10.0), (2, 20.0)], [(3, 5.0)], [(1, 1.0), (4, 2.0), (5, 3.0)], [(1, 1.0), (1, 2.0)])
        one, other = each_of_the_last(log, 1), leave_last_out(log)
        assert targets(one) == targets(other)
        assert one.test_stops.tolist() == other.test_stops.tolist()
        assert one.train.item_rows.tolist() == other.train.item_rows.tolist()

    def test_nothing_held_out_is_refused(self) -> None:
        with pytest.raises(FieldError):
            each_of_the_last(log_of([(1, 1.0)]), 0)
