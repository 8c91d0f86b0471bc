"""From series of two replicas to rates, by hand."""

from collections.abc import Sequence

import pytest

from deployments.autoscaling.reports import Reported, Series, graph_seen
from deployments.autoscaling.seen import GraphSeen

NOTHING = Reported(0, 0)


def seen(router: dict[str, Sequence[Series]], recall: dict[str, Sequence[Series]] | None = None) -> GraphSeen:
    return graph_seen(
        at_s=5.0,
        now_s=1_000.0,
        window_s=10.0,
        router=Reported(2, 2, router),
        lanes={"blue": (Reported(2, 3, recall or {}), NOTHING)},
    )


def test_counts_of_replicas_become_one_rate() -> None:
    found = seen({"asked": [[(995.0, 100.0), (1_000.0, 150.0)], [(996.0, 0.0), (998.0, 10.0)]]})
    assert found.asked_per_s == 10.0 + 5.0


def test_what_is_older_than_the_window_does_not_count() -> None:
    assert seen({"asked": [[(980.0, 0.0), (995.0, 100.0), (1_000.0, 150.0)]]}).asked_per_s == 10.0


def test_the_latest_rate_is_that_between_the_last_two_reports() -> None:
    found = seen({"asked": [[(995.0, 0.0), (998.0, 30.0), (1_000.0, 130.0)], [(998.0, 0.0), (999.0, 5.0)]]})
    assert (found.latest_per_s, found.latest_over_s) == (50.0 + 5.0, 2.0)


def test_a_count_reported_once_is_no_rate() -> None:
    assert seen({"asked": [[(999.0, 100.0)]]}).asked_per_s is None


def test_the_cost_of_a_request_is_work_over_requests() -> None:
    recall: dict[str, Sequence[Series]] = {
        "busy_s": [[(995.0, 1.0), (1_000.0, 2.0)], [(995.0, 7.0), (1_000.0, 7.5)]],
        "served": [[(995.0, 0.0), (1_000.0, 100.0)], [(995.0, 0.0), (1_000.0, 50.0)]],
    }
    stage = seen({}, recall).lanes["blue"].recall
    assert stage.busy == pytest.approx(0.3)
    assert stage.service_s == pytest.approx(0.01)
    assert stage.utilisation == pytest.approx(0.15)


def test_too_few_requests_say_nothing_about_their_cost() -> None:
    recall: dict[str, Sequence[Series]] = {
        "busy_s": [[(995.0, 1.0), (1_000.0, 2.0)]],
        "served": [[(995.0, 0.0), (1_000.0, 5.0)]],
    }
    assert seen({}, recall).lanes["blue"].recall.service_s is None


def test_what_the_cache_has_is_not_computed() -> None:
    figures: dict[str, Sequence[Series]] = {
        "looked_up": [[(995.0, 0.0), (1_000.0, 200.0)]],
        "computed": [[(995.0, 0.0), (1_000.0, 50.0)]],
    }
    assert seen(figures).computed == 0.25
    assert seen({}).computed == 1.0


def test_the_tail_is_the_worst_of_those_that_have_one() -> None:
    figures: dict[str, Sequence[Series]] = {"tail_s": [[(999.0, -1.0)], [(999.0, 0.2)], [(999.0, 0.1)]]}
    assert seen(figures).tail_s == 0.2
    assert seen({"tail_s": [[(999.0, -1.0)]]}).tail_s is None


def test_lanes_are_as_any_router_sees_them() -> None:
    figures: dict[str, Sequence[Series]] = {
        "bundle:blue": [[(999.0, 0.0)], [(999.0, 1.0)]],
        "arm:blue": [[(999.0, 0.0)], [(999.0, 1.0)]],
        "share:blue": [[(999.0, 0.0)], [(999.0, 0.4)]],
    }
    lane = seen(figures).lanes["blue"]
    assert (lane.has_bundle, lane.has_arm, lane.share) == (True, True, 0.4)
