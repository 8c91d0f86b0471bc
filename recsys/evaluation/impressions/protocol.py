"""Run the table: fit each model on the past, let it score what was shown later, compare."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.clock import Clock, monotonic_clock
from recsys.core.errors import FieldError, UnavailableError
from recsys.data.impressions import Target
from recsys.data.shown import SESSION_GAP_S, ShownLog
from recsys.evaluation.impressions.findings import findings
from recsys.evaluation.impressions.judged import METRICS, Judged, Question, judge
from recsys.evaluation.impressions.results import (
    Asked,
    Cost,
    ImpressionReport,
    Judgement,
    Shower,
    group_name,
)
from recsys.evaluation.impressions.scoring import score_shown
from recsys.evaluation.impressions.split import ImpressionSplit
from recsys.evaluation.intervals import LEVEL, N_RESAMPLES, difference_of, interval_of
from recsys.evaluation.meter import measured
from recsys.evaluation.model import Fit, ScoringModel
from recsys.evaluation.protocols import Progress, Setting
from recsys.evaluation.results import FEWEST_USERS, Estimate, PairedDifference, Skipped

Answered = dict[str, Judged]
"""By model, in the order of the table."""


@dataclass(frozen=True, slots=True)
class _Part:
    """One question, and which impressions it is about."""

    target: Target
    shower: Shower
    kept: NDArray[np.bool_]  # shape (impressions of the test,)
    question: Question


@dataclass(frozen=True, slots=True)
class _Table:
    """What the models answered so far."""

    costs: list[Cost]
    skipped: list[Skipped]
    answered: list[Answered]  # one per part


def evaluate_impressions(
    split: ImpressionSplit,
    items: pl.DataFrame,
    fits: Mapping[str, Fit],
    setting: Setting,
    *,
    targets: Sequence[Target],
    ours: Sequence[str],
    n_resamples: int = N_RESAMPLES,
    gap_s: float = SESSION_GAP_S,
    clock: Clock = monotonic_clock,
    on_step: Progress = lambda _, __: None,
) -> ImpressionReport:
    """Fit and ask every model, one after another, each forgotten before the next.

    Args:
        split: what may be learned from, and the impressions that are asked about.
        items: the catalogue, schema ``ITEMS``; row order gives the item rows.
        fits: models by name; one that cannot score given items is skipped with that reason.
        setting: for the report, and the seed of the bootstrap.
        targets: questions to each impression.
        ours: the names of the models that are compared with every other.
        n_resamples: bootstrap draws of users.
        gap_s: that sessions were made with, for the report.
        clock: monotonic.
        on_step: told what is being done.

    Raises:
        FieldError: nobody answered one of the targets, or no user has both answers; or a model's scores are
            not finite.
    """
    parts = list(_parts(split.test, targets))
    table = _Table([], [], [{} for _ in parts])
    for name, fit in fits.items():
        on_step(f"{name}: fit", 0.0)
        try:
            fitted = measured(partial(fit, split.train, items), clock=clock)
        except UnavailableError as error:
            table.skipped.append(Skipped(model=name, why=str(error)))
            continue
        if not isinstance(fitted.result, ScoringModel):
            table.skipped.append(Skipped(model=name, why="it has no score for a given item"))
            continue
        began_s = clock()
        on_share = partial(on_step, f"{name}: ask")
        scores = score_shown(fitted.result, name, split.full, split.test, on_share=on_share)
        table.costs.append(Cost(model=name, fit_s=fitted.seconds, answer_s=clock() - began_s))
        del fitted
        on_step(f"{name}: judge", 0.0)
        for part, answered in zip(parts, table.answered, strict=True):
            answered[name] = judge(
                part.question, scores[part.kept], seed=setting.seed, n_resamples=n_resamples
            )
    return _report(split, setting, parts, table, ours, n_resamples, gap_s)


def _report(
    split: ImpressionSplit,
    setting: Setting,
    parts: Sequence[_Part],
    table: _Table,
    ours: Sequence[str],
    n_resamples: int,
    gap_s: float,
) -> ImpressionReport:
    pairs = list(zip(parts, table.answered, strict=True))
    differences = [pair for part, answered in pairs for pair in _differences(part, answered, ours)]
    return ImpressionReport(
        data=setting.data,
        test_days=split.n_days,
        gap_s=gap_s,
        asked=[_asked(part) for part in parts],
        judgements=[each for part, answered in pairs for each in _judgements(part, answered)],
        costs=table.costs,
        skipped=table.skipped,
        differences=differences,
        findings=findings(differences, table.skipped),
        n_items=split.full.n_items,
        n_train_events=len(split.train.item_rows),
        n_past_impressions=len(split.past.item_rows),
        n_sessions=split.test.n_sessions,
        n_across=split.n_across,
        n_users_without_past=_n_without_past(split),
        n_unknown_items=split.test.n_unknown_items,
        seed=setting.seed,
        n_resamples=n_resamples,
        level=LEVEL,
        machine=setting.machine,
        date=setting.date,
    )


def _parts(test: ShownLog, targets: Sequence[Target]) -> Iterator[_Part]:
    for target in targets:
        if target not in test.answers:
            raise FieldError("target", target.value, f"one of: {', '.join(test.answers)}")
        for shower, kept in ((Shower.RECOMMENDER, ~test.at_random), (Shower.CHANCE, test.at_random)):
            if not kept.any():
                continue
            users = np.unique(test.user_of[kept], return_inverse=True)[1].astype(np.int64)
            question = Question(users, test.surfaces[kept], test.answers[target][kept])
            if not question.mixed.any():
                raise FieldError(
                    "impressions", "nobody with both answers", "users who chose some of the shown"
                )
            yield _Part(target, shower, kept, question)


def _asked(part: _Part) -> Asked:
    mixed, n_shown = part.question.mixed, np.bincount(part.question.users)
    return Asked(
        target=part.target,
        shower=part.shower,
        n_users=part.question.n_users,
        n_impressions=len(part.question.users),
        chosen_share=float(part.question.chosen.mean()),
        n_mixed_users=int(mixed.sum()),
        n_mixed_impressions=int(n_shown[mixed].sum()),
        n_within_ten=int((n_shown[mixed] <= 10).sum()),
    )


def _judgements(part: _Part, answered: Answered) -> Iterator[Judgement]:
    for name, judged in answered.items():
        found = {
            metric: interval_of(value, judged.resampled[metric])
            for metric, value in judged.values.items()
            if not np.isnan(value)
        }
        estimates = {
            metric: Estimate(value=each.value, low=each.low, high=each.high) for metric, each in found.items()
        }
        yield Judgement(model=name, target=part.target, shower=part.shower, metrics=estimates)


def _differences(part: _Part, answered: Answered, ours: Sequence[str]) -> Iterator[PairedDifference]:
    n_users = int(part.question.mixed.sum())
    for own in (name for name in ours if name in answered):
        for other in (name for name in answered if name != own):
            for metric in (each for each in METRICS if not np.isnan(answered[own].values[each])):
                pair = difference_of(
                    answered[own].values[metric] - answered[other].values[metric],
                    answered[own].resampled[metric] - answered[other].resampled[metric],
                )
                yield PairedDifference(
                    model=own,
                    against=other,
                    metric=metric,
                    group=group_name(part.target, part.shower),
                    n_users=n_users,
                    value=pair.value,
                    low=pair.low,
                    high=pair.high,
                    p=pair.p,
                    significant=pair.significant and n_users >= FEWEST_USERS,
                )


def _n_without_past(split: ImpressionSplit) -> int:
    """Count the users whose first session of the test finds no positive interaction before it."""
    test = split.test
    first = np.diff(test.users, prepend=-1) != 0
    known = test.log_users >= 0
    starts = np.where(known, split.full.offsets[test.log_users], 0)
    return int((first & (~known | (test.stops == starts))).sum())
