"""The gate: no bundle is published whose pipeline does worse than a list anybody could make.

The pipeline is fitted once more without the last position of every user and asked for it, side by side with
simple baselines on the same users. It is refused when it is significantly worse than one of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import polars as pl
from pydantic import PositiveInt

from recsys.core.errors import RecsysError
from recsys.core.settings import FrozenModel
from recsys.data.log import InteractionLog
from recsys.data.shown import ShownLog
from recsys.data.splits import Split, leave_last_out
from recsys.evaluation.baselines import BASELINES
from recsys.evaluation.groups import sample_tests
from recsys.evaluation.impressions.split import known_by
from recsys.evaluation.model import Fit
from recsys.evaluation.protocols import EvaluationConfig, Protocol, Setting, evaluate
from recsys.evaluation.results import ALL_USERS, MAIN_METRIC, WHOLE, PairedDifference, Row
from recsys.training.cross_fit import Step
from recsys.training.two_stage import TrainingConfig, fit_two_stage


class GateClosedError(RecsysError):
    """The pipeline did worse than a baseline; nothing was published."""

    def __init__(self, baseline: str, metric: str, low: float, high: float) -> None:
        super().__init__(baseline, metric, low, high)

    def __str__(self) -> str:
        baseline, metric, low, high = self.args
        return (
            f"the gate stays closed: {metric} of the pipeline less that of {baseline} lies in "
            f"[{low:.4f}, {high:.4f}], all of it below 0 (publish all the same: --no-gate)"
        )


class GateConfig(FrozenModel):
    """What a pipeline must not be worse than."""

    baselines: tuple[str, ...] = ("popularity", "recent-popularity")
    """Names from :data:`recsys.evaluation.baselines.BASELINES`."""

    max_users: PositiveInt = 2_000
    """A sample is enough to see harm."""


def pass_gate(
    log: InteractionLog,
    items: pl.DataFrame,
    training: TrainingConfig,
    config: GateConfig,
    *,
    date: str,
    shown: ShownLog | None = None,
    on_step: Step = lambda _, __: None,
) -> dict[str, float]:
    """Return NDCG@10 of the pipeline and of every baseline; empty when there is nobody to ask.

    Args:
        log: everything that training may learn from.
        items: the catalogue.
        training: settings of the pipeline.
        config: what it is compared with.
        date: for the report.
        shown: impressions with stops in ``log``; those that tell of the answers are not learned from.
        on_step: told what is being done.

    Raises:
        GateClosedError: the pipeline is significantly worse than a baseline.
    """
    split = sample_tests(leave_last_out(log), config.max_users, seed=training.seed)
    whole: Fit = partial(
        fit_two_stage,
        config=training,
        shown=None if shown is None else known_by(shown, split),
        on_step=lambda name, share: on_step(f"gate: {name}", share),
    )
    return pass_with(whole, split, items, config, date=date, seed=training.seed)


def held_out_of_some(log: InteractionLog, config: GateConfig, *, seed: int) -> Split:
    """Ask a sample of users for their last position, and hold out nothing but these answers.

    So what may be learned from differs from the whole log in as many rows as there are questions, and sums
    that were counted over the log are soon brought to it.
    """
    split = sample_tests(leave_last_out(log), config.max_users, seed=seed)
    stops = log.offsets[1:].copy()
    stops[split.test_users] = split.test_stops
    return replace(split, train=log.select(np.arange(len(log.item_rows)) < np.repeat(stops, log.lengths)))


def pass_with(
    whole: Fit, split: Split, items: pl.DataFrame, config: GateConfig, *, date: str, seed: int
) -> dict[str, float]:
    """Return NDCG@10 of what ``whole`` fits and of every baseline; see :func:`pass_gate`."""
    if len(split) == 0:
        return {}
    fits: Mapping[str, Fit] = {**{name: BASELINES[name] for name in config.baselines}, WHOLE: whole}
    setting = Setting("gate", Protocol.LEAVE_LAST_OUT.value, "", date, seed)
    report = evaluate(split, items, fits, setting, EvaluationConfig(), on_step=lambda _, __: None)
    return judged(report.rows, report.differences, config)


def judged(
    rows: Sequence[Row], differences: Sequence[PairedDifference], config: GateConfig
) -> dict[str, float]:
    """Return NDCG@10 of the pipeline and of every baseline that it was measured beside.

    Raises:
        GateClosedError: the pipeline is significantly worse than one of them.
    """
    for pair in differences:
        counts = (pair.metric, pair.group) == (MAIN_METRIC, ALL_USERS) and pair.against in config.baselines
        if counts and pair.significant and pair.high < 0.0:
            raise GateClosedError(pair.against, pair.metric, pair.low, pair.high)
    asked = (WHOLE, *config.baselines)
    return {row.model: round(row.metrics[MAIN_METRIC].value, 4) for row in rows if row.model in asked}
