from collections import Counter

import orjson
import pytest
from scipy.stats import binom

from loadtest.traffic.model import AudienceTraffic, item_ids_of
from loadtest.traffic.settings import Items, Mix, TrafficSettings, Users, Visits, parse_mix
from loadtest.transports.exchange import Exchange, Failure, Request
from recsys.core.errors import FieldError, InputError
from tests.loadtest.conftest import list_of

ITEMS = ("i1", "i2", "i3")


def traffic(settings: TrafficSettings, seed: int = 0, run_id: str = "r") -> AudienceTraffic:
    return AudienceTraffic(settings, ITEMS, seed=(seed,), run_id=run_id)


def answered(request: Request, body: bytes, at_s: float, status: int = 200) -> Exchange:
    exchange = Exchange(request, at_s, at_s)
    exchange.status, exchange.body, exchange.finished_s = status, body, at_s
    return exchange


def within(hits: int, trials: int, share: float) -> bool:
    """Whether so many hits are within one in a million odds."""
    return bool(binom.ppf(5e-7, trials, share) <= hits <= binom.ppf(1 - 5e-7, trials, share))


def test_the_same_seed_asks_the_same_and_another_one_does_not() -> None:
    settings = TrafficSettings(mix=parse_mix("recommend=3,similar=1,popular=1,events=1"), session_items=2)

    def asked(seed: int) -> list[tuple[str, bytes]]:
        source = traffic(settings, seed)
        return [(r.path, r.body) for r in (source.next_request(0.0) for _ in range(200))]

    assert asked(1) == asked(1)
    assert asked(1) != asked(2)


def test_calls_come_as_often_as_their_weights_say() -> None:
    source = traffic(TrafficSettings(mix=parse_mix("recommend=6,recommend_get=2,similar=1,popular=1")))
    calls = Counter(source.next_request(0.0).call for _ in range(10_000))
    assert set(calls) == {"recommend", "recommend_get", "similar", "popular"}
    assert within(calls["recommend"], 10_000, 0.6)
    assert within(calls["popular"], 10_000, 0.1)


def test_users_follow_zipf_and_cold_ones_come_once() -> None:
    settings = TrafficSettings(users=Users(n_users=100, zipf_exponent=1.0, cold_share=0.2, prefix="u"))
    source = traffic(settings)
    requests = [source.next_request(0.0) for _ in range(10_000)]
    users = Counter(orjson.loads(request.body)["user_id"] for request in requests)
    cold = {user: n for user, n in users.items() if user.startswith("cold-r-")}
    assert set(cold.values()) == {1}
    assert within(len(cold), 10_000, 0.2)
    first = 1 / sum(1 / rank for rank in range(1, 101))
    assert within(users["u0"], 10_000, 0.8 * first)
    assert within(users["u9"], 10_000, 0.8 * first / 10)
    assert Counter(request.audience for request in requests)["cold"] == len(cold)


def test_two_runs_never_share_a_cold_user() -> None:
    settings = TrafficSettings(users=Users(cold_share=1.0))
    ids = [{traffic(settings, run_id=run).next_request(0.0).body for _ in range(5)} for run in ("a", "b")]
    assert not ids[0] & ids[1]


def test_a_visit_acts_on_the_answer_after_a_while_then_asks_again() -> None:
    settings = TrafficSettings(visits=Visits(share=1.0, n_rounds=50.0, n_events=2, think_s=1.0))
    source = traffic(settings)
    first = source.next_request(0.0)
    source.answered(answered(first, list_of("7", "8", "9"), at_s=10.0))
    assert source.next_request(10.0).session is not first.session  # still thinking: somebody else's turn
    events = source.next_request(1_000.0)
    assert (events.call, events.path, events.session) == ("events", "/events", first.session)
    user_id = orjson.loads(first.body)["user_id"]
    sent = orjson.loads(events.body)
    assert [(e["user_id"], e["item_id"], e["request_id"]) for e in sent] == [
        (user_id, "7", "r1"),
        (user_id, "8", "r1"),
    ]
    assert {e["kind"] for e in sent} <= {"watch", "click", "skip"}
    assert len({e["event_id"] for e in sent}) == 2
    source.answered(answered(events, b"{}", at_s=1_000.0, status=202))
    again = source.next_request(10_000.0)
    assert (again.call, orjson.loads(again.body)["user_id"]) == ("recommend", user_id)


@pytest.mark.parametrize(("status", "failure"), [(500, None), (503, None), (0, Failure.TIMEOUT)])
def test_a_visit_without_a_good_answer_is_over(status: int, failure: Failure | None) -> None:
    source = traffic(TrafficSettings(visits=Visits(share=1.0)))
    first = source.next_request(0.0)
    exchange = answered(first, b"", 1.0, status)
    exchange.failure = failure
    source.answered(exchange)
    assert source.next_request(1e6).session is not first.session


def test_visits_are_as_long_as_asked_for_on_average() -> None:
    source = traffic(TrafficSettings(visits=Visits(share=1.0, n_rounds=4.0, think_s=0.001)))
    visits: dict[int, object] = {}  # kept alive, so that no id is used twice
    n_recommended = 0
    for now_s in range(40_000):
        request = source.next_request(float(now_s))
        visits[id(request.session)] = request.session
        n_recommended += request.call == "recommend"
        status = 200 if request.call == "recommend" else 202
        source.answered(answered(request, list_of("1"), float(now_s), status))
    # rounds are geometric with mean 4 and standard deviation sqrt(12): within five of their mean's
    assert len(visits) > 1_000
    assert abs(n_recommended / len(visits) - 4.0) < 5 * (12 / len(visits)) ** 0.5


def test_requests_carry_what_the_settings_say() -> None:
    settings = TrafficSettings(top_n=7, session_items=2, explain_share=1.0, context="home page")
    body = orjson.loads(traffic(settings).next_request(0.0).body)
    assert body.keys() == {"user_id", "top_n", "session", "context", "explain"}
    assert (body["top_n"], body["context"], body["explain"], len(body["session"])) == (
        7,
        "home page",
        True,
        2,
    )
    only_get = settings.model_copy(update={"mix": parse_mix("recommend_get=1")})
    assert traffic(only_get).next_request(0.0).path.endswith("?top_n=7&context=home%20page")


def test_ids_are_quoted_in_paths() -> None:
    source = AudienceTraffic(TrafficSettings(mix=parse_mix("similar=1")), ("a/b c",), seed=(0,), run_id="r")
    assert source.next_request(0.0).path == "/similar/a%2Fb%20c?top_n=10"


def test_traffic_that_names_items_needs_some() -> None:
    with pytest.raises(InputError, match="none are known"):
        AudienceTraffic(TrafficSettings(mix=parse_mix("similar=1")), (), seed=(0,), run_id="r")


def test_items_are_read_from_a_list_and_from_nothing_else() -> None:
    assert item_ids_of(list_of("3", "4")) == ("3", "4")
    for junk in (b"", b"[]", b'{"items":[1]}', b"<html>"):
        with pytest.raises(FieldError, match="a JSON object with items"):
            item_ids_of(junk)


def test_a_mix_is_read_from_a_flag() -> None:
    assert parse_mix("recommend=8, popular") == Mix(recommend=8, popular=1)
    with pytest.raises(InputError, match="got call 'recomend'; expected recommend,"):
        parse_mix("recomend=1")
    with pytest.raises(InputError, match="got weight 'x' of popular"):
        parse_mix("popular=x")


def test_items_given_are_used_without_asking() -> None:
    assert not TrafficSettings(items=Items(n_items=3)).needs_items
