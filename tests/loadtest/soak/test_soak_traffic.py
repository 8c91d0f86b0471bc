"""The mix of a soak."""

from collections import Counter

import orjson

from loadtest.soak.traffic import SoakTraffic

N = 10_000


def test_calls_come_in_their_shares() -> None:
    traffic = SoakTraffic(100, 1_000, seed=0, mix={"recommend": 0.5, "events": 0.5})
    calls = Counter(traffic.next_request(0.0).call for _ in range(N))
    assert abs(calls["recommend"] - N / 2) < 250  # five standard deviations: once in two million


def test_no_event_has_the_id_of_another_not_even_of_another_run() -> None:
    found = []
    for seed in (0, 1):
        traffic = SoakTraffic(10, 10, seed=seed, mix={"events": 1.0})
        found += [orjson.loads(traffic.next_request(0.0).body)["event_id"] for _ in range(1_000)]
    assert len(set(found)) == 2_000


def test_users_and_items_are_those_that_there_are() -> None:
    traffic = SoakTraffic(3, 5, seed=0, mix={"events": 1.0})
    events = [orjson.loads(traffic.next_request(0.0).body) for _ in range(500)]
    assert {event["user_id"] for event in events} == {"0", "1", "2"}
    assert {event["item_id"] for event in events} == {"0", "1", "2", "3", "4"}


def test_the_same_seed_asks_the_same() -> None:
    one, other = SoakTraffic(9, 9, seed=4), SoakTraffic(9, 9, seed=4)
    for _ in range(200):
        first, second = one.next_request(0.0), other.next_request(0.0)
        assert (first.path, first.body) == (second.path, second.body)
