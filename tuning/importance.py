"""How much each parameter matters for an objective.

Source: Watanabe et al., "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in Arbitrary
Subspaces", IJCAI 2023.
"""

import warnings
from collections.abc import Mapping, Sequence

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.importance import PedAnovaImportanceEvaluator

from tuning.choice import finished
from tuning.journal import Ended
from tuning.objectives import Objective
from tuning.search import directions, told

FEWEST_TRIALS = 8
"""Of fewer nothing is said."""


def importance(
    rows: Sequence[Ended], space: Mapping[str, BaseDistribution], objective: Objective
) -> dict[str, float]:
    """Return the share of each parameter, the largest first; they sum to 1.

    Nothing of fewer than :data:`FEWEST_TRIALS` finished trials, nor when all were equally good.

    Args:
        rows: of one step; only finished trials count.
        space: distributions by path.
        objective: what is explained.
    """
    done = finished(rows)
    if len(done) < FEWEST_TRIALS or len({row.measures[objective] for row in done}) < 2:
        return {}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction=directions([objective])[0])
    study.add_trials([told(row, space, [objective]) for row in done])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        shares = optuna.importance.get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    return dict(sorted(shares.items(), key=lambda share: -share[1]))
