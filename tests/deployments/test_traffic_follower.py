from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from deployments.lane import Holding
from deployments.question import Question
from deployments.showcase import Showcase
from deployments.traffic import InForce, take_over
from recsys.rollout.traffic import Arm, TrafficDocument

A, B, C = "a" * 16, "b" * 16, "c" * 16
STABLE, CANARY = Arm(arm="stable", lane="blue", share=0.5), Arm(arm="canary", lane="green", share=0.5)


def document(version: int, blue: str, green: str | None = None) -> TrafficDocument:
    arms = (STABLE, CANARY) if green else (STABLE.model_copy(update={"share": 1.0}),)
    return TrafficDocument(
        version=version, lanes={"blue": blue, "green": green}, arms=arms, salt="s", updated_s=0.0
    )


def held(**lanes: str) -> Mapping[str, Sequence[Holding]]:
    return {lane: [Holding(lane, bundle, (bundle,), {}, 1)] for lane, bundle in lanes.items()}


def routes_of(in_force: InForce) -> set[tuple[str, str, bool]]:
    asked = [Question(request_id="r", now_s=0.0, user_id=f"u{user}") for user in range(50)]
    routes = [in_force.route(question).route for question in asked]
    return {(route.arm, route.lane, route.override) for route in routes}


@pytest.fixture
def own(showcase: Showcase) -> dict[str, Showcase]:
    return {bundle: replace(showcase, bundle=bundle) for bundle in (A, B, C)}


def test_a_document_comes_into_force_when_all_its_replicas_are_ready(
    own: dict[str, Showcase],
) -> None:
    before = InForce(document(1, A), {"blue": own[A]})
    wanted = document(2, A, B)
    showcases = {"blue": own[A], "green": own[B]}
    after = take_over(wanted, before, showcases, held(blue=A, green=B))
    assert after is not None
    assert after.document is wanted
    assert {lane: showcase.bundle for lane, showcase in after.lanes.items()} == {"blue": A, "green": B}


@pytest.mark.parametrize("green", [{}, {"green": C}], ids=["silent", "holds another bundle"])
def test_until_then_the_one_before_stays(own: dict[str, Showcase], green: dict[str, str]) -> None:
    before = InForce(document(1, A), {"blue": own[A]})
    showcases = {"blue": own[A], "green": own[B]}
    assert take_over(document(2, A, B), before, showcases, held(blue=A, **green)) is before


def test_a_bundle_that_the_router_refuses_keeps_the_document_out(own: dict[str, Showcase]) -> None:
    before = InForce(document(1, A), {"blue": own[A]})
    assert take_over(document(2, B), before, {}, held(blue=B)) is before


def test_taking_a_refused_bundle_back_comes_into_force_at_once(
    own: dict[str, Showcase],
) -> None:
    before = InForce(document(1, A), {"blue": own[A]})
    back = document(3, A)
    after = take_over(back, before, {"blue": own[A]}, held(blue=A))
    assert after is not None
    assert after.document is back


def test_a_router_begins_with_what_it_holds_even_if_no_lane_answers(own: dict[str, Showcase]) -> None:
    begun = take_over(document(1, A), None, {"blue": own[A]}, {})
    assert begun is not None
    assert begun.first is own[A]
    assert take_over(document(1, A), None, {}, {}) is None


def test_users_of_a_lane_that_is_not_ready_go_to_one_that_is(own: dict[str, Showcase]) -> None:
    begun = take_over(document(1, A, B), None, {"blue": own[A]}, {})
    assert begun is not None
    assert routes_of(begun) == {("stable", "blue", False), ("stable", "blue", True)}  # moved: no statistics


def test_a_lane_that_becomes_ready_later_gets_its_users(own: dict[str, Showcase]) -> None:
    wanted = document(1, A, B)
    begun = take_over(wanted, None, {"blue": own[A]}, {})
    grown = take_over(wanted, begun, {"blue": own[A], "green": own[B]}, held(blue=A, green=B))
    assert grown is not None
    # all of 50 in one arm: odds 2 to 2**50
    assert routes_of(grown) == {("stable", "blue", False), ("canary", "green", False)}
