"""What is popular now, overall or in the context the user asks from. Answers for everybody."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat

from recsys.core.clock import SECONDS_PER_DAY
from recsys.core.compiled import compiled
from recsys.core.settings import FrozenModel
from recsys.data.log import InteractionLog
from recsys.features.popularity import PopularityConfig, PopularityTable, fit_popularity
from recsys.features.users import UserBatch
from recsys.recall.selection import offer, sort_best_first
from recsys.recall.source import Ranked
from recsys.registry.bundle import BundleReader, BundleWriter


class PopularityRecallConfig(FrozenModel):
    """Which popularity the source ranks by."""

    table: PopularityConfig = PopularityConfig()
    """How popularity is counted."""

    half_life_row: int = Field(default=1, ge=0, le=3)
    """Which of ``table.half_lives_days`` ranks the items."""

    context_half_life_days: PositiveFloat = 30.0
    """Half-life of the counts per context."""

    context_share: float = Field(default=0.5, ge=0.0, le=1.0)
    """Weight of the context's own counts against the overall ones; 0 ignores contexts."""


@dataclass(frozen=True, slots=True)
class PopularitySource:
    """Items by decayed counts, as of the moment of the question."""

    table: PopularityTable
    orders: NDArray[np.int32]  # shape (snapshots, items): item rows, most popular first
    context_levels: NDArray[np.float32]  # shape (contexts + 1, items): row 0, unknown context, is all 0
    half_life_row: int
    context_share: float
    name: str = "popularity"

    def search(self, users: UserBatch, n: int, blocked: NDArray[np.bool_]) -> Ranked:
        """Name the most popular items; a known context moves its own favourites up."""
        best = Ranked.nothing(len(users), n)
        _most_popular(
            self.orders,
            self.table.levels[:, self.half_life_row],
            self.context_levels,
            self.context_share,
            self.table.snapshot_rows(users.now_s),
            users.context_rows,
            blocked,
            best.item_rows,
            best.scores,
        )
        return best

    def score(self, users: UserBatch, item_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the level of each item, log(1 + count / mean count), context mixed in."""
        moments = self.table.snapshot_rows(users.now_s)[:, None]
        overall = self.table.levels[moments, self.half_life_row, item_rows]
        in_context = self.context_levels[users.context_rows[:, None], item_rows]
        known = (users.context_rows > 0)[:, None]
        share = np.float32(self.context_share)
        mixed = np.where(known, (1 - share) * overall + share * in_context, overall)
        return np.where(item_rows >= 0, mixed, np.float32(0.0))

    def save(self, writer: BundleWriter) -> None:
        """Write under ``recall/popularity/``."""
        self.table.save(writer)
        writer.array("recall/popularity/orders", self.orders)
        writer.array("recall/popularity/context_levels", self.context_levels)
        writer.json(
            "recall/popularity/settings",
            {"half_life_row": self.half_life_row, "context_share": self.context_share},
        )

    @classmethod
    def load(cls, reader: BundleReader) -> Self:
        """Read back what :meth:`save` wrote."""
        settings = reader.json("recall/popularity/settings")
        return cls(
            PopularityTable.load(reader),
            reader.array("recall/popularity/orders"),
            reader.array("recall/popularity/context_levels"),
            int(settings["half_life_row"]),
            float(settings["context_share"]),
        )


_LIFT = 4  # a context lifts items from so many times further down the overall list


@compiled
def _most_popular(
    orders: NDArray[np.int32],
    levels: NDArray[np.float32],
    context_levels: NDArray[np.float32],
    context_share: float,
    moments: NDArray[np.intp],
    context_rows: NDArray[np.int16],
    blocked: NDArray[np.bool_],
    best_rows: NDArray[np.int32],
    best_scores: NDArray[np.float32],
) -> None:
    n = best_rows.shape[1]
    for user in range(len(moments)):
        order, context = orders[moments[user]], context_rows[user]
        level, in_context = levels[moments[user]], context_levels[context]
        n_kept = 0
        if context == 0:
            for row in order:
                if n_kept == n:
                    break
                if not blocked[user, row]:
                    best_rows[user, n_kept], best_scores[user, n_kept] = row, level[row]
                    n_kept += 1
            continue
        for row in order[: _LIFT * (n + np.count_nonzero(blocked[user]))]:
            if not blocked[user, row]:
                mixed = (1 - context_share) * level[row] + context_share * in_context[row]
                score = float(np.float32(mixed))  # as it will be kept, so that ties are ties
                n_kept = offer(best_scores[user], best_rows[user], n_kept, score, row)
        sort_best_first(best_scores[user], best_rows[user], n_kept)


def fit_popularity_source(log: InteractionLog, config: PopularityRecallConfig) -> PopularitySource:
    """Count popularity per snapshot and, at the end of the log, per context."""
    table = fit_popularity(log, config.table)
    slowest = int(np.argmax(config.table.half_lives_days))
    levels = (table.levels[:, config.half_life_row], table.levels[:, slowest])
    rows = np.arange(log.n_items)
    orders = np.stack(  # ties: the longer memory of the same moment (a count of all would know the future)
        [np.lexsort((rows, -longer, -level)) for level, longer in zip(*levels, strict=True)]
    )
    return PopularitySource(
        table,
        orders.astype(np.int32),
        _context_levels(log, config),
        config.half_life_row,
        config.context_share,
    )


def _context_levels(log: InteractionLog, config: PopularityRecallConfig) -> NDArray[np.float32]:
    n_contexts = len(log.contexts) + 1
    age_days = (log.times_s.max(initial=0.0) - log.times_s) / SECONDS_PER_DAY
    weights = 0.5 ** (age_days / config.context_half_life_days)
    keys = log.context_rows.astype(np.int64) * log.n_items + log.item_rows
    counts = np.bincount(keys, weights, n_contexts * log.n_items).reshape(n_contexts, log.n_items)
    mean = counts.mean(axis=1, keepdims=True)
    levels = np.log1p(counts / np.where(mean > 0, mean, 1.0)).astype(np.float32)
    levels[0] = 0.0
    return levels
