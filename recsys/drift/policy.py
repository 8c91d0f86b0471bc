"""What follows from verdicts: an alarm after some windows in a row, one action, and then a while of nothing.

Pure: a state and a verdict give the next state and what is to be done. :mod:`recsys.drift.journal` keeps it.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from recsys.core.clock import SECONDS_PER_DAY
from recsys.core.settings import FrozenModel
from recsys.drift.compare import Moved, WindowVerdict
from recsys.drift.features import Group


class Action(StrEnum):
    """What an alarm leads to, the weakest first; every alarm is an alert, too."""

    ALERT = "alert"
    RETRAIN = "retrain"
    ROLLBACK = "rollback"


_STRENGTH: Final = {action: strength for strength, action in enumerate(Action)}


class PolicyConfig(FrozenModel):
    """When an alarm is raised, and what it leads to."""

    n_over: PositiveInt = 2
    """A feature raises an alarm after so many windows in a row over its threshold."""

    n_clear: PositiveInt = 3
    """It is quiet again after so many windows in a row under it."""

    cool_down_s: NonNegativeFloat = 2 * SECONDS_PER_DAY
    """After a retraining or a rollback, alarms are only told for so long."""

    on_inputs: Action = Action.RETRAIN
    """What follows when what comes in has moved."""

    on_engagement: Action = Action.RETRAIN
    """What follows when people make something else of what they are shown."""

    on_served: Action = Action.ALERT
    """What follows when the bundle serves something else than when it was new."""

    def action_of(self, group: Group) -> Action:
        """Return what follows when a feature of this group has moved."""
        return {
            Group.INPUTS: self.on_inputs,
            Group.ENGAGEMENT: self.on_engagement,
            Group.SERVED: self.on_served,
        }[group]


class Run(FrozenModel):
    """Where one feature stands."""

    n_over: NonNegativeInt = 0
    """Windows in a row over the threshold."""
    n_under: NonNegativeInt = 0
    """Windows in a row under it."""
    alarmed: bool = False


class Alarm(FrozenModel):
    """Something has moved, and for how long; nothing here names a person."""

    id: str
    """Of the bundle and the window: the same alarm again has the same one."""
    bundle: str
    at_s: float
    """End of the window that raised it, Unix time."""
    wanted: Action
    """What the policy says of the features."""
    action: Action
    """What is done: nothing but an alert while it cools down."""
    moved: tuple[Moved, ...]
    """The features that are alarmed anew, the surest first."""

    @property
    def sentence(self) -> str:
        """What moved and how, for people."""
        return "; ".join(f"{one.feature}: {one.how}" for one in self.moved)


class Standing(FrozenModel):
    """What must not be forgotten between two windows."""

    bundle: str = ""
    runs: Mapping[str, Run] = {}
    judged_until_s: float | None = None
    """End of the last window that was looked at, Unix time; None: none was. No number of a window: another
    bundle's may be of another length."""
    acted_s: float | None = None
    """When the last retraining or rollback was asked for."""


def judge(standing: Standing, verdict: WindowVerdict, config: PolicyConfig) -> tuple[Standing, Alarm | None]:
    """Take one window in; a window that was taken in before changes nothing.

    A feature that could not be judged keeps its run: silence is neither over nor under.
    """
    if standing.judged_until_s is not None and verdict.begins_s < standing.judged_until_s:
        return standing, None
    runs = dict(standing.runs)
    raised = []
    for one in verdict.features:
        run = runs.get(one.feature, Run())
        runs[one.feature] = _next(run, one.over, config)
        if runs[one.feature].alarmed and not run.alarmed:
            raised.append(one)
    alarm = _alarm(standing, verdict, raised, config) if raised else None
    acted_s = standing.acted_s
    if alarm is not None and alarm.action is not Action.ALERT:
        acted_s = alarm.at_s
    after = Standing(bundle=standing.bundle, runs=runs, judged_until_s=verdict.ends_s, acted_s=acted_s)
    return after, alarm


def for_bundle(standing: Standing, bundle: str) -> Standing:
    """Return what is left when another bundle serves: runs begin anew, cooling down goes on."""
    return (
        standing if standing.bundle == bundle else standing.model_copy(update={"bundle": bundle, "runs": {}})
    )


def _next(run: Run, over: bool, config: PolicyConfig) -> Run:
    n_over, n_under = (run.n_over + 1, 0) if over else (0, run.n_under + 1)
    alarmed = n_under < config.n_clear if run.alarmed else n_over >= config.n_over
    return Run(n_over=n_over, n_under=n_under, alarmed=alarmed)


def _alarm(
    standing: Standing, verdict: WindowVerdict, raised: Iterable[Moved], config: PolicyConfig
) -> Alarm:
    surest = tuple(sorted(raised, key=lambda one: one.p_value))
    wanted = max((config.action_of(one.group) for one in surest), key=_STRENGTH.__getitem__)
    cooling = standing.acted_s is not None and verdict.ends_s < standing.acted_s + config.cool_down_s
    return Alarm(
        id=f"{standing.bundle or 'none'}-{verdict.window}",
        bundle=standing.bundle,
        at_s=verdict.ends_s,
        wanted=wanted,
        action=Action.ALERT if cooling else wanted,
        moved=surest,
    )
