"""What a report can be about: an experiment, or the arms of a rollout."""

from collections.abc import Mapping

from recsys.core.errors import NotFoundError
from recsys.experiments.design import ExperimentDesign
from recsys.experiments.report import Subject
from recsys.experiments.stretches import Stretch
from recsys.rollout.declarations import Declaration
from recsys.rollout.experiment_plan import ArmPlan, ExperimentPlan
from recsys.rollout.names import CANARY, STABLE
from recsys.rollout.state import Phase, RolloutState
from recsys.rollout.traffic import Experiment, Kill

_SETTLING_S = 2.0
"""Routers follow a change of shares within a second; lists until then were dealt by the old ones."""


Killed = Mapping[str, Kill]
"""Arms that were killed, as the traffic document has them. Users who come later to such an arm are moved out
of it and out of the comparison, while those of the other arms go on counting; so it ends with the kill."""


def subject_of_experiment(declared: Declaration, killed: Killed, now_s: float) -> Subject:
    """Return a declared experiment, until it was stopped, an arm was killed, or until now."""
    return _experiment(declared.experiment, declared.design, declared.stopped_s, killed, now_s)


def subject_of_undeclared(
    experiment: Experiment, plan: ExperimentPlan, killed: Killed, now_s: float
) -> Subject:
    """Return an experiment that nobody declared; how it is judged is said afterwards, in ``plan``."""
    arms = {arm.arm: ArmPlan(share=arm.share, **arm.knobs.turned) for arm in experiment.arms}
    design = plan.model_copy(update={"arms": arms}).design(experiment.name)
    return _experiment(experiment, design, None, killed, now_s)


def subject_of_rollout(state: RolloutState, plan: ExperimentPlan, killed: Killed, now_s: float) -> Subject:
    """Return a rollout while users were in both arms.

    Args:
        state: of the rollout.
        plan: how it is judged; its arms are not looked at.
        killed: arms.
        now_s: Unix time.

    Raises:
        NotFoundError: there was no step yet at which users were in both arms.
    """
    ends_s = [kill.at_s for arm, kill in killed.items() if arm == CANARY]
    stretches = rollout_stretches(state, min([now_s, *ends_s]))
    if not stretches:
        raise NotFoundError("step with users in both arms", state.id)
    arms = {arm: ArmPlan(share=share) for arm, share in stretches[-1].shares.items()}
    return Subject(
        title=f"rollout {state.id}, {state.phase}",
        design=plan.model_copy(update={"arms": arms}).design(state.id),
        arms_are={STABLE: f"bundle {state.stable_bundle}", CANARY: f"bundle {state.bundle}"},
        experiment=None,
        stretches=stretches,
        ended=state.phase is not Phase.RAMPING,
    )


def rollout_stretches(state: RolloutState, now_s: float) -> list[Stretch]:
    """Return the steps at which users were in both arms, without the seconds in which routers follow.

    The canary's share of each is in the decisions, of which a rollout keeps the latest hundred.
    """
    ends_s = [*(decision.at_s for decision in state.decisions[1:]), now_s]
    stretches: list[Stretch] = []
    share_before = 0.0
    for decision, end_s in zip(state.decisions, ends_s, strict=True):
        ramping = decision.phase is Phase.RAMPING and 0.0 < decision.share < 1.0
        until_s = min(end_s, now_s)
        if ramping and stretches and share_before == decision.share:
            stretches[-1] = Stretch(stretches[-1].since_s, until_s, stretches[-1].shares)
        elif ramping:
            shares = {STABLE: 1.0 - decision.share, CANARY: decision.share}
            stretches.append(Stretch(decision.at_s + _SETTLING_S, until_s, shares))
        share_before = decision.share if ramping else 0.0
    return [stretch for stretch in stretches if stretch.until_s > stretch.since_s]


def _experiment(
    experiment: Experiment,
    design: ExperimentDesign,
    stopped_s: float | None,
    killed: Killed,
    now_s: float,
) -> Subject:
    arms = {f"{experiment.name}/{arm.arm}" for arm in experiment.arms if arm.share > 0.0}
    ends_s = [kill.at_s for arm, kill in killed.items() if arm in arms and kill.at_s > experiment.started_s]
    ends_s += [] if stopped_s is None else [stopped_s]
    return Subject(
        title=f"experiment {experiment.name}",
        design=design,
        arms_are={
            arm.arm: ", ".join(f"{knob} {value:g}" for knob, value in arm.knobs.turned.items()) or "as it is"
            for arm in experiment.arms
        },
        experiment=experiment.name,
        stretches=(Stretch(experiment.started_s, min([now_s, *ends_s]), design.arms),),
        ended=bool(ends_s),
    )
