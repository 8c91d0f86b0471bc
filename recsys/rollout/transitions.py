"""What people and the controller do to a rollout: pure functions from one traffic document to the next.

Each is one write. So whoever is killed between two writes leaves a document that says all there is to know,
and of two who write at once one finds that the document has changed, and decides again.
"""

from collections.abc import Iterable

from recsys.core.errors import FieldError, NotFoundError
from recsys.experiments.guardrails import Verdict
from recsys.experiments.measurements import Totals
from recsys.rollout.asked import Asked
from recsys.rollout.names import CANARY, STABLE
from recsys.rollout.plan import RolloutPlan, Step
from recsys.rollout.state import Decision, Judged, Phase, RolloutState, What
from recsys.rollout.traffic import Arm, Interleaving, Kill, Shadow, TrafficDocument


def start(
    document: TrafficDocument,
    bundle: str,
    plan: RolloutPlan,
    *,
    rollout_id: str,
    now_s: float,
    by: str,
    request: str | None = None,
) -> TrafficDocument:
    """Give the bundle to the idle lane; no user sees it yet.

    Args:
        document: in force.
        bundle: its full name.
        plan: how it comes to the users.
        rollout_id: names it, and deals the users anew.
        now_s: Unix time.
        by: who wants it.
        request: what Helm's values ask for; None: a person does.

    Raises:
        FieldError: another rollout is under way, users have this bundle already, or the canary is killed.
    """
    now = document.rollout
    if now is not None and now.under_way:
        raise FieldError("rollout", f"{now.id} of {now.bundle}, {now.phase}", "none under way")
    if CANARY in document.killed:
        kill = document.killed[CANARY]
        raise FieldError("rollout", f"arm {CANARY}, which {kill.by} killed", "`marquee rollout revive` first")
    stable = document.arms[0]
    if document.lanes[stable.lane] == bundle:
        raise FieldError("rollout.bundle", bundle, "another bundle than the one that users have")
    lane = next(lane for lane in document.lanes if lane != stable.lane)
    state = RolloutState(
        id=rollout_id,
        request=request,
        plan=plan,
        bundle=bundle,
        lane=lane,
        stable_bundle=document.bundle_of(stable),
        stable_lane=stable.lane,
        since_s=now_s,
    )
    return _next(
        document,
        state,
        What.START,
        f"lane {lane} prepares bundle {bundle}",
        Phase.PREPARING,
        now_s,
        by,
        lanes={**document.lanes, lane: bundle},
        arms=(Arm(arm=STABLE, lane=stable.lane, share=1.0),),
        asked=document.asked if request is None else document.asked.acted_on(request),
        salt=rollout_id,  # everybody is in one arm: nobody moves, and other users are the first this time
    )


def to_step(
    document: TrafficDocument,
    step: int,
    *,
    why: str,
    baseline: Totals | None,
    now_s: float,
    by: str,
    verdicts: Iterable[Verdict] = (),
) -> TrafficDocument:
    """Give the canary the share of a step."""
    state = _of(document)
    wanted = state.plan.steps[step]
    return _next(
        document,
        state,
        What.STEP,
        why,
        Phase.RAMPING,
        now_s,
        by,
        verdicts,
        changes={
            "step": step,
            "since_s": now_s,
            "baseline": None if baseline is None else {arm: dict(found) for arm, found in baseline.items()},
        },
        arms=arms_of(state, wanted),
        shadow=Shadow(lane=state.lane, share=wanted.shadow) if wanted.shadow else None,
        interleaving=Interleaving(lane=state.lane, share=wanted.interleave) if wanted.interleave else None,
    )


def hold(
    document: TrafficDocument, *, why: str, now_s: float, by: str, verdicts: Iterable[Verdict] = ()
) -> TrafficDocument:
    """Write down why it does not go on; nothing else changes."""
    state = _of(document)
    return _next(document, state, What.HOLD, why, state.phase, now_s, by, verdicts)


def pause(document: TrafficDocument, *, now_s: float, by: str, why: str = "") -> TrafficDocument:
    """Let it go no further; guardrails go on watching.

    Raises:
        FieldError: it is not under way, or paused already.
    """
    state = _under_way(document)
    if state.paused:
        raise FieldError("rollout", f"{state.id}, paused", "one that goes on")
    return _next(
        document, state, What.PAUSE, why or "asked for", state.phase, now_s, by, changes={"paused": True}
    )


def resume(document: TrafficDocument, *, now_s: float, by: str, why: str = "") -> TrafficDocument:
    """Let it go on.

    Raises:
        FieldError: it is not paused.
    """
    state = _under_way(document)
    if not state.paused:
        raise FieldError("rollout", f"{state.id}, {state.phase}", "one that is paused")
    return _next(
        document, state, What.RESUME, why or "asked for", state.phase, now_s, by, changes={"paused": False}
    )


def promote(
    document: TrafficDocument,
    *,
    now_s: float,
    by: str,
    why: str = "asked for",
    verdicts: Iterable[Verdict] = (),
) -> TrafficDocument:
    """Make the canary's bundle the stable one, for all users; the old one stays loaded.

    Raises:
        FieldError: no canary is there, or it is killed.
    """
    state = _of(document)
    if state.phase is not Phase.RAMPING or CANARY in document.killed:
        killed = ", its arm killed" if CANARY in document.killed else ""
        raise FieldError("rollout", f"{state.id}, {state.phase}{killed}", "one that is ramping")
    return _everybody_to(state.lane, document, state, What.PROMOTE, why, Phase.HOLDING, now_s, by, verdicts)


def abort(
    document: TrafficDocument,
    *,
    now_s: float,
    by: str,
    why: str = "asked for",
    verdicts: Iterable[Verdict] = (),
    asked: Asked | None = None,
) -> TrafficDocument:
    """Give all users the bundle they had before, at once.

    Args:
        document: in force.
        now_s: Unix time.
        by: who wants it.
        why: in a few words.
        verdicts: what it rests on.
        asked: what is known of requests afterwards; None: the one that it carries out came to nothing.

    Raises:
        FieldError: there is no way back: it was taken back already, or the old bundle is gone.
    """
    state = _of(document)
    if state.phase in (Phase.ABORTED, Phase.PROMOTED):
        raise FieldError("rollout", f"{state.id}, {state.phase}", "one with a way back")
    return _everybody_to(
        state.stable_lane,
        document,
        state,
        What.ABORT,
        why,
        Phase.ABORTED,
        now_s,
        by,
        verdicts,
        asked=document.asked.judged(state.request) if asked is None else asked,
    )


def settle(document: TrafficDocument, *, now_s: float, by: str) -> TrafficDocument:
    """Let the lane that nobody is served by go idle; the rollout is over."""
    state = _of(document)
    promoted = state.phase is Phase.HOLDING
    idle = state.stable_lane if promoted else state.lane
    return _next(
        document,
        state,
        What.SETTLE,
        f"lane {idle} is idle again",
        Phase.PROMOTED if promoted else state.phase,
        now_s,
        by,
        changes={"settled": True},
        lanes={**document.lanes, idle: None},
    )


def kill(document: TrafficDocument, arm: str, *, now_s: float, by: str, why: str = "") -> TrafficDocument:
    """Take all users off an arm at once; it stays so until somebody revives it.

    Args:
        document: in force.
        arm: ``canary``, also when none is there now, or ``<experiment>/<arm>``.
        now_s: Unix time.
        by: who wants it.
        why: in a few words.

    Raises:
        NotFoundError: there is no such arm.
        FieldError: it is the arm where the users would go.
    """
    known = {CANARY} | {one.arm for one in document.arms}
    known |= {
        f"{experiment.name}/{one.arm}" for experiment in document.experiments for one in experiment.arms
    }
    if arm not in known:
        raise NotFoundError("arm", arm, ", ".join(sorted(known)))
    killed = {**document.killed, arm: Kill(at_s=now_s, by=by, why=why)}
    return document.successor(updated_s=now_s, updated_by=by, killed=killed)


def revive(document: TrafficDocument, arm: str, *, now_s: float, by: str) -> TrafficDocument:
    """Allow users on an arm again.

    Raises:
        NotFoundError: it is not killed.
    """
    if arm not in document.killed:
        raise NotFoundError("killed arm", arm, ", ".join(document.killed))
    killed = {name: one for name, one in document.killed.items() if name != arm}
    return document.successor(updated_s=now_s, updated_by=by, killed=killed)


def allow(
    document: TrafficDocument, user_id: str, arm: str | None, *, now_s: float, by: str
) -> TrafficDocument:
    """Send a user to an arm whatever chance says, or (None) no more."""
    overrides = {user: where for user, where in document.overrides.items() if user != user_id}
    if arm is not None:
        overrides[user_id] = arm
    return document.successor(updated_s=now_s, updated_by=by, overrides=overrides)


def arms_of(state: RolloutState, step: Step) -> tuple[Arm, ...]:
    """Return the arms of a rollout at a step."""
    return (
        Arm(arm=STABLE, lane=state.stable_lane, share=1.0 - step.share),
        Arm(arm=CANARY, lane=state.lane, share=step.share),
    )


def _everybody_to(
    lane: str,
    document: TrafficDocument,
    state: RolloutState,
    what: What,
    why: str,
    phase: Phase,
    now_s: float,
    by: str,
    verdicts: Iterable[Verdict],
    **fields: object,
) -> TrafficDocument:
    return _next(
        document,
        state,
        what,
        why,
        phase,
        now_s,
        by,
        verdicts,
        changes={"since_s": now_s, "paused": False, "baseline": None},
        arms=(Arm(arm=STABLE, lane=lane, share=1.0),),
        shadow=None,
        interleaving=None,
        **fields,
    )


def _next(
    document: TrafficDocument,
    state: RolloutState,
    what: What,
    why: str,
    phase: Phase,
    now_s: float,
    by: str,
    verdicts: Iterable[Verdict] = (),
    *,
    changes: dict[str, object] | None = None,
    **fields: object,
) -> TrafficDocument:
    """Return the document after a decision, with the decision in it."""
    arms = fields.get("arms", document.arms)
    share = sum(arm.share for arm in arms if arm.arm == CANARY) if isinstance(arms, tuple) else 0.0
    decision = Decision(
        at_s=now_s,
        what=what,
        why=why,
        by=by,
        phase=phase,
        share=1.0 if phase in (Phase.HOLDING, Phase.PROMOTED) else share,
        verdicts=tuple(Judged.of(verdict) for verdict in verdicts),
    )
    rollout = state.decided(decision, **(changes or {}))
    return document.successor(updated_s=now_s, updated_by=by, rollout=rollout, **fields)


def _of(document: TrafficDocument) -> RolloutState:
    if document.rollout is None:
        raise NotFoundError("rollout", "now")
    return document.rollout


def _under_way(document: TrafficDocument) -> RolloutState:
    state = _of(document)
    if not state.under_way:
        raise FieldError("rollout", f"{state.id}, {state.phase}", "one that is under way")
    return state
