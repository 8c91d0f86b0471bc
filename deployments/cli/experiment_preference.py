"""``marquee experiment preference``: whose items users choose of lists in which two bundles take turns."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from deployments.cli.experiment_change import DEFAULT_HOME, HomeOption, JsonOption
from deployments.cli.traffic_option import TrafficOption, traffic_store
from deployments.control.outcomes import outcomes_of
from recsys.core.clock import unix_clock
from recsys.core.errors import NotFoundError
from recsys.core.pseudonyms import Pseudonyms
from recsys.experiments.follower import Follower
from recsys.experiments.interleaving import INTERLEAVED, Preference, preference_of
from recsys.experiments.measurements import Outcomes
from recsys.experiments.moments import Moments

_CLOSEST = 2_000  # users at which the interval is narrowest


def preference(
    *,
    home: HomeOption = DEFAULT_HOME,
    traffic: TrafficOption = None,
    alpha: Annotated[
        float, typer.Option(min=1e-9, max=0.5, help="Odds of an interval that is ever wrong.")
    ] = 0.05,
    as_json: JsonOption = False,
) -> None:
    """Say which bundle users prefer, from the interleaved lists of the running or last rollout."""
    state = traffic_store(traffic, home).read().rollout
    if state is None:
        raise NotFoundError("rollout", "now")
    key = home / "exposures.key"
    if not key.is_file():
        raise NotFoundError("exposures", str(home / "exposures"))
    follower = Follower(home / "exposures", home / "events", Pseudonyms.of_file(key))
    lists = outcomes_of(follower.tally(state.decisions[0].at_s, unix_clock())).get(INTERLEAVED, Outcomes())
    found = preference_of(lists.rates.get("preference", Moments()), alpha=alpha, closest=_CLOSEST)
    if as_json:
        said = {"rollout": state.id, "bundle": state.bundle, "lists": lists.lists, **asdict(found)}
        typer.echo(json.dumps({**said, "preferred": found.in_words}))
    else:
        typer.echo(_in_sentences(found, lists.lists, state.bundle, state.stable_bundle, alpha))


def _in_sentences(found: Preference, n_lists: int, canary: str, stable: str, alpha: float) -> str:
    shown = f"{n_lists:,} interleaved lists of {canary} and {stable}, {found.users:,} users"
    if found.share is None:
        return f"{shown}: nothing chosen yet"
    sure = f"between {found.lower:.1%} and {found.upper:.1%} whenever one looks, {1 - alpha:.0%} sure"
    return (
        f"{shown}\n{found.share:.1%} of {found.chosen:,.0f} items that they chose were picked by the canary "
        f"({sure}): {found.in_words}"
    )
