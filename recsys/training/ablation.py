"""What each part of the pipeline is worth: leave it out, or change a setting, and ask the same users.

Everything is judged on a validation split; the positions that a test would ask for are cut off before
anything is fitted or asked, so looking at this table any number of times tells nothing of the test.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray
from pydantic import PositiveInt, ValidationError

from recsys.core.clock import Clock, monotonic_clock
from recsys.core.errors import FieldError
from recsys.core.settings import FrozenModel
from recsys.data.log import InteractionLog
from recsys.data.splits import Split, cut_for, each_of_the_last, global_time, leave_last_out
from recsys.evaluation.answers import CANDIDATE_RECALL, ask
from recsys.evaluation.groups import sample_tests
from recsys.evaluation.intervals import paired_differences
from recsys.evaluation.lists import catalogue_facts
from recsys.evaluation.protocols import Protocol
from recsys.pipeline.stages import TwoStage
from recsys.ranking.matrix import FEATURE_GROUPS, Knowledge
from recsys.training.cross_fit import Step, TrainingRows
from recsys.training.two_stage import TrainingConfig, fit_from_rows, serving_knowledge, training_rows

METRICS = ("ndcg@10", "recall@10", CANDIDATE_RECALL)


class AblationConfig(FrozenModel):
    """How the arms are judged."""

    n_positions: PositiveInt = 10
    """Leave-last-out: questions per user, the positions before the last one."""

    max_questions: PositiveInt = 6_000
    """A sample of the questions is asked when there are more."""

    batch_users: PositiveInt = 16
    """Questions asked at once; the milliseconds per request are those of such a batch."""

    n_resamples: PositiveInt = 1_000
    """Bootstrap draws of users."""


class Worth(FrozenModel):
    """A mean over users, and how it differs from that of the base."""

    value: float
    difference: float
    low: float
    high: float


class ArmRow(FrozenModel):
    """One line of the table."""

    arm: str
    metrics: dict[str, Worth]
    fit_s: float
    n_rows: int  # the ranker learned from
    ms_per_request: float


def validation_split(
    log: InteractionLog, protocol: Protocol, config: AblationConfig, *, test_share: float = 0.1, seed: int = 0
) -> Split:
    """Cut off what a test would ask for, and ask about what comes before it.

    Args:
        log: everything.
        protocol: under leave-last-out the last ``n_positions`` but one are asked each; under global time
            the newest ``test_share`` of what is left after the test's cut.
        config: how many questions.
        test_share: as in the evaluation; for global time alone.
        seed: of the sample.
    """
    if protocol is Protocol.LEAVE_LAST_OUT:
        split = each_of_the_last(leave_last_out(log).train, config.n_positions)
    else:
        past = global_time(log, cut_for(log, test_share)).train
        split = global_time(past, cut_for(past, test_share))
    return sample_tests(split, config.max_questions, seed=seed)


def group_arms(base: TrainingConfig) -> dict[str, TrainingConfig]:
    """Return the arms that leave out one group of features each."""
    return {
        f"without {group}": _changed(base, {"boosting": {"left_out": list(names)}})
        for group, names in FEATURE_GROUPS.items()
    }


def arms_of(base: TrainingConfig, changes: Mapping[str, Mapping[str, Any]]) -> dict[str, TrainingConfig]:
    """Return the base with each of the named changes, as ``{"deep": {"boosting": {"max_depth": 8}}}``.

    Raises:
        FieldError: a setting is unknown or out of range.
    """
    return {name: _changed(base, change) for name, change in changes.items()}


def ablate(
    split: Split,
    items: pl.DataFrame,
    base: TrainingConfig,
    arms: Mapping[str, TrainingConfig],
    config: AblationConfig,
    *,
    seed: int = 0,
    clock: Clock = monotonic_clock,
    on_step: Step = lambda _, __: None,
) -> list[ArmRow]:
    """Fit and ask the base and every arm, one after another; what an arm shares with the base is reused.

    Args:
        split: what may be learned from, who is asked, what is right.
        items: the catalogue.
        base: what everything is compared with; the first row.
        arms: by name.
        config: how they are judged.
        seed: of the bootstrap.
        clock: monotonic.
        on_step: told what is being done.

    Raises:
        FieldError: there is no question.
    """
    if len(split) == 0:
        raise FieldError("split", "no question", "at least one user with something held out")
    parts = _Parts(split.train, items, clock)
    rows: list[ArmRow] = []
    of_base: NDArray[np.float64] | None = None
    for name, arm in {"base": base, **arms}.items():
        on_step(f"{name}: fit", 0.0)
        model, fit_s, n_rows = parts.fit(arm, keep=of_base is None)
        on_step(f"{name}: ask", 0.0)
        values, ms_per_request = _judged(model, name, split, items, config, clock)
        of_base = values if of_base is None else of_base
        pairs = paired_differences(values, of_base, seed=seed, n_resamples=config.n_resamples)
        worths = {
            metric: Worth(value=float(value), difference=pair.value, low=pair.low, high=pair.high)
            for metric, value, pair in zip(METRICS, values.mean(axis=0), pairs, strict=True)
        }
        rows.append(
            ArmRow(arm=name, metrics=worths, fit_s=fit_s, n_rows=n_rows, ms_per_request=ms_per_request)
        )
    return rows


def _judged(
    model: TwoStage, name: str, split: Split, items: pl.DataFrame, config: AblationConfig, clock: Clock
) -> tuple[NDArray[np.float64], float]:
    """Return the metrics of each user, shape (users, metrics), the mean over the user's questions; and ms."""
    answers = ask(
        model,
        name,
        split,
        catalogue_facts(split.train, items),
        ks=(10,),
        list_length=10,
        batch_users=config.batch_users,
        clock=clock,
    )
    _, user = np.unique(split.test_users, return_inverse=True)
    sums = [np.bincount(user, answers.per_user[metric]) for metric in METRICS]
    return np.stack(sums, axis=1) / np.bincount(user)[:, None], 1e3 * answers.answer_s / len(split)


@dataclass(slots=True)
class _Parts:
    """Fits arms; training rows and knowledge of the arms to keep are used again where settings are equal."""

    log: InteractionLog
    items: pl.DataFrame
    clock: Clock
    rows: dict[bytes, tuple[TrainingRows, float]] = field(default_factory=dict)
    known: dict[bytes, tuple[Knowledge, float]] = field(default_factory=dict)

    def fit(self, config: TrainingConfig, *, keep: bool) -> tuple[TwoStage, float, int]:
        """Return the pipeline, the seconds that its fit takes, and how many rows the ranker learned from."""
        rows, rows_s = self._rows(config, keep)
        known, known_s = self._known(config, keep)
        began_s = self.clock()
        model = fit_from_rows(self.log, self.items, config, rows, known)
        return model, rows_s + known_s + self.clock() - began_s, len(rows.labels)

    def _rows(self, config: TrainingConfig, keep: bool) -> tuple[TrainingRows, float]:
        key = _key(config, {"knowledge", "cross_fit", "max_tags", "seed"})
        if key in self.rows:
            return self.rows[key]
        began_s = self.clock()
        made = training_rows(self.log, self.items, config), self.clock() - began_s
        if keep:
            self.rows[key] = made
        return made

    def _known(self, config: TrainingConfig, keep: bool) -> tuple[Knowledge, float]:
        key = _key(config, {"knowledge", "max_tags", "seed"})
        if key in self.known:
            return self.known[key]
        began_s = self.clock()
        made = serving_knowledge(self.log, self.items, config), self.clock() - began_s
        if keep:
            self.known[key] = made
        return made


def _key(config: TrainingConfig, parts: set[str]) -> bytes:
    return orjson.dumps(config.model_dump(mode="json", include=parts))


def _changed(base: TrainingConfig, change: Mapping[str, Any]) -> TrainingConfig:
    try:
        return TrainingConfig.model_validate(_merged(base.model_dump(), change))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise FieldError(name, repr(first["input"])[:80], first["msg"]) from error


def _merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    deeper = {
        name: _merged(base[name], value)
        for name, value in change.items()
        if isinstance(value, Mapping) and isinstance(base.get(name), Mapping)
    }
    return {**base, **change, **deeper}
