"""What ``marquee evaluate --protocol impressions`` does."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

from recsys.cli.models import chosen_of, fits_of
from recsys.core.clock import SECONDS_PER_DAY
from recsys.data.badrows import OnBadRow
from recsys.data.formats import load_dataset, load_impressions
from recsys.data.impressions import Target
from recsys.data.log import Vocabulary, encode
from recsys.data.schema import Dataset
from recsys.data.shown import ShownLog, encode_impressions
from recsys.evaluation.baselines import BASELINES
from recsys.evaluation.impressions.click_rate import ClickRateConfig, fit_click_rate
from recsys.evaluation.impressions.protocol import evaluate_impressions
from recsys.evaluation.impressions.results import ImpressionReport
from recsys.evaluation.impressions.split import ImpressionSplit, sample_users, split_impressions
from recsys.evaluation.impressions.targets_alone import fit_targets_alone
from recsys.evaluation.model import Fit
from recsys.evaluation.protocols import Progress, Setting
from recsys.evaluation.results import WHOLE
from recsys.training.two_stage import TrainingConfig

RATES: Mapping[str, Target] = MappingProxyType(
    {"click-rate": Target.CLICK, "long-view-rate": Target.LONG_VIEW}
)
"""Baselines that learn from what was shown in vain, each from the answers to one target."""

JUDGED = (Target.CLICK, Target.LONG_VIEW)
"""What is asked of impressions when nothing else is wanted; likes are too rare to order one user's by."""

OURS = (WHOLE,)
HEADS: Mapping[str, Target] = MappingProxyType(
    {"click-head": Target.CLICK, "long-view-head": Target.LONG_VIEW}
)
"""What impressions alone teach: each head as it is without the next item."""

KNOWN = (*BASELINES, *RATES, *HEADS, *OURS)


def impression_report(
    data: Path,
    setting: Setting,
    settings: Mapping[str, TrainingConfig],
    *,
    targets: Sequence[Target],
    models: str | None,
    test_days: float,
    skip_days: float,
    max_users: int | None,
    on_bad_row: OnBadRow,
    now_s: float,
    on_step: Progress,
) -> ImpressionReport:
    """Read a data set with its impressions, and judge the named models by the last days of them.

    With ``skip_days`` the last so many days are not looked at: what is chosen so has not seen the test.
    """
    wanted = chosen_of(models, KNOWN)
    on_step(f"reading {data}", 0.0)
    dataset, split = held_out(
        data,
        test_days=test_days,
        skip_days=skip_days,
        max_users=max_users,
        seed=setting.seed,
        on_bad_row=on_bad_row,
        now_s=now_s,
    )
    answered = [target for target in JUDGED if target in split.test.answers]
    fits = fits_of(
        wanted,
        {**BASELINES, **_rates(split.past), **_heads(split.past, settings[WHOLE])},
        settings,
        on_step,
        split.past,
    )
    named = replace(setting, data=dataset.name)
    return evaluate_impressions(
        split, dataset.items, fits, named, targets=targets or answered, ours=(*OURS, *HEADS), on_step=on_step
    )


def held_out(
    data: Path,
    *,
    test_days: float,
    skip_days: float,
    max_users: int | None,
    seed: int,
    on_bad_row: OnBadRow,
    now_s: float,
) -> tuple[Dataset, ImpressionSplit]:
    """Read a data set with its impressions, and hold out the last days, or those before ``skip_days``."""
    dataset = load_dataset(data, on_bad_row=on_bad_row, now_s=now_s).dataset
    impressions = load_impressions(data, on_bad_row=on_bad_row, now_s=now_s)
    items = Vocabulary(dataset.items["item_id"].to_list())
    log = encode(dataset, items)
    shown = encode_impressions(impressions, items, log)
    end_s = float(shown.starts_s.max()) - skip_days * SECONDS_PER_DAY if skip_days > 0.0 else None
    split = split_impressions(log, shown, test_days=test_days, end_s=end_s)
    if max_users is not None:
        split = replace(split, test=sample_users(split.test, max_users, seed=seed))
    return dataset, split


def _rates(past: ShownLog) -> dict[str, Fit]:
    return {
        name: partial(fit_click_rate, past=past, target=target, config=ClickRateConfig())
        for name, target in RATES.items()
    }


def _heads(past: ShownLog, training: TrainingConfig) -> dict[str, Fit]:
    return {
        name: partial(fit_targets_alone, past=past, target=target, config=training.targets)
        for name, target in HEADS.items()
    }
