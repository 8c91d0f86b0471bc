"""From what Helm's values want to the traffic document: what to do next, as a pure function.

Values are read again and again, by a process that may die at any moment and be followed by another. So what
was made of a wish stands in the traffic document itself (:class:`~recsys.rollout.asked.Asked`), written with
the change that it led to.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from pydantic import Field, PositiveInt

from recsys.core.settings import FrozenModel
from recsys.registry.channels import Channels
from recsys.rollout import transitions
from recsys.rollout.asked import Asked
from recsys.rollout.controller import GRACE_S
from recsys.rollout.names import CANARY
from recsys.rollout.plan import DEFAULT_PLAN, RolloutPlan
from recsys.rollout.state import Phase, RolloutState
from recsys.rollout.traffic import TrafficDocument, first_document

_SALT = "marquee"
_RAISE = "raise model.attempt in the values to try it again"


class Wanted(FrozenModel):
    """What Helm's values want users to have."""

    bundle: str | None = Field(default=None, pattern=r"^([0-9a-f]{1,16}|stable|candidate)$")
    """A bundle's name, the beginning of one, or a channel. ``candidate`` is followed: whatever people or
    trainings put there comes by a canary. ``stable``, like nothing, is what the first users get, and asks for
    nothing afterwards, for the channel follows the rollouts."""
    plan: RolloutPlan = DEFAULT_PLAN
    """How another bundle comes to the users."""
    attempt: PositiveInt = 1
    """Raise it to try the same bundle by the same plan again."""

    @property
    def only_first(self) -> bool:
        """Whether it asks for nothing once users have a bundle."""
        return self.bundle in (None, "stable")


class Action(StrEnum):
    """What there is to do."""

    NOTHING = "nothing"  # all is as wanted, or under way, or left alone
    BLOCKED = "blocked"  # nothing, until somebody does what is said
    WAIT = "wait"  # a moment
    NOTE = "note"  # remember the request; users are not touched
    FIRST = "first"  # there was no document
    START = "start"
    ABORT = "abort"


@dataclass(frozen=True, slots=True)
class Move:
    """What there is to do, and why."""

    action: Action
    why: str
    what_to_do: str = ""  # by people
    document: TrafficDocument | None = None  # to be written


def request_of(wanted: Wanted, bundle: str) -> str:
    """Return the name of a request: the same for the same bundle, plan and attempt, in every release.

    Args:
        wanted: in the values.
        bundle: full name of the bundle that they mean.
    """
    plan = wanted.plan.model_dump(mode="json", exclude_defaults=True)  # a setting to come changes no name
    asks = json.dumps([bundle, plan, wanted.attempt], sort_keys=True)
    return f"{bundle[:6]}-{sha256(asks.encode()).hexdigest()[:12]}"


def candidate_of(channels: Channels, *, controller: str) -> str | None:
    """Return what somebody last put into the channel ``candidate``; the controller's own moves only echo."""
    moves = (move for move in reversed(channels.moves) if move.channel == "candidate")
    return next((move.to_bundle for move in moves if move.by != controller), None)


def next_move(
    document: TrafficDocument | None, wanted: Wanted, bundle: str, *, now_s: float, by: str
) -> Move:
    """Say what there is to do.

    A request (bundle, plan, attempt) is acted on once for as long as the values ask for it; it is not acted
    on again when its bundle was taken back, not even after the values have asked for something else in
    between. One that users had, or that was called off because the values changed, may come again: that is
    ``helm rollback``.

    A rollout that values asked for is called off when they ask for something else. One that a person
    started is left alone, unless the values have come to ask for another bundle since. While a promoted
    bundle is on hold, asking for the one before it is the instant way back. What is paused stays paused.

    Args:
        document: in force; None when there is none yet.
        wanted: in the values.
        bundle: full name of the bundle that they mean.
        now_s: Unix time.
        by: who writes, in decisions.
    """
    request = request_of(wanted, bundle)
    if document is None:
        return _first(request, bundle, now_s, by)
    serving = document.bundle_of(document.arms[0])
    if request == document.asked.request:
        return _acted_on(document, request, bundle, serving)
    state = document.rollout
    if state is not None and _in_the_way(document, state, request, bundle, serving):
        return _called_off(document, state, request, bundle, now_s, by)
    if bundle == serving or (state is not None and state.under_way and state.bundle == bundle):
        return _noted(document, request, bundle, now_s, by)
    return _blocked(document, request, bundle) or _started(document, wanted, request, bundle, now_s, by)


def _first(request: str, bundle: str, now_s: float, by: str) -> Move:
    asked = Asked(request=request)
    document = first_document(bundle, salt=_SALT, updated_s=now_s, updated_by=by, asked=asked)
    return Move(Action.FIRST, f"bundle {bundle} is the first that users get", document=document)


def _acted_on(document: TrafficDocument, request: str, bundle: str, serving: str) -> Move:
    state = document.rollout
    if bundle == serving:
        return Move(Action.NOTHING, f"users have bundle {bundle}")
    if state is not None and state.under_way and state.bundle == bundle:
        todo = "`marquee rollout resume` lets it go on" if state.paused else ""
        return Move(Action.NOTHING, f"bundle {bundle} is on its way to the users", todo)
    return _taken_back(document, request, bundle) or Move(
        Action.NOTHING, f"users have bundle {serving} and not {bundle}, by a person's decision", _RAISE
    )


def _in_the_way(
    document: TrafficDocument, state: RolloutState, request: str, bundle: str, serving: str
) -> bool:
    """Whether a rollout has to be called off for a request that was not acted on."""
    if state.phase is Phase.HOLDING:
        return bundle == state.stable_bundle
    if not state.under_way:
        return False
    if state.request is not None:
        return True
    return bundle not in (serving, state.bundle) and _blocked(document, request, bundle) is None


def _called_off(
    document: TrafficDocument, state: RolloutState, request: str, bundle: str, now_s: float, by: str
) -> Move:
    why = f"no longer wanted: values ask for bundle {bundle}"
    if bundle == state.bundle:
        why = f"no longer wanted: values ask for another way to bundle {bundle}"
    asked = document.asked.acted_on(request if bundle == state.stable_bundle else None)
    after = transitions.abort(document, now_s=now_s, by=by, why=why, asked=asked)
    return Move(Action.ABORT, why, document=after)


def _noted(document: TrafficDocument, request: str, bundle: str, now_s: float, by: str) -> Move:
    asked = document.asked.acted_on(request)
    after = document.successor(updated_s=now_s, updated_by=by, asked=asked)
    return Move(Action.NOTE, f"users have bundle {bundle}, or are about to", document=after)


def _blocked(document: TrafficDocument, request: str, bundle: str) -> Move | None:
    return _taken_back(document, request, bundle) or _killed(document, bundle)


def _taken_back(document: TrafficDocument, request: str, bundle: str) -> Move | None:
    if request not in document.asked.taken_back:
        return None
    state = document.rollout
    known = state is not None and state.request == request and state.phase is Phase.ABORTED
    why = f": {_abort_reason(state)}" if state is not None and known else ""
    return Move(Action.BLOCKED, f"bundle {bundle} was taken back{why}", _RAISE)


def _killed(document: TrafficDocument, bundle: str) -> Move | None:
    if CANARY not in document.killed:
        return None
    kill = document.killed[CANARY]
    why = f"{kill.by} killed the arm {CANARY}" + (f": {kill.why}" if kill.why else "")
    return Move(Action.BLOCKED, why, f"`marquee rollout revive` lets bundle {bundle} come")


def _abort_reason(state: RolloutState) -> str:
    return next(decision.why for decision in reversed(state.decisions) if decision.what == "abort")


def _started(
    document: TrafficDocument, wanted: Wanted, request: str, bundle: str, now_s: float, by: str
) -> Move:
    state = document.rollout
    if state is not None and not state.settled and now_s - state.since_s < GRACE_S:
        return Move(
            Action.WAIT, f"bundle {bundle} comes when lane {state.lane} is done with its last requests"
        )
    after = transitions.start(
        document,
        bundle,
        wanted.plan,
        rollout_id=f"w-{request}-{document.version + 1}",
        now_s=now_s,
        by=by,
        request=request,
    )
    return Move(Action.START, f"values ask for bundle {bundle}", document=after)
