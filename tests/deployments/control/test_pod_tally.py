"""Pods that count, restart and vanish: what was counted once is never lost."""

from hypothesis import given
from hypothesis import strategies as st

from deployments.control.pod_tally import PodTally
from deployments.control.totals import Series

A: Series = ("a", ())
B: Series = ("b", ())


def test_a_pod_that_restarted_counts_on_top_also_of_what_it_does_not_show_yet() -> None:
    tally = PodTally()
    tally.saw("1", {A: 10.0, B: 5.0}, 0.0)
    tally.saw("1", {A: 2.0}, 1.0)
    assert tally.total() == {A: 12.0, B: 5.0}
    tally.saw("1", {A: 2.0, B: 7.0}, 2.0)
    assert tally.total() == {A: 12.0, B: 12.0}


def test_a_pod_that_is_away_for_a_while_counts_once() -> None:
    tally = PodTally()
    tally.saw("1", {A: 10.0}, 0.0)
    tally.saw("2", {A: 1.0}, 1.0)
    tally.saw("1", {A: 11.0}, 2.0)
    assert tally.total() == {A: 12.0}
    assert (tally.seen_s("1"), tally.seen_s("3")) == (2.0, None)


Steps = list[tuple[str, Series, int, bool, bool]]
STEPS = st.lists(
    st.tuples(
        st.sampled_from("123"), st.sampled_from([A, B]), st.integers(0, 5), st.booleans(), st.booleans()
    )
)


@given(STEPS)
def test_totals_never_fall_and_never_exceed_what_was_counted(steps: Steps) -> None:
    tally, counted = PodTally(), {A: 0.0, B: 0.0}
    pods: dict[str, dict[Series, float]] = {pod: {} for pod in "123"}
    for at_s, (pod, series, n, restarts, is_read) in enumerate(steps):
        before = tally.total()
        if restarts:
            pods[pod] = {}
        pods[pod][series] = pods[pod].get(series, 0.0) + n
        counted[series] += n
        if is_read:  # else it is away just now
            tally.saw(pod, dict(pods[pod]), float(at_s))
        after = tally.total()
        assert all(after.get(name, 0.0) >= value for name, value in before.items())
        assert all(value <= counted[name] for name, value in after.items())


@given(STEPS)
def test_whoever_looks_between_all_changes_loses_nothing(steps: Steps) -> None:
    tally, counted = PodTally(), {A: 0.0, B: 0.0}
    pods: dict[str, dict[Series, float]] = {pod: {} for pod in "123"}
    for at_s, (pod, series, n, restarts, _) in enumerate(steps):
        if restarts:
            pods[pod] = {}
            tally.saw(pod, {}, float(at_s))
        pods[pod][series] = pods[pod].get(series, 0.0) + n
        counted[series] += n
        tally.saw(pod, dict(pods[pod]), float(at_s))
    total = tally.total()
    assert {name: total.get(name, 0.0) for name in counted} == counted
