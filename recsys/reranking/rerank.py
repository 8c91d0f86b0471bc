"""Making a list worth showing: variety by MMR, caps per creator and per tag.

It reorders; it never empties a list.

Source: Carbonell and Goldstein, "The Use of MMR, Diversity-Based Reranking", SIGIR 1998.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recsys.core.compiled import compiled
from recsys.core.settings import FrozenModel
from recsys.features.items import ItemTable
from recsys.features.users import NO_ITEM
from recsys.recall.selection import offer, sort_best_first
from recsys.reranking.exploration import ExplorationConfig

_OVER_CAP = np.float32(4.0)  # gains lie in [-1, 1]: everything over a cap comes after everything else


class RerankingConfig(FrozenModel):
    """What a list may hold."""

    max_per_creator: int | None = Field(default=None, ge=1)
    """More items of one creator come only after everything else; None: no cap."""

    max_per_tag: int | None = Field(default=None, ge=1)
    """More items with one tag come only after everything else; None: no cap."""

    pool: int = Field(default=60, ge=1)
    """How many of the best candidates may move up; never fewer than three times what is asked for."""

    cost_weight: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Score that is given up to save a cost of 1 per play; 0 leaves costs out of account."""

    exploration: ExplorationConfig = ExplorationConfig()
    """What chance may put into a list; off by default."""


@dataclass(frozen=True, slots=True)
class Slate:
    """Lists worth showing, best first; short rows are padded with NO_ITEM and -inf."""

    item_rows: NDArray[np.int32]  # shape (users, n)
    scores: NDArray[np.float32]  # shape (users, n): the ranker's
    columns: NDArray[np.int32]  # shape (users, n): where among the candidates each came from


def rerank(
    item_rows: NDArray[np.int32],
    scores: NDArray[np.float32],
    n: int,
    items: ItemTable,
    config: RerankingConfig,
    variety: NDArray[np.float32] | None = None,
) -> Slate:
    """Choose ``n`` of the candidates for each user, one place at a time.

    Args:
        item_rows: shape (users, candidates), NO_ITEM where padded.
        scores: same shape, higher is better; ignored where padded.
        n: length of the lists.
        items: tags and creators.
        config: caps and pool.
        variety: shape (users,), in [0, 1]: 0 (or None) keeps the order of the scores, 1 looks at likeness
            alone.
    """
    slate = Slate(
        np.full((len(item_rows), n), NO_ITEM, dtype=np.int32),
        np.full((len(item_rows), n), -np.inf, dtype=np.float32),
        np.full((len(item_rows), n), NO_ITEM, dtype=np.int32),
    )
    plain = config.max_per_creator is None and config.max_per_tag is None
    if plain and (variety is None or not variety.any()):
        _take_best(item_rows, scores, slate.scores, slate.columns)
    else:
        weight = np.zeros(len(item_rows), np.float32) if variety is None else variety.astype(np.float32)
        _take_varied(item_rows, scores, items, config, weight, slate)
    chosen = np.take_along_axis(item_rows, slate.columns, axis=1)
    np.copyto(slate.item_rows, chosen, where=slate.columns >= 0)
    return slate


@compiled
def _take_best(
    item_rows: NDArray[np.int32],
    scores: NDArray[np.float32],
    best_scores: NDArray[np.float32],
    best_columns: NDArray[np.int32],
) -> None:
    for user in range(len(item_rows)):
        n_kept = 0
        for column in range(item_rows.shape[1]):
            if item_rows[user, column] >= 0:
                n_kept = offer(best_scores[user], best_columns[user], n_kept, scores[user, column], column)
        sort_best_first(best_scores[user], best_columns[user], n_kept)


def _take_varied(
    item_rows: NDArray[np.int32],
    scores: NDArray[np.float32],
    items: ItemTable,
    config: RerankingConfig,
    variety: NDArray[np.float32],
    slate: Slate,
) -> None:
    """Fill scores and columns of a slate, one place at a time."""
    known = np.where(item_rows >= 0, scores, -np.inf).astype(np.float32)
    pool = min(item_rows.shape[1], max(config.pool, 3 * slate.columns.shape[1]))
    best = np.argsort(-known, axis=1, kind="stable")[:, :pool]
    rows = np.take_along_axis(item_rows, best, axis=1)
    ranked = np.take_along_axis(known, best, axis=1)
    n = min(slate.columns.shape[1], pool)
    chosen = np.take_along_axis(best, _greedy(rows, ranked, n, items, config, variety), axis=1)
    slate.scores[:, :n] = np.take_along_axis(known, chosen, axis=1)
    is_item = np.take_along_axis(item_rows, chosen, axis=1) >= 0
    slate.columns[:, :n] = np.where(is_item, chosen, NO_ITEM)


def _greedy(
    rows: NDArray[np.int32],
    scores: NDArray[np.float32],
    n: int,
    items: ItemTable,
    config: RerankingConfig,
    variety: NDArray[np.float32],
) -> NDArray[np.intp]:
    """Return columns of ``rows``, shape (users, n): at every place the largest gain."""
    users = np.arange(len(rows))
    relevance = _unit_range(scores)
    vectors = np.asarray(items.tag_vectors)[rows]  # (users, pool, tags)
    creators = np.asarray(items.creator_rows)[rows]
    closest = np.zeros(rows.shape, dtype=np.float32)
    n_of_creator = np.zeros(rows.shape, dtype=np.int32)  # picked so far with the candidate's creator
    n_of_tag = np.zeros((len(rows), vectors.shape[2]), dtype=np.int32)
    padding = rows < 0
    gone = np.zeros(rows.shape, dtype=np.bool_)
    picked = np.zeros((len(rows), n), dtype=np.intp)
    for place in range(n):
        gain = (1 - variety)[:, None] * relevance - variety[:, None] * closest
        gain -= _OVER_CAP * _over_caps(vectors, n_of_creator, n_of_tag, config)
        gain[padding] = -2 * _OVER_CAP  # comes when nothing else is left
        gain[gone] = -np.inf
        choice = np.argmax(gain, axis=1)
        picked[:, place] = choice
        gone[users, choice] = True
        chosen = vectors[users, choice]
        closest = np.maximum(closest, np.einsum("ut,upt->up", chosen, vectors))
        same = (creators == creators[users, choice][:, None]) & (creators >= 0)
        n_of_creator += same
        n_of_tag += chosen > 0
    return picked


def _over_caps(
    vectors: NDArray[np.float32],
    n_of_creator: NDArray[np.int32],
    n_of_tag: NDArray[np.int32],
    config: RerankingConfig,
) -> NDArray[np.float32]:
    over = np.zeros(n_of_creator.shape, dtype=np.bool_)
    if config.max_per_creator is not None:
        over |= n_of_creator >= config.max_per_creator
    if config.max_per_tag is not None:
        full = (n_of_tag >= config.max_per_tag).astype(np.float32)
        over |= np.einsum("ut,upt->up", full, vectors) > 0
    return over.astype(np.float32)


def _unit_range(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale each row's finite scores to [0, 1]."""
    finite = np.isfinite(scores)
    low = np.where(finite, scores, np.inf).min(axis=1, keepdims=True)
    high = np.where(finite, scores, -np.inf).max(axis=1, keepdims=True)
    span = np.where(high > low, high - low, np.float32(1.0))
    return np.where(finite, (scores - np.where(np.isfinite(low), low, 0.0)) / span, 0.0).astype(np.float32)
