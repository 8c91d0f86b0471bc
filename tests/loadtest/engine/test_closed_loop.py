import pytest

from loadtest.engine.run import drive_closed, get, post
from loadtest.transports.kinds import TRANSPORTS
from recsys.core.errors import FieldError
from tests.loadtest.conftest import CLOSE, Step, answer, list_of, serving

ASK = [post("recommend", "/recommend", b'{"user_id":"1"}'), get("popular", "/popular")]


@pytest.mark.parametrize("transport", sorted(TRANSPORTS))
class TestClosedLoop:
    def test_every_request_that_the_server_saw_is_counted_once(self, transport: str) -> None:
        with serving(lambda _: [answer(list_of("1", "2"))]) as server:
            result = drive_closed(server.url, ASK, connections=4, duration_s=0.3, transport=transport)
        assert result.total.n_good == len(server.asked) > 8
        assert result.cut == 0
        assert (result.total.n_failed, result.total.n_shed, result.total.n_degraded) == (0, 0, 0)
        calls = result.tally.by("call")
        assert calls["recommend"].n_good - calls["popular"].n_good in (0, 1)
        assert result.total.latency.n == result.total.service.n == result.total.n_good
        assert result.tally.bundles == {"b1": result.total.n_good}

    def test_it_keeps_as_many_under_way_as_asked_for_and_no_more(self, transport: str) -> None:
        with serving(lambda _: [0.05, answer()]) as server:
            result = drive_closed(server.url, ASK, connections=8, duration_s=0.3, transport=transport)
        assert {asked.connection for asked in server.asked} == set(range(8))
        assert result.mode == "closed loop, 8 connections"

    def test_bad_ends_are_counted_by_kind_apart_from_good_ones(self, transport: str) -> None:
        ends: list[tuple[Step, ...]] = [
            (answer(list_of("1", arm="a")),),
            (answer(b"sorry", "500 Internal Server Error"),),
            (answer(b"", "503 Busy", "Retry-After: 1"),),
            (answer(b"", "429 Slow Down"),),
            (answer(list_of("1", arm="b", degraded=True)),),
            (CLOSE,),
        ]
        n_asked = iter(range(10**9))
        with serving(lambda _: ends[next(n_asked) % len(ends)]) as server:
            result = drive_closed(server.url, ASK, connections=1, duration_s=0.5, transport=transport)
        rounds = len(server.asked) // len(ends)
        assert rounds >= 1
        total = result.total
        assert total.n == len(server.asked)
        assert total.failures.keys() == {"status 500", "closed"}
        assert abs(total.failures["status 500"] - rounds) <= 1
        assert abs(total.n_shed - 2 * rounds) <= 2
        assert abs(total.n_shed_with_advice - rounds) <= 1
        assert abs(total.n_degraded - rounds) <= 1
        assert set(result.tally.by("arm")) == {"", "a", "b"}
        assert result.tally.examples["status 500"] == "sorry"


def test_a_stall_hides_in_a_closed_loop() -> None:
    n_asked = iter(range(10**9))
    with serving(lambda _: [0.4 if next(n_asked) == 20 else 0.0, answer()]) as server:
        result = drive_closed(server.url, ASK, connections=1, duration_s=0.8)
    assert result.total.n > 110
    assert result.total.latency.max_s() >= 0.4
    assert result.latency_ms(99) < 400  # one request among more than a hundred: who looks at p99 sees nothing


def test_nobody_listening_is_a_failure_per_try_and_not_a_busy_loop() -> None:
    result = drive_closed("http://127.0.0.1:9", ASK, connections=2, duration_s=0.2)
    assert result.total.n_good == 0
    assert set(result.total.failures) == {"connect"}
    assert result.total.n_failed <= 2 * 0.2 / 0.01 + 2
    assert str(result.latency_ms(50)) == "nan"


def test_lean_refuses_https() -> None:
    with pytest.raises(FieldError, match="lean speaks plain http only"):
        drive_closed("https://127.0.0.1:9", ASK, connections=1, duration_s=0.1)
