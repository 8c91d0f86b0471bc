"""A router whose lists may explore: what users get, what is kept, what is taken down."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

import httpx
import orjson
import pytest
from scipy.stats import binom

from deployments.cache import AnswerCache
from deployments.exposures import Exposures
from deployments.ingress import make_app
from deployments.overload_settings import OverloadSettings
from deployments.question import Answer, Question
from deployments.service import Service
from deployments.settings import BatchSettings, CacheSettings
from deployments.showcase import Showcase
from recsys.core.pseudonyms import Pseudonyms
from recsys.eventlog.exposure import Exposure, chunk_of, frame_of, impressions
from recsys.pipeline.stages import RerankingStage
from recsys.reranking.exploration import ExplorationConfig, explores
from recsys.reranking.rerank import RerankingConfig
from recsys.rollout.traffic import Interleaving, TrafficDocument

NOW_S = 1_000_000.0
SHARE = 0.5
EXPLORING = ExplorationConfig(share=SHARE, places=(2, 3), n_choices=4)

question = partial(replace, Question(request_id="r", now_s=NOW_S, top_n=3))


class Stages(Protocol):
    batches: list[int]


class Traffic(Protocol):
    document: TrafficDocument


class Replica(Protocol):
    service: Service
    stages: Stages
    traffic: Traffic


Replicas = Callable[..., Replica]


def exploring(showcase: Showcase, config: ExplorationConfig) -> Showcase:
    reranking = RerankingStage(showcase.reranking.items, RerankingConfig(exploration=config))
    return replace(showcase, reranking=reranking)


@pytest.fixture
def showcase(showcase: Showcase) -> Showcase:
    """Return the usual one, but half of its lists explore."""
    return exploring(showcase, EXPLORING)


class Taken:
    def __init__(self) -> None:
        self.rows: list[Exposure] = []
        self.exposures = Exposures(self.offer, Pseudonyms(b"k" * 32))

    def offer(self, exposures: Callable[[], Sequence[Exposure]], n_rows: int, n_bytes: int) -> bool:
        self.rows += exposures()
        return True


def answers(replica: Replica, *questions: Question) -> list[Answer]:
    async def run() -> list[Answer]:
        return list(await asyncio.gather(*(replica.service.router.answer(each) for each in questions)))

    return asyncio.run(run())


def ids(answer: Answer) -> list[str]:
    return [item.item_id for item in answer.items]


def requests_that(explore: bool, n: int = 1) -> list[str]:
    return [name for name in (f"r{number}" for number in range(1_000)) if explores(name, SHARE) is explore][
        :n
    ]


def cache() -> AnswerCache:
    return AnswerCache(CacheSettings(), lambda: 0.0)


def test_a_list_that_does_not_explore_is_the_rankings_own_and_says_how_sure_that_was(
    replica_of: Replicas,
) -> None:
    [answer] = answers(replica_of(), question(request_id=requests_that(explore=False)[0]))
    assert ids(answer) == ["i3", "i4", "i5"]
    assert answer.exploration is not None
    # one list in two explores, one place of two is drawn, and one choice of five is the ranking's own
    assert answer.exploration.propensities == pytest.approx((1.0, 0.8, 0.8))
    assert (answer.exploration.position, answer.exploration.choices) == (None, ())


def test_a_list_that_explores_has_one_place_drawn_among_the_choices(replica_of: Replicas) -> None:
    names = requests_that(explore=True, n=60)
    found = answers(
        replica_of(batch=BatchSettings(max_size=8)), *(question(request_id=name) for name in names)
    )
    shown = set()
    for answer in found:
        assert answer.exploration is not None
        position = answer.exploration.position
        assert position in {2, 3}
        own = ["i3", "i4", "i5"][position - 1]
        assert answer.exploration.choices == (own, "i6", "i7", "i8", "i9")
        assert answer.exploration.chances == pytest.approx((0.2,) * 5)
        item = answer.items[position - 1]
        assert item.item_id in answer.exploration.choices
        assert (item.position, item.score) == (position, -float(item.item_id[1:]))
        chance = 0.8 if item.item_id == own else 0.05
        assert answer.exploration.propensities[position - 1] == pytest.approx(chance)
        assert len(set(ids(answer))) == 3
        shown.add((position, item.item_id))
    assert len(shown) == 10  # one of ten is missed by 60 draws once in 500; these ids miss none


def test_the_same_request_gets_the_same_list(replica_of: Replicas) -> None:
    [name] = requests_that(explore=True)
    replica = replica_of()
    assert answers(replica, question(request_id=name)) == answers(replica, question(request_id=name))


def test_what_was_drawn_for_one_request_is_kept_for_nobody_and_what_was_not_may_be(
    replica_of: Replicas,
) -> None:
    replica = replica_of(cache=cache())
    exploring_one, exploring_two = requests_that(explore=True, n=2)
    plain_one, plain_two = requests_that(explore=False, n=2)
    order = [exploring_one, plain_one, exploring_two, plain_two]
    first, second, third, fourth = (answers(replica, question(request_id=name))[0] for name in order)
    assert [answer.cached for answer in (first, second, third, fourth)] == [False, False, False, True]
    assert ids(second) == ids(fourth) == ["i3", "i4", "i5"]
    assert fourth.exploration == second.exploration is not None
    assert all(answer.exploration and answer.exploration.position for answer in (first, third))


def test_behind_a_cache_items_stand_where_they_stand_as_often_as_propensities_say(
    replica_of: Replicas,
) -> None:
    taken = Taken()
    patient = OverloadSettings(max_wait_s=60.0)
    replica = replica_of(
        cache=cache(),
        exposures=taken.exposures,
        batch=BatchSettings(max_size=32),
        overload=patient,
        deadline_s=60.0,  # a busy machine is no part of the question
    )
    n = 3_000
    for start in range(0, n, 200):  # no more may wait at once
        answers(replica, *(question(request_id=f"r{number}") for number in range(start, start + 200)))
    shown = impressions(frame_of([chunk_of(taken.rows)]).lazy()).collect()
    counts = shown.group_by("position", "item_id", "propensity").len()
    assert counts.group_by("position", "item_id").len()["len"].max() == 1  # one chance per item and place
    assert counts.height == 1 + 2 * 5
    for _, _, chance, count in counts.iter_rows():  # 22 sides: one false alarm in 45,000
        assert binom.ppf(1e-6, n, chance) <= count <= binom.isf(1e-6, n, chance)


def test_an_exposure_tells_what_was_drawn(replica_of: Replicas) -> None:
    taken = Taken()
    [drawn], [plain] = requests_that(explore=True), requests_that(explore=False)
    replica = replica_of(exposures=taken.exposures)
    [answer] = answers(replica, question(request_id=drawn))
    answers(replica, question(request_id=plain))
    first, second = taken.rows
    assert answer.exploration is not None
    assert first.explored_rank == answer.exploration.position
    assert (first.choices, first.chances) == (answer.exploration.choices, answer.exploration.chances)
    assert first.propensities == answer.exploration.propensities
    assert (second.explored_rank, second.choices) == (None, ())


@pytest.mark.parametrize(("wanted", "expected"), [(0.0, None), (1.0, 2)])
def test_an_experiment_turns_exploration_on_and_off(
    replica_of: Replicas, wanted: float, expected: int | None
) -> None:
    replica = replica_of()
    arms = [{"arm": "control", "share": 0.0}, {"arm": "turned", "share": 1.0, "knobs": {"explore": wanted}}]
    experiment = {"name": "explore", "salt": "v", "arms": arms, "started_s": 0.0}
    replica.traffic.document = replica.traffic.document.successor(
        updated_s=1.0, updated_by="test", experiments=[experiment]
    )
    asyncio.run(replica.service.traffic.look())
    found = answers(replica, *(question(request_id=f"r{number}", top_n=2) for number in range(20)))
    assert {answer.exploration and answer.exploration.position for answer in found} == {expected}


def test_nothing_explores_in_the_order_of_recall(replica_of: Replicas) -> None:
    names = requests_that(explore=True, n=3)
    found = answers(replica_of(ranking="down"), *(question(request_id=name) for name in names))
    assert [answer.exploration for answer in found] == [None] * 3


def test_what_is_made_for_nobody_does_not_explore_and_is_kept(replica_of: Replicas) -> None:
    router = replica_of(cache=cache()).service.router
    found = [router.popular(question(request_id=name)) for name in requests_that(explore=True, n=2)]
    assert [(answer.cached, answer.exploration) for answer in found] == [(False, None), (True, None)]


def test_a_list_that_shows_all_there_is_leaves_nothing_to_chance(replica_of: Replicas) -> None:
    taken = Taken()
    names = requests_that(explore=True, n=3)
    replica = replica_of(exposures=taken.exposures)
    found = answers(replica, *(question(request_id=name, top_n=11) for name in names))
    assert [answer.exploration for answer in found] == [None] * 3
    assert all(row.propensities == [1.0] * len(row.item_ids) for row in taken.rows)


def test_interleaved_lists_do_not_explore(replica_of: Replicas, ramp: Callable[..., None]) -> None:
    replica = replica_of()
    ramp(replica, 0.0, interleaving=Interleaving(lane="green", share=1.0))
    names = requests_that(explore=True, n=3)
    found = answers(replica, *(question(request_id=name) for name in names))
    assert {(answer.arm, answer.exploration) for answer in found} == {("interleaved", None)}


def test_clients_are_told(replica_of: Replicas) -> None:
    [name] = requests_that(explore=True)

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(make_app(replica_of().service))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get("/recommend/ada?top_n=3", headers={"X-Request-Id": name})

    said = orjson.loads(asyncio.run(asked()).content)
    assert said["exploration"]["choices"][1:] == ["i6", "i7", "i8", "i9"]
    assert said["exploration"]["position"] in {2, 3}
