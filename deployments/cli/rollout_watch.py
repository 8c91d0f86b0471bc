"""How ``marquee rollout watch`` follows a rollout: a picture on a terminal, lines elsewhere."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import typer
from rich.console import Console
from rich.live import Live

from deployments.control.show import summary
from recsys.core.clock import unix_clock
from recsys.rollout.state import Decision, RolloutState
from recsys.rollout.traffic_store import TrafficStore

_POLL_S = 1.0


def follow(store: TrafficStore, *, as_json: bool) -> RolloutState | None:
    """Show the rollout until it has ended; return the state in which it ended, None when there is none."""
    console = Console()
    if as_json:
        return _in_lines(store, _as_json)
    return _in_a_picture(store, console) if console.is_terminal else _in_lines(store, _as_line)


def _in_a_picture(store: TrafficStore, console: Console) -> RolloutState | None:
    document = store.read()
    with Live(summary(document, unix_clock()), console=console, auto_refresh=False) as live:
        while not _ended(document.rollout):
            time.sleep(_POLL_S)
            document = store.read()
            live.update(summary(document, unix_clock()), refresh=True)
    return document.rollout


def _in_lines(store: TrafficStore, told: Callable[[Decision], str]) -> RolloutState | None:
    """Print every decision as a line; return the state in which it ended."""
    n_printed = 0
    while True:
        state = store.read().rollout
        if state is not None:
            for decision in state.decisions[n_printed:]:
                typer.echo(told(decision))
            n_printed = len(state.decisions)
        if _ended(state):
            return state
        time.sleep(_POLL_S)


def _as_json(decision: Decision) -> str:
    return decision.model_dump_json()


def _as_line(decision: Decision) -> str:
    when = datetime.fromtimestamp(decision.at_s, UTC)
    return (
        f"{when:%Y-%m-%dT%H:%M:%SZ} {decision.what} to {decision.share:.1%} by {decision.by}: {decision.why}"
    )


def _ended(state: RolloutState | None) -> bool:
    return state is None or not state.under_way
