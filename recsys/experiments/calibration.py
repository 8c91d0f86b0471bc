"""Does the analysis keep its promises? Experiments with a known truth, through the code that judges all.

Every day brings new users (:mod:`recsys.experiments.simulated_users`), a fair coin deals them, and every day
is looked at.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, PositiveInt

from recsys.core.settings import FrozenModel
from recsys.experiments.cuped import adjust
from recsys.experiments.intervals import Difference, difference_at_one_look
from recsys.experiments.moments import Moments
from recsys.experiments.power import PowerPlan, power, smallest_effect
from recsys.experiments.sequential import Interval, difference_of_means
from recsys.experiments.simulated_users import METRICS, draw, reduce_users
from recsys.experiments.srm import sequential_p_values

Progress = Callable[[str, float], None]
"""Called with the name of what is at work, and the share in [0, 1] of it that is done."""

_N_PILOT = 400_000  # users, to learn means and spreads from
_SAMPLE_RATIO_ALPHA = 0.001
_SKEWED = (0.51, 0.49)
_EVEN = (0.5, 0.5)


class CalibrationConfig(FrozenModel):
    """How much is simulated."""

    n_experiments: PositiveInt = 1_000
    """Of each kind: without a difference, and with one in both metrics."""
    n_days: PositiveInt = 14
    users_per_day_and_arm: PositiveInt = 500
    """On average: a coin deals them."""
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    promised_power: float = Field(default=0.8, gt=0.5, lt=1)
    """The experiments with a difference have the one that is promised to be found with this power."""
    skewed_users: PositiveInt = 100_000
    """Of experiments whose users are dealt 51 to 49 instead of 50 to 50."""
    seed: NonNegativeInt = 7

    @property
    def planned_users(self) -> int:
        """Of both arms."""
        return 2 * self.n_days * self.users_per_day_and_arm


class MetricCalibration(FrozenModel):
    """One metric; all but the effect are shares of experiments, or of variance."""

    metric: str
    false_sequential: float
    """Without a difference, the sequential test ever found one."""
    false_sequential_cuped: float
    """The same with users' past taken out."""
    false_daily: float
    """Without a difference, the test for one look, looked at daily, ever found one: why there is another."""
    false_at_the_end: float
    """The same, looked at only on the last day."""
    effect: float
    """In the metric's unit."""
    power_promised: float
    power_found: float
    power_found_cuped: float
    variance_removed: float
    """By CUPED, on average."""


class Calibration(FrozenModel):
    """What was found."""

    config: CalibrationConfig
    metrics: tuple[MetricCalibration, ...]
    false_sample_ratio: float
    """Fairly dealt experiments that the daily sample-ratio test ever called badly dealt, at 0.001."""
    skew_detected: float
    """Experiments dealt 51 to 49 that it called badly dealt by their last day."""


@dataclass(frozen=True, slots=True)
class _Counted:
    """Of experiments of one kind, metric by metric."""

    sequential: NDArray[np.bool_]  # shape (metrics, experiments): ever found a difference
    cuped: NDArray[np.bool_]
    daily: NDArray[np.bool_]
    at_the_end: NDArray[np.bool_]
    removed: NDArray[np.float64]  # shape (metrics, experiments), share of variance on the last day
    users: NDArray[np.int64]  # shape (experiments, days, arms), so far


def _silent(what: str, share: float) -> None:
    del what, share


def calibrate(config: CalibrationConfig, on_progress: Progress = _silent) -> Calibration:
    """Simulate experiments and count what the analysis says of them; equal configs give equal figures."""
    rng = np.random.default_rng(config.seed)
    pilot = [parts[0] for parts in reduce_users(draw(rng, _N_PILOT), np.zeros(_N_PILOT, dtype=np.int64), 1)]
    plans = [PowerPlan(std=sqrt(m.variance), alpha=config.alpha, n_looks=config.n_days) for m in pilot]
    effects = [smallest_effect(plan, config.planned_users, config.promised_power) for plan in plans]
    same = _simulate(rng, config, [0.0] * len(METRICS), "no difference", on_progress)
    other = _simulate(rng, config, effects, "a difference", on_progress)
    metrics = [
        _of_metric(row, same, other, effect, power(plan, config.planned_users, effect))
        for row, (plan, effect) in enumerate(zip(plans, effects, strict=True))
    ]
    return Calibration(
        config=config,
        metrics=tuple(metrics),
        false_sample_ratio=_share_called_bad(same.users),
        skew_detected=_share_called_bad(_skewed_users(rng, config)),
    )


def _of_metric(
    row: int, same: _Counted, other: _Counted, effect: float, promised: float
) -> MetricCalibration:
    return MetricCalibration(
        metric=METRICS[row],
        false_sequential=float(same.sequential[row].mean()),
        false_sequential_cuped=float(same.cuped[row].mean()),
        false_daily=float(same.daily[row].mean()),
        false_at_the_end=float(same.at_the_end[row].mean()),
        effect=effect,
        power_promised=promised,
        power_found=float(other.sequential[row].mean()),
        power_found_cuped=float(other.cuped[row].mean()),
        variance_removed=float(same.removed[row].mean()),
    )


def _simulate(
    rng: np.random.Generator,
    config: CalibrationConfig,
    effects: Sequence[float],
    name: str,
    on_progress: Progress,
) -> _Counted:
    """Run experiments side by side, day by day; ``effects`` of the treatment, metric by metric."""
    n, n_new = config.n_experiments, 2 * config.users_per_day_and_arm
    counted = _nothing(n, config.n_days)
    so_far = [[Moments()] * (2 * n) for _ in METRICS]
    experiment = np.repeat(np.arange(n), n_new)
    for day in range(config.n_days):
        on_progress(name, day / config.n_days)
        arm = rng.integers(0, 2, n * n_new)  # 0 is the control
        shifts = [np.asarray(effect * arm, np.float64) for effect in effects]
        today = reduce_users(draw(rng, n * n_new), 2 * experiment + arm, 2 * n, shifts)
        for row, parts in enumerate(today):
            so_far[row] = [before + new for before, new in zip(so_far[row], parts, strict=True)]
            for e in range(n):
                _look(counted, config, row, e, so_far[row][2 * e], so_far[row][2 * e + 1])
        counted.users[:, day] = np.reshape([moments.n for moments in so_far[0]], (n, 2))
    on_progress(name, 1.0)
    return counted


def _look(
    counted: _Counted, config: CalibrationConfig, row: int, e: int, control: Moments, treatment: Moments
) -> None:
    """Do what a daily look does, and note what it says."""
    alpha, planned_n = config.alpha, config.planned_users
    fair = adjust({"control": control, "treatment": treatment})
    plain = difference_of_means(control, treatment, alpha, planned_n)
    cuped = difference_of_means(fair.arms["control"], fair.arms["treatment"], alpha, planned_n)
    once = _found(difference_at_one_look(control, treatment, alpha))
    counted.sequential[row, e] |= _found(plain)
    counted.cuped[row, e] |= _found(cuped)
    counted.daily[row, e] |= once
    counted.at_the_end[row, e] = once
    counted.removed[row, e] = fair.variance_removed


def _nothing(n_experiments: int, n_days: int) -> _Counted:
    shape = (len(METRICS), n_experiments)
    return _Counted(
        sequential=np.zeros(shape, dtype=np.bool_),
        cuped=np.zeros(shape, dtype=np.bool_),
        daily=np.zeros(shape, dtype=np.bool_),
        at_the_end=np.zeros(shape, dtype=np.bool_),
        removed=np.zeros(shape),
        users=np.zeros((n_experiments, n_days, 2), dtype=np.int64),
    )


def _found(interval: Interval | Difference) -> bool:
    return interval.lower > 0.0 or interval.upper < 0.0


def _skewed_users(rng: np.random.Generator, config: CalibrationConfig) -> NDArray[np.int64]:
    per_day = config.skewed_users // config.n_days
    dealt = rng.multinomial(per_day, _SKEWED, (config.n_experiments, config.n_days))
    return np.cumsum(dealt, axis=1)


def _share_called_bad(users: NDArray[np.int64]) -> float:
    """Return the share of experiments that were called badly dealt on any day."""
    return float((sequential_p_values(users, _EVEN) < _SAMPLE_RATIO_ALPHA).any(axis=1).mean())
