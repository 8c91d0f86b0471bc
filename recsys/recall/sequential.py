"""What comes next: two decayed sums of the user's items, regressed in closed form on the next item.

With x the two sums (time constants near 1.5 and 8 items) and y the next item, the weights W minimise ``sum
|y - x W|^2 + ridge |W|^2``, so ``W = (X'X + ridge I)^-1 X'Y``. The moments X'X and X'Y come from pair
counts per lag: a pair of items (i, j) of one user, j at or after i, appears in every later row with weights
that form a geometric series, so nothing is materialised per row. W serves as it is, in 16 bits, when it is
not too large (see ``next_weights``); else it is cut to a low rank and served by an inner-product index.

Source: ridge regression on linear item-item models as in Steck, "Embarrassingly Shallow Autoencoders", WWW
2019; the decayed sums are the leaky integrators of exponential smoothing (Brown 1956).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from recsys.core.settings import FrozenModel
from recsys.data.log import InteractionLog
from recsys.features.history import position_decay, weighted_sum
from recsys.features.users import UserBatch
from recsys.recall.index import IndexConfig, VectorIndex, build_index
from recsys.recall.next_weights import NextWeights, none_kept, quantised
from recsys.recall.pairs import pairs_at_lag
from recsys.recall.source import Ranked
from recsys.registry.bundle import BundleReader, BundleWriter

_FOLDER = "recall/sequential"
_NEGLIGIBLE = 5e-3  # pairs whose weight has fallen below this are left out


class SequentialConfig(FrozenModel):
    """The two sums, the ridge and the sizes."""

    time_constants_items: tuple[PositiveFloat, PositiveFloat] = (1.5, 8.0)
    """After so many items, an item counts 1/e in the first and in the second sum."""

    ridge: PositiveFloat = 120.0
    """Regularisation, in units of events."""

    rank: PositiveInt = 256
    """Rank of the weights behind the index."""

    min_events: PositiveInt = 5
    """Items with fewer events in the log take no part; other sources name them."""

    max_items: PositiveInt = 6_000
    """Only the most popular items take part: the regression is cubic in them."""

    max_exact_mb: NonNegativeFloat = 320.0
    """The full weights are kept, and name and score the items, when they are not larger than this."""

    index: IndexConfig = IndexConfig()
    """The index over the right factors."""

    def length(self, which: int) -> int:
        """Return after how many items the sum ``which`` has forgotten one."""
        return int(np.ceil(-self.time_constants_items[which] * np.log(_NEGLIGIBLE)))


@dataclass(frozen=True, slots=True)
class SequentialSource:
    """Names and scores items by the full weights, or by a low-rank index where those are too large."""

    index: VectorIndex  # right factors, shape (items, rank)
    left: NDArray[np.float32]  # shape (2, items, rank): what an item adds to the user's vector, per sum
    exact: NextWeights
    config: SequentialConfig
    name: str = "sequential"

    def _decay(self, which: int) -> NDArray[np.float32]:
        return position_decay(self.config.time_constants_items[which], self.config.length(which))

    def _vector(self, users: UserBatch, which: int) -> NDArray[np.float32]:
        return weighted_sum(users, self.left[which], self._decay(which))

    def _vectors(self, users: UserBatch) -> NDArray[np.float32]:
        return self._vector(users, 0) + self._vector(users, 1)

    def search(self, users: UserBatch, n: int, blocked: NDArray[np.bool_]) -> Ranked:
        """Name the likeliest next items."""
        if self.exact.kept:
            return self.exact.search(users.history_rows, (self._decay(0), self._decay(1)), blocked, n)
        return self.index.search(self._vectors(users), n, blocked)

    def score(self, users: UserBatch, item_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the score of each item as the next one."""
        if not self.exact.kept:
            return self.index.score(self._vectors(users), item_rows)
        first, second = self.parts(users, item_rows)
        return first + second

    def parts(
        self, users: UserBatch, item_rows: NDArray[np.int32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return what the short and the long sum add to the score, each of shape (users, items)."""
        if not self.exact.kept:
            first, second = (self.index.score(self._vector(users, which), item_rows) for which in range(2))
            return first, second
        first, second = (
            self.exact.score(users.history_rows, self._decay(which), which, item_rows) for which in range(2)
        )
        return first, second

    def save(self, writer: BundleWriter) -> None:
        """Write under ``recall/sequential/``."""
        self.index.save(writer, _FOLDER)
        writer.array(f"{_FOLDER}/left", self.left)
        for part in NextWeights.__slots__:
            writer.array(f"{_FOLDER}/{part}", getattr(self.exact, part))
        writer.json(f"{_FOLDER}/config", self.config.model_dump())

    @classmethod
    def load(cls, reader: BundleReader) -> Self:
        """Read back what :meth:`save` wrote."""
        return cls(
            VectorIndex.load(reader, _FOLDER),
            reader.array(f"{_FOLDER}/left"),
            NextWeights(*(reader.array(f"{_FOLDER}/{part}") for part in NextWeights.__slots__)),
            SequentialConfig.model_validate(reader.json(f"{_FOLDER}/config")),
        )


def fit_sequential(log: InteractionLog, config: SequentialConfig, *, seed: int = 0) -> SequentialSource:
    """Regress the next item on the two decayed sums."""
    head = _head(log, config)
    head_of = np.full(log.n_items, len(head), dtype=np.int32)
    head_of[head] = np.arange(len(head), dtype=np.int32)
    weights = _ridge_weights(*_moments(log, head_of, len(head), config), config.ridge)
    left, right = _low_rank(weights, config.rank, seed)
    left_items = np.zeros((2, log.n_items, left.shape[1]), dtype=np.float32)
    left_items[:, head] = left.reshape(2, len(head), left.shape[1])
    right_items = np.zeros((log.n_items, left.shape[1]), dtype=np.float32)
    right_items[head] = right
    index = build_index(right_items, config.index, seed=seed)
    return SequentialSource(index, left_items, _exact(weights, head_of, head, config), config)


def _exact(
    weights: NDArray[np.float32], head_of: NDArray[np.int32], head: NDArray[np.intp], config: SequentialConfig
) -> NextWeights:
    items_of = head.astype(np.int32)
    if 2 * weights.size > config.max_exact_mb * 2**20:  # bytes
        return none_kept(2, head_of, items_of)
    return quantised(weights.reshape(2, len(head), len(head)), head_of, items_of)


def _head(log: InteractionLog, config: SequentialConfig) -> NDArray[np.intp]:
    popularity = np.bincount(log.item_rows, minlength=log.n_items)
    order = np.argsort(-popularity, kind="stable")[: config.max_items]
    return np.sort(order[popularity[order] >= config.min_events])


def _moments(
    log: InteractionLog, head_of: NDArray[np.int32], n: int, config: SequentialConfig
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return X'X, shape (2n, 2n), and X'Y, shape (2n, n)."""
    items = head_of[log.item_rows].astype(np.int64)
    users = log.user_rows
    rows_after = (
        np.repeat(log.offsets[1:], log.lengths) - np.arange(len(items)) - 1
    )  # rows that hold position j
    decay = np.exp(-1.0 / np.array(config.time_constants_items))
    gram = np.zeros((2, n + 1, 2, n + 1), dtype=np.float32)
    cross = np.zeros((2, n + 1, n + 1), dtype=np.float32)
    for a in range(2):
        for lag in range(config.length(a) + 1):
            earlier, later = pairs_at_lag(users, lag) if lag else (np.arange(len(items)),) * 2
            if lag:
                keys = items[earlier] * (n + 1) + items[later]
                np.add.at(cross[a].reshape(-1), keys, np.float32(decay[a] ** (lag - 1)))
            for b in range(2):
                both = decay[a] * decay[b]
                series = (1.0 - both ** rows_after[later]) / (1.0 - both) * decay[a] ** lag
                _add_pair(gram, a, b, items[earlier], items[later], series, lag)
    size = 2 * n
    return (
        np.ascontiguousarray(gram[:, :n, :, :n]).reshape(size, size),
        np.ascontiguousarray(cross[:, :n, :n]).reshape(size, n),
    )


def _add_pair(
    gram: NDArray[np.float32],
    a: int,
    b: int,
    earlier: NDArray[np.int64],
    later: NDArray[np.int64],
    weights: NDArray[np.float64],
    lag: int,
) -> None:
    """Add pairs, the earlier item in sum ``a`` and the later one in sum ``b``, and their mirror."""
    stride = gram.shape[1]
    flat = gram.reshape(-1)
    forward = ((a * stride + earlier) * 2 + b) * stride + later
    np.add.at(flat, forward, weights.astype(np.float32))
    if lag:
        mirrored = ((b * stride + later) * 2 + a) * stride + earlier
        np.add.at(flat, mirrored, weights.astype(np.float32))


def _ridge_weights(
    gram: NDArray[np.float32], cross: NDArray[np.float32], ridge: float
) -> NDArray[np.float32]:
    """Solve in single precision: the ridge keeps the problem well conditioned, and it takes half the time."""
    gram[np.diag_indices_from(gram)] += ridge
    if gram.size == 0:
        return cross
    factor = scipy.linalg.cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
    solved = scipy.linalg.cho_solve(factor, cross, overwrite_b=True, check_finite=False)
    return np.asarray(solved, dtype=np.float32)


def _low_rank(
    weights: NDArray[np.float32], rank: int, seed: int, n_iterations: int = 2, oversampling: int = 16
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return factors (rows, rank) and (columns, rank) whose product is nearest to ``weights``.

    Source: Halko, Martinsson and Tropp, "Finding structure with randomness", SIAM Review 2011.
    """
    rank = min(rank, *weights.shape)
    if rank == 0:
        return np.zeros((len(weights), 1), np.float32), np.zeros((weights.shape[1], 1), np.float32)
    rng = np.random.default_rng(seed)
    probe = rng.standard_normal((weights.shape[1], min(rank + oversampling, weights.shape[1])))
    basis = np.linalg.qr(weights @ probe.astype(np.float32))[0]
    for _ in range(n_iterations):
        basis = np.linalg.qr(weights.T @ basis)[0]
        basis = np.linalg.qr(weights @ basis)[0]
    u, s, vt = np.linalg.svd(basis.T @ weights, full_matrices=False)
    return (basis @ u[:, :rank] * s[:rank]).astype(np.float32), np.ascontiguousarray(vt[:rank].T)
