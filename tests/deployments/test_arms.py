"""Users of several arms in one router."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Protocol

import pytest
from prometheus_client import REGISTRY

from deployments.cache import AnswerCache
from deployments.cursor import decode_cursor
from deployments.question import Answer, Question
from deployments.service import Service
from deployments.settings import BatchSettings, CacheSettings
from recsys.core.clock import monotonic_clock
from recsys.core.errors import FieldError
from recsys.rollout.traffic import Interleaving, Kill, Shadow

question = partial(Question, request_id="r", now_s=1_000_000.0, top_n=3)


class Stages(Protocol):
    recall: str
    ranking: str
    batches: list[int]
    upside_down: bool
    hurdle: asyncio.Event | None


class Replica(Protocol):
    """What the fixture makes: a router replica on fakes, ``canary`` the stages of its other lane."""

    service: Service
    stages: Stages
    canary: Stages


Replicas = Callable[..., Replica]
Ramp = Callable[..., None]


def answers(replica: Replica, *questions: Question) -> list[Answer]:
    async def run() -> list[Answer]:
        return list(await asyncio.gather(*(replica.service.router.answer(each) for each in questions)))

    return asyncio.run(run())


def counted(arm: str, what: str) -> float:
    return REGISTRY.get_sample_value("marquee_arm_answers_total", {"arm": arm, "what": what}) or 0.0


def users_of(replica: Replica, n: int = 40) -> dict[str, list[str]]:
    """Return arm -> users of it among u0, u1, ..."""
    in_force = replica.service.in_force()
    found: dict[str, list[str]] = {"stable": [], "canary": []}
    for row in range(n):
        found[in_force.route(question(user_id=f"u{row}")).route.arm].append(f"u{row}")
    return found


def test_each_arm_is_answered_by_its_own_lane_and_bundle(replica_of: Replicas, ramp: Ramp) -> None:
    replica = replica_of()
    ramp(replica, 0.5)
    by_arm = users_of(replica)
    for arm, bundle in (("stable", "b" * 16), ("canary", "c" * 16)):
        found = answers(replica, *(question(user_id=user) for user in by_arm[arm]))
        assert {(answer.arm, answer.bundle, answer.override) for answer in found} == {(arm, bundle, False)}
    assert (sum(replica.stages.batches), sum(replica.canary.batches)) == (
        len(by_arm["stable"]),
        len(by_arm["canary"]),
    )


def test_a_canary_that_hangs_keeps_nobody_of_the_stable_arm_waiting(replica_of: Replicas, ramp: Ramp) -> None:
    replica = replica_of(deadline_s=60.0)
    ramp(replica, 0.5)
    by_arm = users_of(replica)

    async def run() -> list[Answer]:
        replica.canary.hurdle = asyncio.Event()
        router = replica.service.router
        stuck = [asyncio.create_task(router.answer(question(user_id=user))) for user in by_arm["canary"]]
        answered = [await router.answer(question(user_id=user)) for user in by_arm["stable"]]
        assert not any(task.done() for task in stuck)
        replica.canary.hurdle.set()
        await asyncio.gather(*stuck)
        return answered

    assert {answer.arm for answer in asyncio.run(run())} == {"stable"}


@pytest.mark.parametrize(
    ("share", "in_flight"), [(0.0, (3, 1)), (0.01, (3, 1)), (0.25, (2, 1)), (0.5, (1, 1))]
)
def test_lanes_share_the_batches_that_may_be_under_way(
    replica_of: Replicas, ramp: Ramp, share: float, in_flight: tuple[int, int]
) -> None:
    replica = replica_of(deadline_s=60.0, batch=BatchSettings(max_in_flight=3))
    ramp(replica, share)

    async def run() -> None:
        hurdle = replica.stages.hurdle = replica.canary.hurdle = asyncio.Event()
        router = replica.service.router
        tasks = []
        for row in range(40):
            for arm in ("stable", "canary"):
                asked = question(user_id=f"u{row}", wishes={"rollout": arm})
                tasks.append(asyncio.create_task(router.answer(asked)))
            for _ in range(20):
                await asyncio.sleep(0)
        assert (len(replica.stages.batches), len(replica.canary.batches)) == in_flight
        hurdle.set()
        await asyncio.gather(*tasks)

    asyncio.run(run())


def test_a_bug_in_one_arm_is_counted_there_and_fails_nobody_else(replica_of: Replicas, ramp: Ramp) -> None:
    replica = replica_of()
    ramp(replica, 0.5)
    by_arm = users_of(replica)

    def broken(*_: object, **__: object) -> None:
        raise ValueError("an array has another shape")

    replica.canary.start = broken  # type: ignore[attr-defined]  # of the fake
    before = counted("canary", "errors"), counted("stable", "errors")

    async def run() -> list[Answer | BaseException]:
        asked = [question(user_id=by_arm[arm][0]) for arm in ("stable", "canary")]
        router = replica.service.router
        return await asyncio.gather(*(router.answer(each) for each in asked), return_exceptions=True)

    stable, canary = asyncio.run(run())
    assert isinstance(stable, Answer)
    assert isinstance(canary, ValueError)
    assert (counted("canary", "errors"), counted("stable", "errors")) == (before[0] + 1, before[1])


def test_an_arm_is_given_to_who_asks_for_it_and_counted_for_nobody(replica_of: Replicas, ramp: Ramp) -> None:
    replica = replica_of()
    ramp(replica, 0.0)
    before = counted("canary", "answers")
    [answer] = answers(replica, question(user_id="ada", wishes={"rollout": "canary"}))
    assert (answer.arm, answer.bundle, answer.override) == ("canary", "c" * 16, True)
    assert counted("canary", "answers") == before
    with pytest.raises(FieldError, match="got arm 'gold' of rollout; expected one of stable, canary"):
        answers(replica, question(user_id="ada", wishes={"rollout": "gold"}))


def test_what_is_the_matter_with_an_arms_answers_is_counted_there(replica_of: Replicas, ramp: Ramp) -> None:
    replica = replica_of()
    ramp(replica, 1.0)
    replica.canary.ranking = "down"
    before = {what: counted("canary", what) for what in ("answers", "degraded", "short", "empty")}
    answers(replica, question(user_id="ada"))  # without ranking
    answers(replica, question(user_id="ada", top_n=9))  # recall names eight: one is filled in
    everything = tuple(f"i{row}" for row in range(12))
    answers(replica, question(user_id="ada", exclude_ids=everything))  # nothing is left
    after = {what: counted("canary", what) - before[what] for what in before}
    assert after == {"answers": 3, "degraded": 3, "short": 2, "empty": 1}


def test_a_killed_arm_loses_its_users_with_the_document(replica_of: Replicas, ramp: Ramp) -> None:
    replica = replica_of()
    ramp(replica, 0.5)
    of_canary = users_of(replica)["canary"]
    ramp(replica, 0.5, killed={"canary": Kill(at_s=0.0, by="ada")})
    found = answers(replica, *(question(user_id=user) for user in of_canary))
    assert {(answer.arm, answer.override) for answer in found} == {("stable", True)}


def test_anonymous_visits_stay_in_one_arm(replica_of: Replicas, ramp: Ramp) -> None:
    replica = replica_of()
    ramp(replica, 0.5)
    arms = {
        session: {
            answer.arm
            for answer in answers(
                replica, *(question(request_id=f"{n}", session_id=session) for n in range(5))
            )
        }
        for session in (f"s{row}" for row in range(20))
    }
    assert {len(found) for found in arms.values()} == {1}
    assert set().union(*arms.values()) == {"stable", "canary"}


def test_a_shadow_works_unseen_is_compared_and_fails_nobody(replica_of: Replicas, ramp: Ramp) -> None:
    replica = replica_of()
    ramp(replica, 0.0, shadow=Shadow(lane="green", share=1.0))
    compared = {"fate": "compared"}
    before = (
        REGISTRY.get_sample_value("marquee_shadow_total", compared) or 0.0,
        REGISTRY.get_sample_value("marquee_shadow_overlap_sum") or 0.0,
        counted("shadow", "answers"),
    )

    async def run(user: str) -> Answer:
        answer = await replica.service.router.answer(question(user_id=user))
        for _ in range(20):  # turns of the loop: nobody waits for a shadow
            await asyncio.sleep(0)
        return answer

    assert asyncio.run(run("ada")).arm == "stable"
    assert sum(replica.canary.batches) == 1
    assert REGISTRY.get_sample_value("marquee_shadow_total", compared) == before[0] + 1
    assert REGISTRY.get_sample_value("marquee_shadow_overlap_sum") == before[1] + 1.0  # the same list
    assert counted("shadow", "answers") == before[2] + 1
    replica.canary.recall = "down"
    assert asyncio.run(run("bob")).degraded == []


def test_a_shadow_gets_the_share_of_requests_that_the_document_gives_it(
    replica_of: Replicas, ramp: Ramp
) -> None:
    replica = replica_of()
    ramp(replica, 0.0, shadow=Shadow(lane="green", share=0.25))

    async def run() -> None:
        for n in range(400):
            await replica.service.router.answer(question(request_id=f"q{n}", user_id=f"u{n}"))
        for _ in range(20):
            await asyncio.sleep(0)

    asyncio.run(run())
    assert 58 <= sum(replica.canary.batches) <= 142  # 100 with a deviation of 9: odds below 1e-5


TURNS = Interleaving(lane="green", share=1.0)


def drafted(fate: str) -> float:
    return REGISTRY.get_sample_value("marquee_interleaved_total", {"fate": fate}) or 0.0


def test_two_lanes_take_turns_in_a_list(replica_of: Replicas, ramp: Ramp) -> None:
    replica = replica_of()
    replica.canary.upside_down = True
    own = [item.item_id for item in answers(replica, question(user_id="ada"))[0].items]
    ramp(replica, 0.0, interleaving=TURNS)
    before = drafted("drafted"), counted("shadow", "answers"), counted("interleaved", "answers")
    answer = answers(replica, question(user_id="ada"))[0]
    assert (answer.arm, answer.bundle, answer.degraded) == ("interleaved", "b" * 16, [])
    assert set(answer.teams[:2]) == {"stable", "canary"}  # each picks once in a round
    assert answer.items[answer.teams.index("stable")].item_id == own[0]
    assert [item.position for item in answer.items] == [1, 2, 3]
    assert [item.score for item in answer.items] == [1.0, 1 / 2, 1 / 3]
    assert answer.cursor is not None
    after = drafted("drafted"), counted("shadow", "answers"), counted("interleaved", "answers")
    assert after == tuple(count + 1 for count in before)


def test_pages_of_interleaved_lists_show_nothing_twice(replica_of: Replicas, ramp: Ramp) -> None:
    replica = replica_of()
    replica.canary.upside_down = True
    ramp(replica, 0.0, interleaving=TURNS)
    first = answers(replica, question(user_id="ada"))[0]
    assert first.cursor is not None
    second = answers(replica, question(user_id="ada", shown=decode_cursor(first.cursor)))[0]
    items = [item.item_id for item in (*first.items, *second.items)]
    assert len(set(items)) == len(items) == 6


@pytest.mark.parametrize("trouble", ["down", "late"])
def test_a_lane_in_trouble_takes_no_turns_and_nobody_misses_it(
    replica_of: Replicas, ramp: Ramp, trouble: str
) -> None:
    replica = replica_of(deadline_s=0.05)
    own = answers(replica, question(user_id="ada"))[0]
    ramp(replica, 0.0, interleaving=TURNS)
    replica.canary.recall = trouble
    before = drafted("left_out")
    answer = answers(replica, question(user_id="ada"))[0]
    assert (answer.items, answer.teams, answer.degraded) == (own.items, (), [])
    assert drafted("left_out") == before + 1


def test_a_lane_that_hangs_keeps_only_those_waiting_in_whose_lists_it_takes_turns(
    replica_of: Replicas, ramp: Ramp
) -> None:
    replica = replica_of(deadline_s=60.0)
    ramp(replica, 0.0, interleaving=Interleaving(lane="green", share=0.5))
    in_force = replica.service.in_force()
    users: dict[str, list[str]] = {"stable": [], "interleaved": []}
    for n in range(20):
        users[in_force.route(question(user_id=f"u{n}")).route.arm].append(f"u{n}")
    assert users["stable"]
    assert users["interleaved"]

    async def run() -> list[Answer]:
        replica.canary.hurdle = asyncio.Event()
        router = replica.service.router
        stuck = [asyncio.create_task(router.answer(question(user_id=one))) for one in users["interleaved"]]
        found = await asyncio.gather(*(router.answer(question(user_id=one)) for one in users["stable"]))
        assert not any(task.done() for task in stuck)
        replica.canary.hurdle.set()
        return [*found, *await asyncio.gather(*stuck)]

    assert {answer.arm for answer in asyncio.run(run())} == {"stable", "interleaved"}


def test_a_killed_canary_takes_no_turns(replica_of: Replicas, ramp: Ramp) -> None:
    replica = replica_of()
    killed = {"canary": Kill(at_s=0.0, by="ada")}
    ramp(replica, 0.0, interleaving=TURNS, killed=killed)
    answer = answers(replica, question(user_id="ada"))[0]
    assert (answer.arm, answer.teams, replica.canary.batches) == ("stable", (), [])


def test_only_the_users_that_the_document_says_get_interleaved_lists_and_always_the_same(
    replica_of: Replicas, ramp: Ramp
) -> None:
    replica = replica_of()
    ramp(replica, 0.0, interleaving=Interleaving(lane="green", share=0.25))
    in_force = replica.service.in_force()
    asked = [question(user_id=f"u{n}") for n in range(400)]
    arms = [in_force.route(one).route.arm for one in asked]
    assert 58 <= arms.count("interleaved") <= 142  # 100 with a deviation of 9: odds below 1e-5
    assert arms == [in_force.route(one).route.arm for one in asked]
    wished = question(user_id="u0", wishes={"rollout": "stable"})
    assert {in_force.route(one).route.arm for one in (wished, replace(wished, user_id="u1"))} == {"stable"}


def test_interleaved_lists_are_not_kept_for_the_next_one_to_ask(replica_of: Replicas, ramp: Ramp) -> None:
    replica = replica_of(cache=AnswerCache(CacheSettings(), monotonic_clock))
    ramp(replica, 0.0, interleaving=TURNS)
    for _ in range(2):
        assert not answers(replica, question(user_id="ada"))[0].cached
    assert sum(replica.canary.batches) == 2
