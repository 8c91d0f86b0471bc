from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.core.errors import InputError
from tuning.choice import choose, pareto_front
from tuning.journal import Ended, Outcome
from tuning.objectives import Objective

RowOf = Callable[..., Ended]
BOTH = (Objective.NDCG, Objective.LATENCY)


def numbers(rows: list[Ended]) -> list[int]:
    return [row.number for row in rows]


def test_the_front_is_what_nobody_beats_in_everything(row_of: RowOf) -> None:
    rows = [row_of(0, 0.2, 3.0), row_of(1, 0.1, 1.0), row_of(2, 0.15, 3.5), row_of(3, 0.3, 9.0)]
    assert numbers(pareto_front(rows, BOTH)) == [0, 1, 3]
    assert numbers(pareto_front(rows, (Objective.NDCG,))) == [3]


def test_only_finished_trials_are_on_the_front(row_of: RowOf) -> None:
    rows = [row_of(0, 0.9, outcome=Outcome.STOPPED), row_of(1, 0.1), row_of(2, outcome=Outcome.FAILED)]
    assert numbers(pareto_front(rows, BOTH)) == [1]


def test_of_equal_trials_the_first_is_on_the_front(row_of: RowOf) -> None:
    assert numbers(pareto_front([row_of(1, 0.1), row_of(0, 0.1)], BOTH)) == [0]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=12))
def test_whoever_is_not_on_the_front_is_beaten_by_one_who_is(
    row_of: RowOf, figures: list[tuple[int, int]]
) -> None:
    rows = [row_of(number, ndcg, ms) for number, (ndcg, ms) in enumerate(figures)]
    front = [figures[number] for number in numbers(pareto_front(rows, BOTH))]
    assert len(set(front)) == len(front)
    for ndcg, ms in figures:
        assert any(other >= ndcg and quick <= ms for other, quick in front)
    for ndcg, ms in front:
        assert not any(
            other >= ndcg and quick <= ms and (other, quick) != (ndcg, ms) for other, quick in figures
        )


def test_the_best_is_chosen_the_least_where_less_is_better(row_of: RowOf) -> None:
    rows = [row_of(0, 0.2, 3.0), row_of(1, 0.1, 1.0), row_of(2, 0.2, 2.0)]
    assert choose(rows, Objective.NDCG).number == 0
    assert choose(rows, Objective.LATENCY).number == 1


def test_the_best_within_the_limit_is_chosen(row_of: RowOf) -> None:
    rows = [row_of(0, 0.3, 3.0), row_of(1, 0.1, 1.0), row_of(2, 0.2, 2.0)]
    assert choose(rows, Objective.NDCG, max_latency_ms=2.0).number == 2
    with pytest.raises(InputError, match=r"within 0\.5 ms .* the quickest takes 1 ms"):
        choose(rows, Objective.NDCG, max_latency_ms=0.5)


def test_a_sweep_where_all_fail_says_so_with_the_first_error(row_of: RowOf) -> None:
    rows = [row_of(number, outcome=Outcome.FAILED, error=f"broken {number}") for number in range(3)]
    with pytest.raises(InputError, match="3 of 3 failed, the first: broken 0"):
        choose(rows, Objective.NDCG)
    with pytest.raises(InputError, match="give the search more minutes"):
        choose([], Objective.NDCG)
