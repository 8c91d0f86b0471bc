"""What a refreshed bundle is worth beside a full fit: ``python -m recsys.training.refresh_worth --data SET``.

A pipeline is fitted on the oldest events, brought to a later moment in each way, and asked what came after
it; so is one that was fitted on everything until that moment.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import orjson
import polars as pl
import typer
from numpy.typing import NDArray

from recsys.core.clock import monotonic_clock, unix_clock
from recsys.data.badrows import OnBadRow
from recsys.data.formats import load_dataset
from recsys.data.log import Vocabulary, encode
from recsys.data.schema import Dataset
from recsys.data.splits import Split, global_time
from recsys.evaluation.answers import ask
from recsys.evaluation.groups import sample_tests
from recsys.evaluation.intervals import paired_differences
from recsys.evaluation.lists import catalogue_facts
from recsys.pipeline.stages import TwoStage
from recsys.recall.counted import counted, recounted
from recsys.training.growing import grown
from recsys.training.refresh import pipeline_over
from recsys.training.two_stage import TrainingConfig, fit_two_stage

_METRIC = "ndcg@10"
_MORE_TREES = 20


def worth(
    dataset: Dataset, training: TrainingConfig, *, base_share: float, test_share: float, max_asked: int
) -> dict[str, object]:
    """Compare the bundle before, refreshed, continued, and a full fit.

    Args:
        dataset: interactions and catalogue.
        training: settings of all of them.
        base_share: the oldest part of the events, which the bundle before was made of.
        test_share: the newest part, which is asked for.
        max_asked: users that are asked.
    """
    items, item_ids = dataset.items, dataset.items["item_id"].to_list()
    log = encode(dataset, Vocabulary(item_ids))
    base_s, test_s = (float(np.quantile(log.times_s, share)) for share in (base_share, 1.0 - test_share))
    base = log.select(log.times_s < base_s)
    split = sample_tests(global_time(log, test_s), max_asked, seed=training.seed)
    known = replace(dataset, interactions=dataset.interactions.filter(pl.col("time_s") < test_s))
    config = training.knowledge.recall.sequential
    before = fit_two_stage(base, items, training)
    old, seconds = counted(base, item_ids, config), {}
    ranker = before.ranking.ranker

    def refreshed() -> TwoStage:
        sums, _ = recounted(old, split.train, item_ids, config)
        return pipeline_over(split.train, items, sums, ranker, training)

    def continued() -> TwoStage:
        sums, _ = recounted(old, split.train, item_ids, config)
        more = grown(before, known, float(base.times_s.max()), training, _MORE_TREES)
        return pipeline_over(split.train, items, sums, more, training)

    ways: dict[str, Callable[[], TwoStage]] = {
        "before": lambda: before,
        "refreshed": refreshed,
        "continued": continued,
        "full": lambda: fit_two_stage(split.train, items, training),
    }
    values: dict[str, NDArray[np.float64]] = {}
    for name, way in ways.items():
        began_s = time.perf_counter()
        model = way()
        seconds[name] = round(time.perf_counter() - began_s, 1)
        values[name] = _judged(model, name, split, items)
    return {
        "n_asked": len(split),
        "seconds": seconds,
        _METRIC: {name: round(float(value.mean()), 4) for name, value in values.items()},
        "refreshed less": {
            name: _difference(values["refreshed"], values[name]) for name in ("before", "continued", "full")
        },
    }


def _judged(model: TwoStage, name: str, split: Split, items: pl.DataFrame) -> NDArray[np.float64]:
    facts = catalogue_facts(split.train, items)
    asked = ask(model, name, split, facts, ks=(10,), list_length=10, batch_users=64, clock=monotonic_clock)
    return asked.per_user[_METRIC]


def _difference(one: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return mean and 95 % interval."""
    (found,) = paired_differences(one[:, None], other[:, None], seed=0, n_resamples=1_000)
    return round(found.value, 4), round(found.low, 4), round(found.high, 4)


def main(
    *,
    data: Annotated[Path, typer.Option(help="A data set: ours, MovieLens or KuaiRand.")],
    base_share: Annotated[
        float, typer.Option(min=0.01, max=0.99, help="Of the events: known before.")
    ] = 0.85,
    test_share: Annotated[float, typer.Option(min=0.01, max=0.99, help="Of the events: asked for.")] = 0.1,
    max_asked: Annotated[int, typer.Option(min=1, help="Users.")] = 5_000,
) -> None:
    """Print one line of JSON."""
    dataset = load_dataset(data, on_bad_row=OnBadRow.SKIP, now_s=unix_clock()).dataset
    found = worth(
        dataset, TrainingConfig(), base_share=base_share, test_share=test_share, max_asked=max_asked
    )
    typer.echo(orjson.dumps(found).decode())


if __name__ == "__main__":
    typer.run(main)
