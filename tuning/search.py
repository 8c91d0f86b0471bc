"""What is tried next: Optuna's samplers, told of everything that has been tried.

With one objective TPE (Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011), with
several its multi-objective form (Ozaki et al., "Multiobjective Tree-Structured Parzen Estimator", JAIR 2022).
This file and :mod:`tuning.importance` alone know Optuna.
"""

import warnings
from collections.abc import Mapping, Sequence
from math import isfinite

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, TPESampler
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from tuning.journal import Ended, Outcome, Parameters
from tuning.objectives import MEANINGS, Objective
from tuning.ranges import Choices, Range, Space
from tuning.settings_paths import Setting

STUDY = "sweep"
_LEAST_AT_RANDOM = 4
_SHARE_AT_RANDOM = 0.2  # of the trials, before the sampler begins to learn


def distributions(space: Space, now: Mapping[str, Setting]) -> dict[str, BaseDistribution]:
    """Return the space in Optuna's words.

    Args:
        space: ranges by path.
        now: the value that stands at each path; it tells whole numbers from others.
    """
    return {path: _distribution(values, now[path]) for path, values in space.items()}


def _distribution(values: Range, now: Setting) -> BaseDistribution:
    if isinstance(values, Choices):
        return CategoricalDistribution(values.choices)
    if isinstance(now, int) or (now is None and values.is_whole):
        return IntDistribution(int(values.low), int(values.high), log=values.log)
    return FloatDistribution(float(values.low), float(values.high), log=values.log)


def directions(objectives: Sequence[Objective]) -> list[StudyDirection]:
    """Return for each whether more or less of it is wanted."""
    more, less = StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE
    return [more if MEANINGS[each].larger_is_better else less for each in objectives]


def sampler(seed: int, n_trials: int, n_known: int) -> BaseSampler:
    """Return what suggests trials.

    Args:
        seed: of the sweep.
        n_trials: of the step, in all.
        n_known: trials that are over already. A resumed search goes on with other random numbers: with the
            same ones, it would suggest its first trials again.
    """
    at_random = max(_LEAST_AT_RANDOM, round(_SHARE_AT_RANDOM * n_trials))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # said of both switches since Optuna 2
        return TPESampler(
            seed=seed + 7_919 * n_known,
            n_startup_trials=at_random,
            multivariate=True,  # drawn together: number of trees and learning rate depend on each other
            constant_liar=True,  # a trial under way counts as bad, so that two at a time do not try the same
        )


def storage_told(
    space: Mapping[str, BaseDistribution],
    objectives: Sequence[Objective],
    rows: Sequence[Ended],
    first: Sequence[Parameters],
) -> BaseStorage:
    """Return a study in memory, under the name :data:`STUDY`, that knows what was tried.

    Args:
        space: distributions by path.
        objectives: what is looked for; the study has one direction each.
        rows: trials that are over; they will not be suggested for their own sake.
        first: trials to be suggested before all others, in this order.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it tells of every study and trial otherwise
    storage = InMemoryStorage()
    study = optuna.create_study(
        storage=storage, study_name=STUDY, directions=directions(objectives), load_if_exists=False
    )
    study.add_trials([told(row, space, objectives) for row in rows])
    for parameters in first:
        study.enqueue_trial(dict(parameters))
    return storage


def told(row: Ended, space: Mapping[str, BaseDistribution], objectives: Sequence[Objective]) -> FrozenTrial:
    """Return a row as Optuna sees it: complete, pruned (with one objective), or failed."""
    values = [row.measures.get(objective) for objective in objectives]
    known = [value for value in values if value is not None and isfinite(value)]
    state = TrialState.FAIL
    if row.outcome is Outcome.FINISHED and len(known) == len(objectives):
        state = TrialState.COMPLETE
    elif row.outcome is Outcome.STOPPED and len(objectives) == 1:
        state = TrialState.PRUNED
    return create_trial(
        state=state,
        values=known if state is TrialState.COMPLETE else None,
        params=dict(row.parameters),
        distributions=dict(space),
        intermediate_values=(
            {point.n_trees: point.ndcg for point in row.curve} if state is TrialState.PRUNED else None
        ),
    )
