"""What comes next: two decayed sums of the user's items, regressed in closed form on the next item.

With x the two sums (time constants near 1.5 and 8 items) and y the next item, the weights W minimise ``sum
|y - x W|^2 + ridge |W|^2``, so ``W = (X'X + ridge I)^-1 X'Y``. The moments X'X and X'Y come from pair
counts per lag: a pair of items (i, j) of one user, j at or after i, appears in every later row with weights
that form a geometric series, so nothing is materialised per row. W is cut to a low rank so that an
inner-product index serves it; the exact score of single items is a gather of W.

Source: ridge regression on linear item-item models as in Steck, "Embarrassingly Shallow Autoencoders", WWW
2019; the decayed sums are the leaky integrators of exponential smoothing (Brown 1956).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from recsys.core.compiled import compiled
from recsys.core.settings import FrozenModel
from recsys.data.log import InteractionLog
from recsys.features.history import position_decay, weighted_sum
from recsys.features.users import UserBatch
from recsys.recall.index import IndexConfig, VectorIndex, build_index
from recsys.recall.pairs import pairs_at_lag
from recsys.recall.source import Ranked
from recsys.registry.bundle import BundleReader, BundleWriter

_FOLDER = "recall/sequential"
_NEGLIGIBLE = 5e-3  # pairs whose weight has fallen below this are left out


class SequentialConfig(FrozenModel):
    """The two sums, the ridge and the sizes."""

    time_constants_items: tuple[PositiveFloat, PositiveFloat] = (1.5, 8.0)
    """After so many items, an item counts 1/e in the first and in the second sum."""

    ridge: PositiveFloat = 60.0
    """Regularisation, in units of events."""

    rank: PositiveInt = 256
    """Rank of the weights behind the index."""

    min_events: PositiveInt = 5
    """Items with fewer events in the log take no part; other sources name them."""

    max_items: PositiveInt = 6_000
    """Only the most popular items take part: the regression is cubic in them."""

    max_exact_mb: NonNegativeFloat = 320.0
    """The full weights are kept for exact scores when they are not larger than this."""

    index: IndexConfig = IndexConfig()
    """The index over the right factors."""

    def length(self, which: int) -> int:
        """Return after how many items the sum ``which`` has forgotten one."""
        return int(np.ceil(-self.time_constants_items[which] * np.log(_NEGLIGIBLE)))


@dataclass(frozen=True, slots=True)
class SequentialSource:
    """Low-rank index names items; exact weights, when small enough, score them."""

    index: VectorIndex  # right factors, shape (items, rank)
    left: NDArray[np.float32]  # shape (2, items, rank): what an item adds to the user's vector, per sum
    head_of: NDArray[
        np.int32
    ]  # shape (items,): place among the items that take part, or the last, empty place
    exact: NDArray[np.float16]  # shape (2, head + 1, head + 1), last row and column 0; empty when too large
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
        return self.index.search(self._vectors(users), n, blocked)

    def score(self, users: UserBatch, item_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the score of each item as the next one."""
        if self.exact.size == 0:
            return self.index.score(self._vectors(users), item_rows)
        first, second = self.parts(users, item_rows)
        return first + second

    def parts(
        self, users: UserBatch, item_rows: NDArray[np.int32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return what the short and the long sum add to the score, each of shape (users, items)."""
        if self.exact.size == 0:
            first, second = (self.index.score(self._vector(users, which), item_rows) for which in range(2))
            return first, second
        first, second = (self._exact_part(users, item_rows, which) for which in range(2))
        return first, second

    def _exact_part(self, users: UserBatch, item_rows: NDArray[np.int32], which: int) -> NDArray[np.float32]:
        scores = np.zeros(item_rows.shape, dtype=np.float32)
        table = self.exact[which].view(np.uint16)  # Numba has no half floats: their bits, and what these mean
        _add_exact(
            table, HALF_FLOATS, self.head_of, users.history_rows, self._decay(which), item_rows, scores
        )
        return scores

    def save(self, writer: BundleWriter) -> None:
        """Write under ``recall/sequential/``."""
        self.index.save(writer, _FOLDER)
        writer.array(f"{_FOLDER}/left", self.left)
        writer.array(f"{_FOLDER}/head_of", self.head_of)
        writer.array(f"{_FOLDER}/exact", self.exact)
        writer.json(f"{_FOLDER}/config", self.config.model_dump())

    @classmethod
    def load(cls, reader: BundleReader) -> Self:
        """Read back what :meth:`save` wrote."""
        return cls(
            VectorIndex.load(reader, _FOLDER),
            reader.array(f"{_FOLDER}/left"),
            reader.array(f"{_FOLDER}/head_of"),
            reader.array(f"{_FOLDER}/exact"),
            SequentialConfig.model_validate(reader.json(f"{_FOLDER}/config")),
        )


HALF_FLOATS: NDArray[np.float32] = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
"""The value of every half-precision float, by its bits."""


@compiled
def _add_exact(
    table: NDArray[np.uint16],
    half_floats: NDArray[np.float32],
    head_of: NDArray[np.int32],
    history_rows: NDArray[np.int32],
    decay: NDArray[np.float32],
    item_rows: NDArray[np.int32],
    scores: NDArray[np.float32],
) -> None:
    columns = np.empty(item_rows.shape[1], dtype=np.int32)
    for user in range(len(item_rows)):
        for column, item_row in enumerate(item_rows[user]):
            columns[column] = head_of[item_row] if item_row >= 0 else len(table) - 1
        for age in range(min(len(decay), history_rows.shape[1])):
            if history_rows[user, age] < 0:
                break
            weights = table[head_of[history_rows[user, age]]]
            for column in range(len(columns)):
                scores[user, column] += decay[age] * half_floats[weights[columns[column]]]


def fit_sequential(log: InteractionLog, config: SequentialConfig, *, seed: int = 0) -> SequentialSource:
    """Regress the next item on the two decayed sums."""
    head = _head(log, config)
    head_of = np.full(log.n_items, len(head), dtype=np.int32)
    head_of[head] = np.arange(len(head), dtype=np.int32)
    weights = _ridge_weights(*_moments(log, head_of, len(head), config), config.ridge)
    left, right = _low_rank(weights, config.rank, seed)
    padded = np.zeros((2, len(head) + 1, len(head) + 1), dtype=np.float16)
    padded[:, :-1, :-1] = weights.reshape(2, len(head), len(head))
    too_large = padded.nbytes > config.max_exact_mb * 2**20
    left_items = np.zeros((2, log.n_items, left.shape[1]), dtype=np.float32)
    left_items[:, head] = left.reshape(2, len(head), left.shape[1])
    right_items = np.zeros((log.n_items, left.shape[1]), dtype=np.float32)
    right_items[head] = right
    return SequentialSource(
        build_index(right_items, config.index, seed=seed),
        left_items,
        head_of,
        np.zeros(0, dtype=np.float16) if too_large else padded,
        config,
    )


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
