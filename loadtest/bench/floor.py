"""What the models alone cost: the same FAISS and XGBoost calls in one loop, no serving, one core."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

import faiss
import numpy as np

from recsys.core.clock import Clock
from recsys.features.users import UserBatch, user_batch
from recsys.pipeline.stages import TwoStage
from recsys.ranking.matrix import candidate_matrix
from recsys.ranking.trees import margins_by_xgboost
from recsys.registry.local import LocalRegistry
from recsys.registry.reader import open_bundle

_SESSION = 5
_REPEATS = 5
_FAISS_SOURCES = ("sequential", "bilinear", "tags")


class Floor(TypedDict):
    """Milliseconds of one core per user."""

    batch: int
    faiss_ms: float
    search_ms: float  # the same searches by our own loop
    xgboost_ms: float
    trees_ms: float  # the same trees by our own loop
    pipeline_ms: float  # everything from the user's history to the list
    floor_per_s: float  # FAISS and XGBoost alone
    pipeline_per_s: float


def measure(registry: Path, batches: tuple[int, ...], cpu_clock: Clock, *, seconds: float) -> list[Floor]:
    """Time batches of users, the best of several repeats each.

    Args:
        registry: its channel ``stable`` names the bundle.
        batches: how many users at once.
        cpu_clock: processor seconds of this process.
        seconds: roughly so long per batch size.
    """
    model = TwoStage.load(open_bundle(LocalRegistry(registry).get("stable"), feature_schema=None))
    with one_thread():
        return [_measure(model, batch, cpu_clock, seconds) for batch in batches]


@contextmanager
def one_thread() -> Iterator[None]:
    """Let FAISS work on one thread, as in a replica: others wait for each other at the cost of a core."""
    usual = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(usual)


def some_users(model: TwoStage, n: int, *, seed: int = 0, length: int = _SESSION) -> UserBatch:
    """Return users with a history of ``length`` items each, which must not come back."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, model.recall.catalogue.n_items, n * length).astype(np.int32)
    offsets = np.arange(n + 1, dtype=np.int64) * length
    times_s = np.full(n * length, 1.7e9)
    return user_batch(
        rows,
        times_s,
        offsets[:-1],
        offsets[1:],
        now_s=np.full(n, 1.7e9 + 3_600),
        context_rows=np.zeros(n, dtype=np.int16),
        excluded_offsets=offsets,
        excluded_rows=rows,
    )


def best_ms(work: Callable[[], object], cpu_clock: Clock, *, seconds: float) -> float:
    """Return the milliseconds that a call takes, the least mean of several repeats."""
    work()
    began_s = cpu_clock()
    work()
    n = max(1, int(seconds / _REPEATS / max(cpu_clock() - began_s, 1e-6)))
    means = []
    for _ in range(_REPEATS):
        began_s = cpu_clock()
        for _ in range(n):
            work()
        means.append((cpu_clock() - began_s) / n)
    return 1e3 * min(means)


def _measure(model: TwoStage, batch: int, cpu_clock: Clock, seconds: float) -> Floor:
    users = some_users(model, batch)
    found = model.candidates(users)
    matrix = candidate_matrix(users, found, model.ranking.known)
    pairs = matrix.reshape(-1, matrix.shape[-1])
    booster = model.ranking.ranker.booster
    sources = model.recall.sources
    quotas = dict(zip(sources.__slots__, model.recall.quotas.as_tuple(), strict=True))
    searches = []
    for name in _FAISS_SOURCES:
        index = getattr(sources, name).index
        n_named = 2 * quotas[name] * model.n_candidates // sum(quotas.values())
        queries = np.ascontiguousarray(index.vectors[np.resize(index.rows, batch)])
        flat = faiss.IndexFlatIP(index.vectors.shape[1])
        flat.add(np.ascontiguousarray(index.vectors[index.rows]))
        searches.append((flat, index, queries, min(n_named + _SESSION, len(index.rows))))
    blocked = users.blocked(model.recall.catalogue.n_items)

    def by_faiss() -> None:
        for flat, _, queries, n in searches:
            flat.search(queries, n)

    def by_our_own() -> None:
        for _, index, queries, n in searches:
            index.search(queries, n, blocked)

    def ms(work: Callable[[], object]) -> float:
        return best_ms(work, cpu_clock, seconds=seconds / 5) / batch

    faiss_ms, search_ms = ms(by_faiss), ms(by_our_own)
    xgboost_ms = ms(lambda: margins_by_xgboost(booster, pairs))
    trees_ms = ms(lambda: model.ranking.ranker.score(pairs))
    pipeline_ms = ms(lambda: model.recommend(users, 10))
    return Floor(
        batch=batch,
        faiss_ms=round(faiss_ms, 4),
        search_ms=round(search_ms, 4),
        xgboost_ms=round(xgboost_ms, 4),
        trees_ms=round(trees_ms, 4),
        pipeline_ms=round(pipeline_ms, 4),
        floor_per_s=round(1e3 / (faiss_ms + xgboost_ms), 1),
        pipeline_per_s=round(1e3 / pipeline_ms, 1),
    )
