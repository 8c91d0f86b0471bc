"""Requests are sorted by hand."""

import math

import pytest

from loadtest.swap.windows import Ended, Swap, compare

SWAPS = [Swap(10.0, 11.0), Swap(20.0, 21.0)]


def test_requests_belong_to_the_window_in_which_they_were_due() -> None:
    ended = [
        Ended(4.9, 1.0),  # long before
        Ended(5.0, 2.0),
        Ended(9.9, 3.0),  # before, however long it took
        Ended(10.0, 4.0),
        Ended(14.9, 5.0),
        Ended(15.0, 6.0),
        Ended(24.9, 7.0),
        Ended(25.0, 8.0),  # long after
    ]
    found = compare(ended, SWAPS, 5.0)
    assert found.before == (2.0, 3.0, 6.0)
    assert found.during == (4.0, 5.0, 7.0)


def test_the_ratio_is_that_of_percentiles() -> None:
    ended = [Ended(9.0, 0.010)] * 100 + [Ended(11.0, 0.025)] * 100
    assert compare(ended, SWAPS[:1], 5.0).ratio(99) == pytest.approx(2.5)


def test_without_requests_there_is_no_ratio() -> None:
    assert math.isnan(compare([Ended(11.0, 1.0)], SWAPS[:1], 5.0).ratio(99))
