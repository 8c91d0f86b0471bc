"""A router with a cache against one without: nobody can tell, but for who did the work."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Protocol

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from deployments.cache import AnswerCache
from deployments.cursor import decode_cursor
from deployments.ingress import make_app
from deployments.question import Answer, Question, SessionItem
from deployments.service import Service
from deployments.settings import BatchSettings, CacheSettings
from recsys.data.events import Event, EventKind
from recsys.pipeline.filters import Filters
from recsys.rollout.traffic import TrafficDocument
from recsys.state.store import Applied

NOW_S = 1_000_000.0

question = partial(replace, Question(request_id="r", now_s=NOW_S, top_n=3))


class Stages(Protocol):
    batches: list[int]
    recall: str


class State(Protocol):
    mood: str

    def apply(self, events: Sequence[Event]) -> list[Applied]: ...

    def erase(self, user_id: str, at_s: float) -> None: ...


class Traffic(Protocol):
    document: TrafficDocument


class Replica(Protocol):
    service: Service
    stages: Stages
    state: State
    traffic: Traffic


Replicas = Callable[..., Replica]


def cache(**bounds: float) -> AnswerCache:
    return AnswerCache(CacheSettings.model_validate(bounds), lambda: 0.0)


def answers(replica: Replica, *questions: Question) -> list[Answer]:
    async def run() -> list[Answer]:
        return list(await asyncio.gather(*(replica.service.router.answer(each) for each in questions)))

    return asyncio.run(run())


def ids(answer: Answer) -> list[str]:
    return [item.item_id for item in answer.items]


def watch(user_id: str, item_id: str, event_id: str = "1") -> Event:
    return Event(event_id=event_id, user_id=user_id, kind=EventKind.WATCH, time_s=NOW_S - 9, item_id=item_id)


def test_a_user_with_the_same_history_gets_the_same_list_without_any_work(replica_of: Replicas) -> None:
    replica = replica_of(cache=cache())
    replica.state.apply([watch("ada", "i3")])
    [first] = answers(replica, question(user_id="ada", request_id="1"))
    [second] = answers(replica, question(user_id="ada", request_id="2", now_s=NOW_S + 5))
    assert replica.stages.batches == [1]
    assert (first.cached, second.cached) == (False, True)
    assert second == replace(first, request_id="2", cached=True)


def test_an_event_is_seen_by_the_next_answer(replica_of: Replicas) -> None:
    replica = replica_of(cache=cache())
    [before] = answers(replica, question(user_id="ada"))
    replica.state.apply([watch("ada", ids(before)[0])])
    [after] = answers(replica, question(user_id="ada"))
    assert not after.cached
    assert ids(before)[0] not in ids(after)
    replica.state.erase("ada", NOW_S)
    assert ids(answers(replica, question(user_id="ada"))[0]) == ids(before)


def test_a_stranger_and_a_newcomer_share_the_list_for_those_unknown(replica_of: Replicas) -> None:
    replica = replica_of(cache=cache())
    [nobody] = answers(replica, question())
    [newcomer] = answers(replica, question(user_id="new"))
    assert (nobody.cached, newcomer.cached) == (False, True)
    assert ids(newcomer) == ids(nobody)


def test_without_user_state_a_user_neither_gets_nor_leaves_a_list(replica_of: Replicas) -> None:
    replica = replica_of(cache=cache())
    replica.state.apply([watch("ada", "i3")])
    answers(replica, question(user_id="ada"), question())
    replica.state.mood = "down"
    [ada, nobody] = answers(replica, question(user_id="ada"), question())
    assert [missing.stage for missing in ada.degraded] == ["state"]
    assert (ada.cached, nobody.cached) == (False, True)
    replica.state.mood = "well"
    [again] = answers(replica, question(user_id="ada"))
    assert again.cached  # the list from before, not the degraded one
    assert "i3" not in ids(again)


def test_a_degraded_list_is_not_kept(replica_of: Replicas) -> None:
    replica = replica_of(cache=cache(), recall="down")
    assert ids(answers(replica, question())[0]) == ["i3", "i1", "i4"]
    replica.stages.recall = "well"
    [well] = answers(replica, question())
    assert (well.cached, well.degraded, ids(well)) == (False, [], ["i3", "i4", "i5"])


def test_a_batch_asks_the_stages_once_for_what_is_the_same_and_not_for_what_is_known(
    replica_of: Replicas,
) -> None:
    replica = replica_of(cache=cache(), batch=BatchSettings(max_size=8))
    answers(replica, question(top_n=2))
    found = answers(replica, question(top_n=2), question(), question(user_id="new"), question(top_n=4))
    assert replica.stages.batches == [1, 2]
    assert [len(answer.items) for answer in found] == [2, 3, 3, 4]
    assert [answer.cached for answer in found] == [True, False, True, False]


def test_a_new_traffic_document_that_changes_no_list_keeps_them(replica_of: Replicas) -> None:
    replica = replica_of(cache=cache())
    answers(replica, question())
    replica.traffic.document = replica.traffic.document.successor(updated_s=1.0, updated_by="test")
    asyncio.run(replica.service.traffic.look())
    assert answers(replica, question())[0].cached


def test_an_experiment_that_turns_a_knob_makes_lists_anew(replica_of: Replicas) -> None:
    replica = replica_of(cache=cache())
    answers(replica, question())
    arms = [{"arm": "control", "share": 0.0}, {"arm": "varied", "share": 1.0, "knobs": {"variety": 0.5}}]
    experiment = {"name": "variety", "salt": "v", "arms": arms, "started_s": 0.0}
    replica.traffic.document = replica.traffic.document.successor(
        updated_s=1.0, updated_by="test", experiments=[experiment]
    )
    asyncio.run(replica.service.traffic.look())
    [answer] = answers(replica, question())
    assert (answer.cached, answer.experiments) == (False, {"variety": "varied"})


def test_a_popular_list_is_made_once(replica_of: Replicas) -> None:
    router = replica_of(cache=cache()).service.router
    first, second = router.popular(question()), router.popular(question(request_id="2", user_id="ada"))
    assert (first.cached, second.cached) == (False, True)
    assert ids(second) == ids(first) == ["i3", "i1", "i4"]
    for _ in range(2):
        assert not router.popular(question(exclude_ids=("i3",))).cached


def counted(kind: str, found: str) -> float:
    return REGISTRY.get_sample_value("marquee_cache_total", {"kind": kind, "found": found}) or 0.0


def test_hits_and_misses_are_counted_by_kind(replica_of: Replicas) -> None:
    replica = replica_of(cache=cache(), batch=BatchSettings(max_size=8))
    replica.state.apply([watch("ada", "i3")])
    wanted = [
        ("unchanged", "miss"),
        ("cold", "miss"),
        ("cold", "shared"),
        ("none", "left_out"),
        ("unchanged", "hit"),
    ]
    before = [counted(*one) for one in wanted]
    answers(replica, question(user_id="ada"), question(), question(), question(exclude_ids=("i1",)))
    answers(replica, question(user_id="ada"))
    assert [counted(*one) - was for one, was in zip(wanted, before, strict=True)] == [1, 1, 1, 1, 1]


def over_http(replica: Replica, *calls: tuple[str, str]) -> list[httpx.Response]:
    async def run() -> list[httpx.Response]:
        transport = httpx.ASGITransport(make_app(replica.service))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return [await client.request(method, path) for method, path in calls]

    return asyncio.run(run())


def test_an_answer_says_whether_it_was_cached_and_metrics_what_is_held(replica_of: Replicas) -> None:
    replica = replica_of(cache=cache())
    first, second, metrics = over_http(
        replica, ("GET", "/recommend/new"), ("GET", "/recommend/new"), ("GET", "/metrics")
    )
    assert [first.json()["cached"], second.json()["cached"]] == [False, True]
    assert "marquee_cache_entries 1.0\n" in metrics.text


def test_whoever_is_erased_has_nothing_left_in_the_cache(replica_of: Replicas) -> None:
    replica = replica_of(cache=cache())
    replica.state.apply([watch("ada", "i3"), watch("bob", "i3")])
    over_http(replica, ("GET", "/recommend/ada"), ("GET", "/recommend/bob"), ("DELETE", "/users/ada"))
    assert replica.service.router.cache.n_entries == 1


@dataclass(frozen=True)
class Step:
    """Something that happens: an event, an erasure, or a batch of questions."""

    events: tuple[Event, ...] = ()
    erased: str | None = None
    questions: tuple[Question, ...] = ()
    follow: bool = False  # ask for the next page of each


event_ids = st.sampled_from([str(number) for number in range(20)])
users = st.sampled_from(["ada", "bob"])
items = st.sampled_from([f"i{row}" for row in range(3, 11)])  # each of them changes the list
numbers = count()


@st.composite
def events(draw: st.DrawFn) -> Event:
    kind = draw(st.sampled_from([EventKind.WATCH, EventKind.WATCH, EventKind.SKIP, EventKind.RETRACTION]))
    event_id = draw(event_ids)
    time_s = NOW_S - draw(st.integers(1, 9))
    user_id = draw(users)
    if kind is EventKind.RETRACTION:
        retracts = draw(event_ids)
        return Event(event_id=f"r{event_id}", user_id=user_id, kind=kind, time_s=time_s, retracts=retracts)
    return Event(event_id=event_id, user_id=user_id, kind=kind, time_s=time_s, item_id=draw(items))


VARIATIONS: list[dict[str, object]] = [
    {},  # the commonest: most questions should meet an entry
    {"top_n": 2},
    {"session": (SessionItem("i2"),)},
    {"session": (SessionItem("i3", positive=False),)},
    {"exclude_ids": ("i4",)},
    {"context": "home"},
    {"filters": Filters(tags_any=("even",))},
    {"variety": 0.7},
    {"explain": True},
]
asked = st.builds(
    lambda user_id, variation: question(user_id=user_id, **variation),
    st.none() | users,
    st.sampled_from(VARIATIONS + 6 * VARIATIONS[:1]),
)
steps = st.one_of(
    st.builds(Step, events=st.lists(events(), min_size=1, max_size=2).map(tuple)),
    st.builds(Step, erased=users),
    st.builds(Step, questions=st.tuples(asked)),
    st.builds(Step, questions=st.lists(asked, min_size=1, max_size=6).map(tuple), follow=st.booleans()),
)


AFTER_EVERY_STEP = [
    question(user_id="ada"),
    question(user_id="bob"),
    question(user_id="ada", session=(SessionItem("i3", positive=False),)),
]


def lists(replica: Replica, step: Step) -> list[object]:
    """Do a step; return what was answered, without what may differ."""
    if step.events:
        replica.state.apply(step.events)
    if step.erased is not None:
        replica.state.erase(step.erased, NOW_S - 5)
        replica.service.router.forget(step.erased)
    found = answers(replica, *step.questions)
    if step.follow:
        following = [
            replace(each, shown=decode_cursor(answer.cursor))
            for each, answer in zip(step.questions, found, strict=True)
            if answer.cursor is not None
        ]
        found += answers(replica, *following)
    found += answers(replica, *AFTER_EVERY_STEP)
    return [replace(answer, cached=False) for answer in found]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=50)
@given(steps=st.lists(steps, min_size=3, max_size=15), max_entries=st.sampled_from([2, 100]))
def test_whatever_happens_a_cached_router_answers_as_one_without(
    replica_of: Replicas, steps: list[Step], max_entries: int
) -> None:
    number = next(numbers)
    with_cache = replica_of(cache=cache(max_entries=max_entries), database=f"with-{number}.db")
    without = replica_of(database=f"without-{number}.db")
    for step in steps:
        assert lists(with_cache, step) == lists(without, step)


@pytest.mark.parametrize("user_id", ["ada", None])
def test_off_means_that_every_list_is_computed(replica_of: Replicas, user_id: str | None) -> None:
    replica = replica_of(cache=cache(enabled=False))
    for _ in range(3):
        answers(replica, question(user_id=user_id))
    assert replica.stages.batches == [1, 1, 1]
