import pytest

from recsys.drift.compare import Moved, WindowVerdict
from recsys.drift.features import Group
from recsys.drift.policy import Action, Alarm, PolicyConfig, Standing, for_bundle, judge

HOUR_S = 3_600.0
CONFIG = PolicyConfig(n_over=2, n_clear=3, cool_down_s=6 * HOUR_S)


def verdict(
    window: int, *over: str, judged: tuple[str, ...] = ("tag",), group: Group = Group.INPUTS
) -> WindowVerdict:
    features = tuple(
        Moved(
            feature=name,
            group=group,
            n_users=100,
            divergence=0.2 if name in over else 0.001,
            threshold=0.01,
            over=name in over,
            p_value=1e-9 if name in over else 0.5,
            how=f"{name} x 1.0% → 2.0%",
        )
        for name in dict.fromkeys((*judged, *over))
    )
    return WindowVerdict(
        window=window,
        begins_s=window * HOUR_S,
        ends_s=(window + 1) * HOUR_S,
        n_events=1_000,
        n_users=100,
        features=features,
    )


def play(pattern: str, config: PolicyConfig = CONFIG) -> str:
    """Return what each window led to: - nothing, a an alert, R a retraining."""
    standing, done = Standing(bundle="b"), ""
    for window, sign in enumerate(pattern):
        if sign == ".":  # could not be judged
            given = verdict(window, judged=())
        else:
            given = verdict(window, *(("tag",) if sign == "o" else ()))
        standing, alarm = judge(standing, given, config)
        done += "-" if alarm is None else {Action.ALERT: "a", Action.RETRAIN: "R"}[alarm.action]
    return done


@pytest.mark.parametrize(
    ("windows", "actions"),
    [
        ("uuuuuu", "------"),
        ("ouououou", "--------"),  # never two in a row
        ("oouuuu", "-R----"),
        ("oooooo", "-R----"),  # once, however long it stays
        ("o.o", "--R"),  # what could not be judged is neither
        ("oouuoo", "-R----"),  # two under do not clear it
        ("oouuuoo", "-R----a"),  # three do; five windows later it still cools down
        ("oouuuuuoo", "-R------R"),  # seven later it does not
    ],
)
def test_alarms_follow_runs_of_windows(windows: str, actions: str) -> None:
    assert play(windows) == actions


def test_a_window_taken_in_twice_counts_once() -> None:
    first, _ = judge(Standing(bundle="b"), verdict(7, "tag"), CONFIG)
    again, alarm = judge(first, verdict(7, "tag"), CONFIG)
    assert again is first
    assert alarm is None


def test_the_strongest_action_of_all_that_moved_is_taken_and_all_are_named() -> None:
    config = PolicyConfig(n_over=1, on_inputs=Action.ALERT, on_served=Action.ROLLBACK)
    both = verdict(0, "tag").model_copy(
        update={
            "features": verdict(0, "tag").features
            + verdict(0, "score", judged=(), group=Group.SERVED).features
        }
    )
    _, alarm = judge(Standing(bundle="b"), both, config)
    assert alarm is not None
    assert (alarm.id, alarm.action) == ("b-0", Action.ROLLBACK)
    assert alarm.sentence == "tag: tag x 1.0% → 2.0%; score: score x 1.0% → 2.0%"


def test_while_it_cools_down_an_alarm_is_only_told() -> None:
    config = PolicyConfig(n_over=1, cool_down_s=10 * HOUR_S)
    standing, first = judge(Standing(bundle="b"), verdict(0, "tag"), config)
    _, second = judge(standing, verdict(1, "kind"), config)
    assert isinstance(first, Alarm)
    assert isinstance(second, Alarm)
    assert (first.action, second.action, second.wanted) == (Action.RETRAIN, Action.ALERT, Action.RETRAIN)


def test_windows_of_another_length_go_on_where_the_last_one_ended() -> None:
    standing, _ = judge(Standing(bundle="b"), verdict(47), CONFIG)
    day = verdict(1).model_copy(update={"begins_s": 24 * HOUR_S, "ends_s": 48 * HOUR_S})
    after, _ = judge(standing, day, CONFIG)
    assert after is standing  # all of it was looked at, hour by hour
    next_day = day.model_copy(update={"window": 2, "begins_s": 48 * HOUR_S, "ends_s": 72 * HOUR_S})
    assert judge(after, next_day, CONFIG)[0].judged_until_s == 72 * HOUR_S


def test_another_bundle_begins_anew_but_goes_on_cooling_down() -> None:
    config = PolicyConfig(n_over=1, cool_down_s=10 * HOUR_S)
    standing, _ = judge(Standing(bundle="old"), verdict(0, "tag"), config)
    fresh = for_bundle(standing, "new")
    assert (dict(fresh.runs), fresh.acted_s, fresh.judged_until_s) == ({}, HOUR_S, HOUR_S)
    _, alarm = judge(fresh, verdict(1, "tag"), config)
    assert alarm is not None
    assert (alarm.bundle, alarm.action) == ("new", Action.ALERT)
