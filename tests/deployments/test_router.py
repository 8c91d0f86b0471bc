import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployments.batching import OverloadedError
from deployments.cursor import decode_cursor
from deployments.overload_settings import OverloadSettings, WhenFull
from deployments.question import Answer, Degradation, Question, SessionItem
from deployments.service import Service
from deployments.settings import BatchSettings
from recsys.core.errors import UnavailableError
from recsys.data.events import Event, EventKind
from recsys.pipeline.filters import Filters
from recsys.state.store import Applied

NOW_S = 1_000_000.0
RANKED, BY_RECALL, POPULAR = ["i0", "i1", "i2"], ["i10", "i9", "i8"], ["i3", "i1", "i4"]

question = partial(replace, Question(request_id="r", now_s=NOW_S, top_n=3))


class Stages(Protocol):
    batches: list[int]


class State(Protocol):
    mood: str

    def apply(self, events: Sequence[Event]) -> list[Applied]: ...


class Replica(Protocol):
    """What the fixture makes: a router replica on fakes."""

    service: Service
    stages: Stages
    state: State


Replicas = Callable[..., Replica]


def answers(replica: Replica, *questions: Question) -> list[Answer]:
    async def run() -> list[Answer]:
        return list(await asyncio.gather(*(replica.service.router.answer(each) for each in questions)))

    return asyncio.run(run())


def ids(answer: Answer) -> list[str]:
    return [item.item_id for item in answer.items]


def watched(user_id: str, *item_ids: str) -> list[Event]:
    return [
        Event(event_id=f"e{item}", user_id=user_id, kind=EventKind.WATCH, time_s=NOW_S - 9, item_id=item)
        for item in item_ids
    ]


def test_a_list_is_in_the_order_of_ranking_and_says_who_made_it(replica_of: Replicas) -> None:
    [answer] = answers(replica_of(), question(request_id="abc"))
    # recall names rows 10 to 3 (eight of the eleven available); ranking likes low rows
    assert ids(answer) == ["i3", "i4", "i5"]
    assert [item.position for item in answer.items] == [1, 2, 3]
    assert [item.score for item in answer.items] == [-3.0, -4.0, -5.0]
    assert {item.source for item in answer.items} == {"sequential"}
    assert (answer.request_id, answer.arm, answer.bundle, answer.degraded) == ("abc", "stable", "b" * 16, [])


def test_without_ranking_the_order_of_recall_is_kept(replica_of: Replicas) -> None:
    [answer] = answers(replica_of(ranking="down"), question())
    assert ids(answer) == BY_RECALL
    assert answer.degraded == [Degradation("ranking", "ActorDiedError")]


def test_late_ranking_is_not_waited_for(replica_of: Replicas) -> None:
    [answer] = answers(replica_of(ranking="late"), question())
    assert ids(answer) == BY_RECALL
    assert answer.degraded == [Degradation("ranking", "deadline")]


@pytest.mark.parametrize(("mood", "why"), [("down", "ActorDiedError"), ("late", "deadline")])
def test_without_recall_the_popular_items_are_shown(replica_of: Replicas, mood: str, why: str) -> None:
    [answer] = answers(replica_of(recall=mood), question())
    assert ids(answer) == POPULAR
    assert {item.source for item in answer.items} == {"popularity"}
    assert answer.degraded == [Degradation("recall", why)]


def test_the_popular_list_honours_exclusions_history_session_filters_and_pages(replica_of: Replicas) -> None:
    replica = replica_of(recall="down")
    replica.state.apply(watched("ada", "i4"))
    asked = question(
        user_id="ada",
        exclude_ids=("i2",),
        session=(SessionItem("i0", positive=False),),
        filters=Filters(tags_any=("even",)),
        top_n=2,
    )
    [answer] = answers(replica, asked)
    assert ids(answer) == ["i6", "i8"]  # of the even ones, i4 was watched, i0 skipped, i2 excluded
    assert answer.cursor is not None
    [following] = answers(
        replica, question(shown=decode_cursor(answer.cursor), filters=asked.filters, top_n=9)
    )
    assert ids(following) == ["i4", "i0", "i2", "i10"]


def test_without_user_state_a_user_is_taken_for_anonymous(replica_of: Replicas) -> None:
    replica = replica_of()
    replica.state.apply(watched("ada", "i3"))
    replica.state.mood = "down"
    known, anonymous = answers(replica, question(user_id="ada"), question())
    assert ids(known)[0] == "i3"
    assert known.degraded == [Degradation("state", "not there")]
    assert anonymous.degraded == []


def test_what_a_user_has_met_is_not_shown_again(replica_of: Replicas) -> None:
    replica = replica_of()
    replica.state.apply(watched("ada", "i3", "i5"))
    [answer] = answers(replica, question(user_id="ada"))
    assert not {"i3", "i5"} & set(ids(answer))


def test_a_stage_that_failed_three_times_is_left_alone(replica_of: Replicas) -> None:
    replica = replica_of(recall="down")
    found = [answers(replica, question())[0].degraded[0].why for _ in range(4)]
    assert found == ["ActorDiedError"] * 3 + ["resting after failures"]
    assert len(replica.stages.batches) == 3


def test_questions_that_come_together_share_one_call_per_stage(replica_of: Replicas) -> None:
    replica = replica_of(batch=BatchSettings(max_size=8))
    found = answers(replica, *(question(user_id=f"u{number}", top_n=number + 1) for number in range(5)))
    assert replica.stages.batches == [5]
    assert [len(answer.items) for answer in found] == [1, 2, 3, 4, 5]


def test_what_is_asked_next_to_others_is_answered_as_if_asked_alone(replica_of: Replicas) -> None:
    replica = replica_of()
    asked = [question(top_n=3), question(top_n=9, variety=0.8), question(top_n=3, variety=1.0)]
    together = [ids(answer) for answer in answers(replica, *asked)]
    alone = [ids(answers(replica, each)[0]) for each in asked]
    assert together == alone


def test_a_list_that_recall_leaves_short_is_filled_with_popular_items(replica_of: Replicas) -> None:
    [answer] = answers(replica_of(), question(top_n=11))
    assert ids(answer) == ["i3", "i4", "i5", "i6", "i7", "i8", "i9", "i10", "i1", "i0", "i2"]
    assert [item.source for item in answer.items[8:]] == ["popularity"] * 3
    scores = [item.score for item in answer.items]
    assert scores == sorted(scores, reverse=True)


def test_a_list_is_short_only_when_nothing_else_is_left_and_then_there_is_no_next_page(
    replica_of: Replicas,
) -> None:
    [answer] = answers(replica_of(), question(top_n=12))
    assert (len(answer.items), answer.cursor) == (11, None)


def test_a_reason_is_given_when_asked_for(replica_of: Replicas) -> None:
    session = (SessionItem("i0"),)
    explained, silent = answers(
        replica_of(), question(session=session, explain=True), question(session=session)
    )
    assert explained.items[0].reason == "people who chose Film 0 chose this soon after"
    assert {item.reason for item in silent.items} == {None}


def test_a_router_without_a_bundle_says_so(replica_of: Replicas) -> None:
    with pytest.raises(UnavailableError, match="no bundle is loaded"):
        answers(replica_of(loaded=False), question())


def test_popular_items_need_no_stage_at_all(replica_of: Replicas) -> None:
    replica = replica_of(recall="down", ranking="down", state="down")
    answer = replica.service.router.popular(question(user_id="ada"))
    assert ids(answer) == POPULAR
    assert answer.degraded == []
    assert replica.stages.batches == []


item_ids = st.lists(st.sampled_from([*(f"i{row}" for row in range(12)), "unknown"]), max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    mood=st.sampled_from([("well", "well"), ("well", "down"), ("down", "well")]),
    excluded=item_ids,
    session=item_ids,
    top_n=st.integers(1, 6),
    tag=st.sampled_from([None, "even", "odd"]),
    variety=st.floats(0, 1),
)
def test_pages_never_repeat_never_show_what_is_hidden_and_end_when_all_is_shown(
    replica_of: Replicas,
    mood: tuple[str, str],
    excluded: Sequence[str],
    session: Sequence[str],
    top_n: int,
    tag: str | None,
    variety: float,
) -> None:
    replica = replica_of(recall=mood[0], ranking=mood[1])
    asked = question(
        exclude_ids=tuple(excluded),
        session=tuple(SessionItem(item) for item in session),
        top_n=top_n,
        filters=None if tag is None else Filters(tags_any=(tag,)),
        variety=variety,
    )
    shown: list[str] = []
    while True:
        [answer] = answers(replica, asked)
        shown += ids(answer)
        assert len(answer.items) <= top_n
        if answer.cursor is None:
            break
        asked = replace(asked, shown=decode_cursor(answer.cursor))
    fits = {f"i{row}" for row in range(11) if tag is None or (row % 2 == 0) == (tag == "even")}
    assert sorted(shown) == sorted(fits - set(excluded) - set(session))


@pytest.mark.parametrize("policy", list(WhenFull))
def test_when_too_many_wait_the_policy_decides_who_gets_the_popular_list(
    replica_of: Replicas, policy: WhenFull
) -> None:
    replica = replica_of(
        batch=BatchSettings(max_size=1, max_in_flight=1),
        overload=OverloadSettings(max_recommends=1, when_full=policy),
    )

    async def ask() -> list[Answer | BaseException]:
        asks = (replica.service.router.answer(question(top_n=3, exclude_ids=("i3",))) for _ in range(3))
        return await asyncio.gather(*asks, return_exceptions=True)

    first, *others = asyncio.run(ask())
    assert isinstance(first, Answer)
    assert first.degraded == []
    for other in others:
        if policy is WhenFull.SHED:
            assert isinstance(other, OverloadedError)
        else:
            assert isinstance(other, Answer)
            assert other.degraded == [Degradation("router", "overload")]
            assert ids(other) == ["i1", "i4", "i0"]
