"""The bundle that the benchmark serves: 20,000 items, 200 candidates, 100 trees; trained once, then kept."""

from pathlib import Path

import numpy as np
import polars as pl

from recsys.core.clock import Clock
from recsys.data.schema import INTERACTIONS, ITEMS, Dataset
from recsys.ranking.boosting import BoostingConfig
from recsys.ranking.matrix import KnowledgeConfig
from recsys.recall.sequential import SequentialConfig
from recsys.recall.sources import RecallConfig
from recsys.registry.local import LocalRegistry
from recsys.training.cross_fit import CrossFitConfig
from recsys.training.train import find_trained, train, training_key
from recsys.training.two_stage import TrainingConfig

N_ITEMS = 20_000
N_USERS = 3_000
_PER_USER = 40
_N_TASTES = 50
_BEGIN_S = 1.7e9
_SEED = 0

CONFIG = TrainingConfig(
    knowledge=KnowledgeConfig(recall=RecallConfig(sequential=SequentialConfig(max_items=2_000))),
    cross_fit=CrossFitConfig(n_folds=2, max_questions=1_500),
    boosting=BoostingConfig(n_trees=100),
    n_candidates=200,
)
"""What costs at serving time has the size promised; the rest is small, for nobody looks at the lists."""


def bench_dataset(n_items: int = N_ITEMS, n_users: int = N_USERS) -> Dataset:
    """Return made-up interactions: every user has one taste, and items have tastes by turns."""
    rng = np.random.default_rng(_SEED)
    rows = n_users * _PER_USER
    weights = 1 / np.arange(1, n_items + 1) ** 0.8
    drawn = rng.choice(n_items, size=rows, p=weights / weights.sum())
    taste = rng.integers(0, _N_TASTES, n_users).repeat(_PER_USER)
    items = (drawn // _N_TASTES * _N_TASTES + taste) % n_items
    times_s = _BEGIN_S + np.tile(np.arange(_PER_USER) * 3_600.0, n_users) + rng.random(rows)
    interactions = pl.DataFrame(
        {
            "user_id": np.arange(n_users).repeat(_PER_USER).astype(str),
            "item_id": items.astype(str),
            "kind": ["watch"] * rows,
            "time_s": times_s,
            "value": [None] * rows,
            "context": [None] * rows,
        },
        schema=INTERACTIONS,
    )
    return Dataset("benchmark", interactions, _catalogue(n_items, rng))


def _catalogue(n_items: int, rng: np.random.Generator) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "item_id": np.arange(n_items).astype(str),
            "title": [f"Video {item}" for item in range(n_items)],
            "tags": [[f"taste {item % _N_TASTES}", f"form {item % 7}"] for item in range(n_items)],
            "creator_id": [str(item % 500) for item in range(n_items)],
            "duration_s": rng.random(n_items) * 600,
            "published_s": _BEGIN_S - rng.random(n_items) * 1e7,
            "cost": [None] * n_items,
            "available": [True] * n_items,
        },
        schema=ITEMS,
    )


def bench_registry(folder: Path, *, clock: Clock, n_items: int = N_ITEMS, n_users: int = N_USERS) -> Path:
    """Return a registry whose channel ``stable`` names the benchmark's bundle, trained if need be.

    Args:
        folder: of the registry of the usual size; other sizes lie beside it.
        clock: Unix time.
        n_items: of the catalogue.
        n_users: whose past the bundle learns from.
    """
    size = f"{n_items}" if n_users == N_USERS else f"{n_items}-{n_users}"
    if (n_items, n_users) != (N_ITEMS, N_USERS):
        folder = folder.with_name(f"{folder.name}-{size}")
    registry = LocalRegistry(folder)
    key = training_key(f"benchmark {size}", CONFIG)
    name = find_trained(registry, key)
    if name is None:
        name = train(bench_dataset(n_items, n_users), registry, CONFIG, key=key, now_s=clock()).bundle.name
    now = registry.channels().stable
    if now != name:
        registry.promote(name, "stable", expected=now, by="marquee bench", now_s=clock())
    return folder
