"""The pipeline of a bundle called directly, one user at a time: what the models cost without any server."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.clock import Clock
from recsys.data.log import encode
from recsys.data.schema import Dataset
from recsys.features.users import UserBatch, batch_at
from recsys.pipeline.stages import TwoStage
from recsys.registry.local import LocalRegistry
from recsys.registry.reader import open_bundle

_TOP_N = 10


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A loaded bundle, and some users of its data set as they are at the end of it."""

    model: TwoStage
    users: UserBatch

    def time_one(self, user: int, clock: Clock) -> float:
        """Return the seconds that one recommendation takes."""
        batch = self.users.slice(user, user + 1)
        started = clock()
        self.model.recommend(batch, _TOP_N)
        return clock() - started


def open_pipeline(registry: Path, data: Path, n_users: int, seed: int) -> Pipeline:
    """Load the stable bundle of a registry and draw ``n_users`` users of one of its data set's parts."""
    model = TwoStage.load(open_bundle(LocalRegistry(registry).get("stable"), feature_schema=None))
    part = pl.read_parquet(sorted((data / "interactions").glob("*.parquet"))[0])
    log = encode(Dataset("sample", part, model.recall.catalogue.frame), model.recall.catalogue.items)
    drawn = np.random.default_rng(seed).choice(log.n_users, size=min(n_users, log.n_users), replace=False)
    ends = log.offsets[drawn + 1]
    users = batch_at(log, drawn.astype(np.int64), ends, np.full(len(drawn), log.times_s.max()))
    return Pipeline(model, users)


def in_turns(pipelines: list[Pipeline], n_turns: int, clock: Clock) -> list[NDArray[np.float64]]:
    """Time the pipelines one request each in turn, so that a noisy machine disturbs all alike.

    Returns:
        Per pipeline the seconds of each request, shape (turns,).
    """
    n_warm = min(50, n_turns)
    times = np.zeros((len(pipelines), n_warm + n_turns))
    for turn in range(times.shape[1]):
        for number, pipeline in enumerate(pipelines):
            times[number, turn] = pipeline.time_one(turn % len(pipeline.users), clock)
    return list(times[:, n_warm:])
