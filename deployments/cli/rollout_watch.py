"""How ``marquee rollout watch`` follows a rollout: a picture for people, lines for machines."""

import time

import typer
from rich.console import Console
from rich.live import Live

from deployments.control.show import summary
from recsys.core.clock import unix_clock
from recsys.rollout.state import RolloutState
from recsys.rollout.traffic_store import TrafficStore

_POLL_S = 1.0


def follow(store: TrafficStore) -> RolloutState | None:
    """Show the rollout until it has ended; return the state in which it ended, None when there is none."""
    document = store.read()
    with Live(summary(document, unix_clock()), console=Console(), auto_refresh=False) as live:
        while not _ended(document.rollout):
            time.sleep(_POLL_S)
            document = store.read()
            live.update(summary(document, unix_clock()), refresh=True)
    return document.rollout


def follow_as_json(store: TrafficStore) -> RolloutState | None:
    """Print every decision as a line; return the state in which it ended, None when there is none."""
    n_printed = 0
    while True:
        state = store.read().rollout
        if state is not None:
            for decision in state.decisions[n_printed:]:
                typer.echo(decision.model_dump_json())
            n_printed = len(state.decisions)
        if _ended(state):
            return state
        time.sleep(_POLL_S)


def _ended(state: RolloutState | None) -> bool:
    return state is None or not state.under_way
