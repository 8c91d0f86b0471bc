"""What a step still has to do, and who is told how it goes; whoever runs the trials knows these alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from recsys.training.two_stage import TrainingConfig
from tuning.journal import Ended, Outcome, Parameters
from tuning.objectives import Objective, Step
from tuning.ranges import Choices, Space
from tuning.settings_paths import Setting, all_paths
from tuning.sweep import Budget

_TREES = "boosting.n_trees"


@dataclass(frozen=True, slots=True)
class Plan:
    """The rest of one step."""

    step: Step
    base: TrainingConfig  # what every trial begins with
    space: Space
    objectives: tuple[Objective, ...]
    n_trials: int  # in all, those that are over among them
    time_left_s: float
    budget: Budget
    seed: int
    rows: Sequence[Ended]  # trials that are over
    first: Sequence[Parameters]  # to be tried before all others

    @property
    def n_left(self) -> int:
        """Trials that are still to be run."""
        return max(0, self.n_trials - len(self.rows))

    @property
    def settings_now(self) -> dict[str, Setting]:
        """What stands at each path before anything is searched."""
        return all_paths(self.base)

    @property
    def stops_early(self) -> bool:
        """Whether trials tell how good they are before they end, and may be stopped."""
        return self.objectives[0] is Objective.NDCG and self.step is not Step.RECALL

    @property
    def most_trees(self) -> int:
        """As many trees as any trial has."""
        values = self.space.get(_TREES)
        if values is None:
            return self.base.boosting.n_trees
        ends = values.choices if isinstance(values, Choices) else (values.high,)
        return int(max(end for end in ends if isinstance(end, int | float)))


class Listener(Protocol):
    """Is told of every trial, named by a key that is the runner's own."""

    def started(self, key: str, parameters: Parameters) -> None:
        """Note that a trial has begun."""
        ...

    def looked(self, key: str, n_trees: int, ndcg: float) -> None:
        """Note how far a trial is."""
        ...

    def died(self, key: str) -> None:
        """Note that the process of a trial is gone, and that it begins anew."""
        ...

    def ended(
        self, key: str, outcome: Outcome, measures: Mapping[Objective, float], *, error: str = ""
    ) -> None:
        """Note how a trial ended."""
        ...


class Runner(Protocol):
    """Runs the trials of a step."""

    def run(self, plan: Plan, listener: Listener) -> None:
        """Run up to ``plan.n_left`` trials in ``plan.time_left_s``; what is cut off then is never told of."""
        ...
