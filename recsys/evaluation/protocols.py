"""Run the table: fit each model on the past, ask it about every test user, compare."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import PositiveInt, field_validator

from recsys.core.clock import Clock, monotonic_clock
from recsys.core.errors import FieldError, UnavailableError
from recsys.core.settings import FrozenModel
from recsys.data.log import InteractionLog
from recsys.data.splits import Split, cut_for, global_time, leave_last_out
from recsys.evaluation.answers import Answers, ask
from recsys.evaluation.findings import findings
from recsys.evaluation.groups import BUCKETS, groups_of, tied_of
from recsys.evaluation.intervals import LEVEL, N_RESAMPLES, intervals, paired_differences
from recsys.evaluation.lists import CatalogueFacts, catalogue_facts, coverage, gini
from recsys.evaluation.meter import Measured, measured
from recsys.evaluation.model import Fit, Model
from recsys.evaluation.results import (
    ALL_USERS,
    COLD_USERS,
    COMPARED,
    FEWEST_USERS,
    UNTIED_USERS,
    WHOLE,
    Counts,
    Estimate,
    GroupResult,
    PairedDifference,
    Report,
    Row,
    Skipped,
)


class Protocol(StrEnum):
    """Which past a model may learn from."""

    LEAVE_LAST_OUT = "leave-last-out"
    GLOBAL_TIME = "global-time"


def split_by(protocol: Protocol, log: InteractionLog, *, test_share: float) -> Split:
    """Split a log; ``test_share`` is the newest part of all positions and counts for global time alone.

    Raises:
        FieldError: ``test_share`` is not strictly between 0 and 1, or the log is empty.
    """
    if protocol is Protocol.LEAVE_LAST_OUT:
        return leave_last_out(log)
    return global_time(log, cut_for(log, test_share))


class EvaluationConfig(FrozenModel):
    """What is measured."""

    ks: tuple[PositiveInt, ...] = (5, 10, 20)
    """Cuts of the accuracy metrics; 10 is the one that the report speaks of."""

    list_length: PositiveInt = 10
    """Places that diversity, novelty, popularity, coverage and Gini look at."""

    batch_users: PositiveInt = 512
    """Users asked at once."""

    n_resamples: PositiveInt = N_RESAMPLES
    """Bootstrap draws."""

    @field_validator("ks")
    @classmethod
    def _has_the_cut_of_the_report(cls, ks: tuple[int, ...]) -> tuple[int, ...]:
        if 10 not in ks:
            raise ValueError("10 must be among the cuts: the report speaks of NDCG@10")
        return ks


@dataclass(frozen=True, slots=True)
class Setting:
    """What the report says of where and when it was made."""

    data: str
    protocol: str
    machine: str
    date: str
    seed: int


Progress = Callable[[str, float], None]
"""Told what is being done and which share of it is done, in [0, 1]."""


def evaluate(
    split: Split,
    items: pl.DataFrame,
    fits: Mapping[str, Fit],
    setting: Setting,
    config: EvaluationConfig,
    *,
    clock: Clock = monotonic_clock,
    on_step: Progress = lambda _, __: None,
) -> Report:
    """Fit and ask every model, one after another, each forgotten before the next.

    Args:
        split: what may be learned from, who is asked, what is right.
        items: the catalogue, schema ``ITEMS``; row order gives the item rows of the split's logs.
        fits: models by name; the row named ``two-stage`` is compared with every other.
        setting: for the report, and the seed of the bootstrap.
        config: what is measured.
        clock: monotonic.
        on_step: told what is being done.

    Raises:
        FieldError: there is no test user, or a model breaks the contract of its lists.
    """
    if len(split) == 0:
        raise FieldError("split", "no test user", "at least one user with something held out")
    facts = catalogue_facts(split.train, items)
    groups = groups_of(split)
    rows: list[Row] = []
    skipped: list[Skipped] = []
    per_user: dict[str, dict[str, NDArray[np.float64]]] = {}
    for name, fit in fits.items():
        on_step(f"{name}: fit", 0.0)
        try:
            fitted = measured(partial(fit, split.train, items), clock=clock)
        except UnavailableError as error:
            skipped.append(Skipped(model=name, why=str(error)))
            continue
        answers = _ask(fitted.result, name, split, facts, config, clock, on_step)
        per_user[name] = answers.per_user
        rows.append(_row(name, fitted, answers, groups, config, setting.seed))
        del fitted
    differences = _differences(per_user, groups, config, setting.seed)
    return Report(
        data=setting.data,
        protocol=setting.protocol,
        rows=rows,
        skipped=skipped,
        differences=differences,
        findings=findings(rows, skipped, differences),
        counts=_counts(split),
        seed=setting.seed,
        n_resamples=config.n_resamples,
        level=LEVEL,
        machine=setting.machine,
        date=setting.date,
    )


def _ask(
    model: Model,
    name: str,
    split: Split,
    facts: CatalogueFacts,
    config: EvaluationConfig,
    clock: Clock,
    on_step: Progress,
) -> Answers:
    return ask(
        model,
        name,
        split,
        facts,
        ks=config.ks,
        list_length=config.list_length,
        batch_users=config.batch_users,
        clock=clock,
        on_share=lambda share: on_step(f"{name}: ask", share),
    )


def _row(
    name: str,
    fitted: Measured[Model],
    answers: Answers,
    groups: Mapping[str, NDArray[np.bool_]],
    config: EvaluationConfig,
    seed: int,
) -> Row:
    results = {
        group: _group(answers.per_user, members, config, seed, tuple(answers.per_user))
        for group, members in groups.items()
    }
    length = config.list_length
    return Row(
        model=name,
        metrics=results[ALL_USERS].metrics,
        exposure={
            f"coverage@{length}": coverage(answers.exposure),
            f"gini@{length}": gini(answers.exposure),
        },
        buckets={name: results[name] for name, _, _ in BUCKETS if name in results},
        cold=results.get(COLD_USERS),
        untied=results.get(UNTIED_USERS),
        fit_s=fitted.seconds,
        peak_mb=fitted.peak_mb,
        peak_is_of_fit=fitted.peak_is_of_call,
        answer_s=answers.answer_s,
        n_candidates=answers.n_candidates,
    )


def _group(
    per_user: Mapping[str, NDArray[np.float64]],
    members: NDArray[np.bool_],
    config: EvaluationConfig,
    seed: int,
    metrics: tuple[str, ...],
) -> GroupResult:
    values = np.stack([per_user[metric][members] for metric in metrics], axis=1)
    found = intervals(values, seed=seed, n_resamples=config.n_resamples)
    estimates = (Estimate(value=each.value, low=each.low, high=each.high) for each in found)
    return GroupResult(n_users=int(members.sum()), metrics=dict(zip(metrics, estimates, strict=True)))


def _differences(
    per_user: Mapping[str, Mapping[str, NDArray[np.float64]]],
    groups: Mapping[str, NDArray[np.bool_]],
    config: EvaluationConfig,
    seed: int,
) -> list[PairedDifference]:
    """Compare the whole pipeline with every other model, in every group; nothing when it is absent."""
    if WHOLE not in per_user:
        return []
    found: list[PairedDifference] = []
    for other in (name for name in per_user if name != WHOLE):
        for group, members in groups.items():
            ours, theirs = (
                np.stack([per_user[name][metric][members] for metric in COMPARED], axis=1)
                for name in (WHOLE, other)
            )
            pairs = paired_differences(ours, theirs, seed=seed, n_resamples=config.n_resamples)
            found += [
                PairedDifference(
                    model=WHOLE,
                    against=other,
                    metric=metric,
                    group=group,
                    n_users=int(members.sum()),
                    value=each.value,
                    low=each.low,
                    high=each.high,
                    p=each.p,
                    significant=each.significant and int(members.sum()) >= FEWEST_USERS,
                )
                for metric, each in zip(COMPARED, pairs, strict=True)
            ]
    return found


def _counts(split: Split) -> Counts:
    return Counts(
        n_items=split.full.n_items,
        n_users=split.full.n_users,
        n_train_events=len(split.train.item_rows),
        n_test_users=len(split),
        n_targets=split.n_targets,
        n_cold_users=int(split.cold.sum()),
        n_tied_users=int(tied_of(split).sum()),
        n_seen_targets=split.n_seen_targets,
        n_repeated_targets=split.n_repeated_targets,
        n_untested_users=split.n_untested_users,
    )
