import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.find_limit.search import LimitSearch, Tried, limit_of
from recsys.core.errors import FieldError


def searched(search: LimitSearch, capacity_per_s: float) -> list[Tried]:
    """Search a service that passes below its capacity and fails above."""
    tried: list[Tried] = []
    while (rate := search.next_rate(tried)) is not None:
        tried.append(Tried(rate, rate <= capacity_per_s))
    return tried


@given(st.floats(2.0, 50_000.0), st.floats(1.2, 3.0), st.floats(0.01, 0.2))
def test_the_limit_found_is_within_the_precision_below_the_capacity(
    capacity: float, growth: float, precision: float
) -> None:
    search = LimitSearch(start_per_s=100.0, growth=growth, precision=precision, most_steps=200)
    found = limit_of(searched(search, capacity))
    if found is None:
        assert capacity < 100.0 / growth**7
    else:
        assert found <= capacity <= found * (1 + precision)


def test_the_way_of_a_search_by_hand() -> None:
    search = LimitSearch(start_per_s=100.0, growth=2.0, precision=0.1, most_steps=20)
    rates = [tried.rate_per_s for tried in searched(search, 330.0)]
    assert rates == [100.0, 200.0, 400.0, 300.0, 350.0, 325.0]


def test_a_search_tries_no_more_than_it_may() -> None:
    assert len(searched(LimitSearch(1.0, 1.01, 0.001, 5), 1e9)) == 5


def test_a_rate_that_passed_above_one_that_failed_is_luck_and_no_limit() -> None:
    assert limit_of([Tried(100, True), Tried(200, False), Tried(300, True)]) == 100
    assert limit_of([Tried(100, False)]) is None


def test_a_search_that_cannot_move_is_refused() -> None:
    with pytest.raises(FieldError, match="growth above 1"):
        LimitSearch(start_per_s=100.0, growth=1.0, precision=0.1, most_steps=20)
