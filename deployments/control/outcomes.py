"""What became of the arms' lists, for guardrails of users: from exposures and events on the disk."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from recsys.core.clock import Clock
from recsys.core.errors import UnavailableError
from recsys.core.pseudonyms import Pseudonyms
from recsys.experiments.follower import Follower, Tally
from recsys.experiments.interleaving import INTERLEAVED
from recsys.experiments.measurements import Outcomes
from recsys.experiments.moments import Moments, moments_by_group, moments_of
from recsys.rollout.state import RolloutState

_RATES: Final = {"watch_rate": "watches", "click_rate": "clicks", "skip_rate": "skips"}


class RecordedOutcomes:
    """Reads what routers write down of their answers, and what clients send.

    Args:
        exposures: the folder of exposures.
        events: the event log, a folder or Kafka's address.
        key: file of the key of pseudonyms.
        clock: Unix time.
    """

    def __init__(self, exposures: Path, events: Path | str, key: Path, *, clock: Clock) -> None:
        self._folders = exposures, events
        self._key = key
        self._clock = clock
        self._follower: Follower | None = None  # the key is there once a router runs

    def read(self, state: RolloutState) -> Mapping[str, Outcomes]:
        """Return what became of the lists since the step began, by arm.

        Raises:
            UnavailableError: nothing fresh is there.
        """
        now_s = self._clock()
        try:
            self._follower = self._follower or Follower(*self._folders, Pseudonyms.of_file(self._key))
            tally = self._follower.tally(state.since_s, now_s)
        except OSError as error:
            raise UnavailableError("exposures and events", str(error)) from error
        newest_s = max(tally.as_of_s or 0.0, state.since_s)  # in the beginning there is nothing yet
        if now_s - newest_s > state.plan.max_age:
            raise UnavailableError("exposures", f"the newest is {now_s - newest_s:.0f} s old")
        return outcomes_of(tally)


def outcomes_of(tally: Tally) -> dict[str, Outcomes]:
    """Return the outcomes of every arm in a tally."""
    arms = list(tally.arms)
    groups = np.array([arms.index(arm) for arm in tally.units["arm"].to_list()], dtype=np.int64)
    shown = tally.units["impressions"].to_numpy()
    rates: dict[str, list[Moments]] = {
        rate: moments_by_group(groups, len(arms), tally.units[column].to_numpy(), shown)
        for rate, column in _RATES.items()
    }
    drafted = tally.units.filter(pl.col("arm") == INTERLEAVED)
    preference = {"preference": moments_of(drafted["drafted_canary"], drafted["drafted_chosen"])}
    return {
        arm: Outcomes(
            users=found.units,
            lists=found.lists,
            coverage=float(found.distinct_items) if len(arms) > 1 and tally.coverage_lists else None,
            rates={rate: rates[rate][row] for rate in _RATES} | (preference if arm == INTERLEAVED else {}),
        )
        for row, (arm, found) in enumerate(tally.arms.items())
    }
