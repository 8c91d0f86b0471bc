"""How a rollout stands, in a few texts that change only when something has happened."""

import io
from typing import Final

from rich.console import Console

from deployments.control.show import history_tables
from recsys.rollout.state import RolloutState
from recsys.rollout.traffic import TrafficDocument
from recsys.rollout.wanted import Action, Move, Wanted

_WIDTH: Final = 110


def standing(document: TrafficDocument | None, wanted: Wanted | None, move: Move) -> dict[str, str]:
    """Return what people ask first: phase, bundle, canary, share, why, what_to_do, wanted, history.

    Args:
        document: in force; None: there is none yet.
        wanted: what values want; None: nobody says.
        move: what there was to do for it.
    """
    state = None if document is None else document.rollout
    return {
        "phase": _phase(document, state),
        "bundle": "" if document is None else document.bundle_of(document.arms[0]),
        "canary": state.bundle if state is not None and state.under_way else "",
        "share": f"{state.decisions[-1].share:.1%}" if state is not None else "",
        "why": _why(state, move),
        "what_to_do": move.what_to_do,
        "wanted": "" if wanted is None or wanted.bundle is None else wanted.bundle,
        "history": "" if state is None else history_text(state),
    }


def history_text(state: RolloutState) -> str:
    """Return every decision of a rollout as a table."""
    console = Console(file=io.StringIO(), width=_WIDTH, color_system=None, legacy_windows=False)
    with console.capture() as captured:
        console.print(history_tables([state]))
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


def _phase(document: TrafficDocument | None, state: RolloutState | None) -> str:
    if document is None:
        return "waiting"
    if state is None:
        return "serving"
    return f"{state.phase}, paused" if state.paused else str(state.phase)


def _why(state: RolloutState | None, move: Move) -> str:
    if state is None or move.action in (Action.BLOCKED, Action.WAIT):
        return move.why
    return state.decisions[-1].why
