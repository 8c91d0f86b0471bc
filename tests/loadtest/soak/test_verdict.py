"""Rows of histories that are made up."""

from collections.abc import Callable

from loadtest.soak.memory import Held, History
from loadtest.soak.verdict import rows

MB = 1 << 20


def history(own_mb: Callable[[float], float], name: str = "router", seconds: int = 400) -> History:
    at_s = [float(second) for second in range(seconds)]
    return History(name, 7, at_s, [Held(int(own_mb(second) * MB), 3 * MB) for second in at_s])


def test_growth_during_the_warm_up_is_none() -> None:
    [row] = rows([history(lambda second: 100 + min(second, 100.0))], warm_up_s=110.0, until_s=400.0)
    assert (row.at_rest, row.after, row.peak, row.shared) == (100.0, 200.0, 200.0, 3.0)
    assert (row.warm, row.rise) == (200.0, 0.0)
    assert row.per_hour is not None
    assert row.per_hour.slope == 0.0
    assert not row.grows(0.0)


def test_a_leak_of_a_megabyte_a_minute_is_sixty_an_hour() -> None:
    [row] = rows([history(lambda second: 100 + second / 60)], warm_up_s=100.0, until_s=400.0)
    assert row.per_hour is not None
    assert abs(row.per_hour.slope - 60.0) < 0.1
    assert abs(row.rise - 299 / 60) < 0.01
    assert row.grows(30.0)
    assert not row.grows(100.0)


def test_a_process_that_lived_for_a_moment_has_no_trend_but_a_row() -> None:
    [row] = rows([history(lambda _: 50.0, seconds=30)], warm_up_s=0.0, until_s=400.0)
    assert row.per_hour is None
    assert not row.grows(0.0)


def test_what_belongs_to_somebody_else_has_no_row() -> None:
    assert rows([history(lambda _: 1.0, name="something else")], warm_up_s=0.0, until_s=400.0) == []
