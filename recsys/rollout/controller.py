"""The controller of a rollout: what happens next, as a pure function of what is known now."""

from collections.abc import Sequence
from dataclasses import dataclass

from recsys.experiments.guardrails import Outcome, Verdict, judge
from recsys.experiments.measurements import Figures, Measurements, Outcomes, Totals
from recsys.rollout.names import CANARY, SHADOW, STABLE
from recsys.rollout.state import BLIND, Phase, RolloutState
from recsys.rollout.traffic import TrafficDocument
from recsys.rollout.transitions import abort, hold, promote, settle, to_step

GRACE_S = 30.0
"""After an abort the canary's lane keeps its bundle for so long: requests that are under way end there."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """What the lane of the canary says of the bundle."""

    loaded: bool = False  # by every replica, warmed up
    refused: str | None = None  # why, by any of them


@dataclass(frozen=True, slots=True)
class Seen:
    """What a controller has found out."""

    readiness: Readiness = Readiness()
    measured: Measurements | None = None  # since the step began; None: nothing, or nothing fresh
    totals: Totals | None = None  # counters now: where the next step begins to count


def next_document(
    document: TrafficDocument, seen: Seen, *, now_s: float, by: str = "controller"
) -> TrafficDocument | None:
    """Return what the traffic document should be now; None when it should stay.

    Whatever it decides follows from its arguments alone: after a crash, or beside another controller, the
    same facts lead to the same document.
    """
    state = document.rollout
    if state is None or state.settled:
        return None
    if state.phase is Phase.PREPARING:
        return _prepared(document, state, seen, now_s, by)
    if state.phase is Phase.RAMPING:
        return _ramped(document, state, seen, now_s, by)
    patience_s = state.plan.hold if state.phase is Phase.HOLDING else GRACE_S
    return settle(document, now_s=now_s, by=by) if now_s - state.since_s >= patience_s else None


def _prepared(
    document: TrafficDocument, state: RolloutState, seen: Seen, now_s: float, by: str
) -> TrafficDocument | None:
    waited_s = now_s - state.since_s
    if CANARY in document.killed:
        return abort(document, now_s=now_s, by=by, why=_killed(document))
    if seen.readiness.refused is not None:
        return abort(document, now_s=now_s, by=by, why=f"the bundle is refused: {seen.readiness.refused}")
    if seen.readiness.loaded and state.paused:
        return None
    if seen.readiness.loaded and seen.measured is not None:  # else nobody knows where its counters stand
        why = f"lane {state.lane} holds the bundle, warmed up, after {waited_s:.1f} s"
        return to_step(document, 0, why=why, baseline=seen.totals, now_s=now_s, by=by)
    if waited_s >= state.plan.prepare_for:
        late = BLIND if seen.readiness.loaded else f"lane {state.lane} did not load the bundle"
        return abort(document, now_s=now_s, by=by, why=f"{late} within {state.plan.prepare_for:g} s")
    return None


def _ramped(
    document: TrafficDocument, state: RolloutState, seen: Seen, now_s: float, by: str
) -> TrafficDocument | None:
    if CANARY in document.killed:
        return abort(document, now_s=now_s, by=by, why=_killed(document))
    if seen.measured is None:
        return _blind(document, state, now_s, by)
    tried = _tried(state)
    verdicts = [judge(guardrail, seen.measured, tried, STABLE) for guardrail in state.plan.guardrails]
    bad = [verdict for verdict in verdicts if verdict.outcome is Outcome.BAD]
    if bad:
        why = "; ".join(f"{verdict.metric}: {verdict.why}" for verdict in bad)
        return abort(document, now_s=now_s, by=by, why=why, verdicts=verdicts)
    if state.blind:
        return _held(document, state, "measurements are back", now_s, by, verdicts)
    if state.paused or now_s - state.since_s < state.at_step.min_time:
        return None
    missing = _missing(state, seen.measured, verdicts)
    if missing:
        return _held(document, state, missing, now_s, by, verdicts)
    return _onward(document, state, seen.totals, verdicts, now_s, by)


def _onward(
    document: TrafficDocument,
    state: RolloutState,
    totals: Totals | None,
    verdicts: Sequence[Verdict],
    now_s: float,
    by: str,
) -> TrafficDocument | None:
    passed = f"step {state.step + 1} of {len(state.plan.steps)} passed"
    if state.step + 1 < len(state.plan.steps):
        return to_step(
            document,
            state.step + 1,
            why=passed,
            baseline=totals,
            now_s=now_s,
            by=by,
            verdicts=verdicts,
        )
    if not state.plan.promote:
        waits = f"{passed}; the plan leaves the decision to people"
        return _held(document, state, waits, now_s, by, verdicts)
    return promote(document, now_s=now_s, by=by, why=passed, verdicts=verdicts)


def _tried(state: RolloutState) -> str:
    """Return under which name this step's canary is counted."""
    return CANARY if state.at_step.share > 0 else SHADOW


def _exposures(state: RolloutState, measured: Measurements, verdicts: Sequence[Verdict]) -> int:
    """Return how many of the canary's answers every guardrail knows: lists are known later than counts."""
    figures = (measured.figures or {}).get(_tried(state), Figures())
    by_lists = {guardrail.metric for guardrail in state.plan.guardrails if guardrail.from_records}
    judging = {verdict.metric for verdict in verdicts if verdict.outcome is not Outcome.SKIPPED}
    if state.at_step.share == 0 or not by_lists & judging:
        return figures.answers
    outcomes = (measured.outcomes or {}).get(CANARY, Outcomes())
    return min(figures.answers, outcomes.lists)


def _missing(state: RolloutState, measured: Measurements, verdicts: Sequence[Verdict]) -> str:
    """Return what the step still waits for; nothing when nothing."""
    waits = []
    if _exposures(state, measured, verdicts) < state.at_step.min_exposures:
        waits.append(f"exposures ({state.at_step.min_exposures:,} needed)")
    waits += [verdict.metric for verdict in verdicts if verdict.outcome is Outcome.UNKNOWN]
    return f"too few data: {', '.join(waits)}" if waits else ""


def _blind(document: TrafficDocument, state: RolloutState, now_s: float, by: str) -> TrafficDocument | None:
    """Nobody sees what the canary does: hold, and after a while take it back."""
    if state.blind:
        blind_s = now_s - state.decisions[-1].at_s
        if blind_s >= state.plan.blind_for:
            return abort(document, now_s=now_s, by=by, why=f"no measurements for {blind_s:.0f} s")
    return _held(document, state, BLIND, now_s, by, ())


def _held(
    document: TrafficDocument,
    state: RolloutState,
    why: str,
    now_s: float,
    by: str,
    verdicts: Sequence[Verdict],
) -> TrafficDocument | None:
    """Write down why it holds; once, for nobody reads the same reason every second."""
    if state.decisions[-1].why == why:
        return None
    return hold(document, why=why, now_s=now_s, by=by, verdicts=verdicts)


def _killed(document: TrafficDocument) -> str:
    kill = document.killed[CANARY]
    return f"killed by {kill.by}" + (f": {kill.why}" if kill.why else "")
