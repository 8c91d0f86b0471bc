from dataclasses import dataclass

from deployments.breaker import Breaker


@dataclass
class FakeClock:
    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_breaker_lets_everything_through_until_so_many_failures_in_a_row() -> None:
    breaker = Breaker(3, 1.0, FakeClock())
    for _ in range(2):
        breaker.failed()
    breaker.succeeded()
    for _ in range(2):
        breaker.failed()
    assert breaker.allows()
    breaker.failed()
    assert not breaker.allows()


def test_after_a_rest_one_call_gets_through_and_then_none_until_it_is_known_how_it_went() -> None:
    clock = FakeClock()
    breaker = Breaker(1, 1.0, clock)
    breaker.failed()
    clock.now_s = 0.9
    assert not breaker.allows()
    clock.now_s = 1.0
    assert [breaker.allows(), breaker.allows()] == [True, False]
    breaker.succeeded()
    assert [breaker.allows(), breaker.allows()] == [True, True]


def test_a_try_that_fails_begins_another_rest() -> None:
    clock = FakeClock()
    breaker = Breaker(1, 1.0, clock)
    breaker.failed()
    clock.now_s = 1.0
    assert breaker.allows()
    clock.now_s = 1.5
    breaker.failed()
    clock.now_s = 2.4
    assert not breaker.allows()
    clock.now_s = 2.5
    assert breaker.allows()
