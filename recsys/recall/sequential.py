"""What comes next: two decayed sums of the user's items, regressed in closed form on the next item.

With x the two sums (time constants near 1.5 and 8 items) and y the next item, the weights W minimise ``sum
|y - x W|^2 + ridge |W|^2``, so ``W = (X'X + ridge I)^-1 X'Y``. The moments X'X and X'Y come from pairs of
items (:mod:`recsys.recall.moments`), so nothing is materialised per row, and they can be brought up to date
without reading everything again (:mod:`recsys.recall.counted`). W serves as it is, in 16 bits, when it is
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

from recsys.core.clock import SECONDS_PER_DAY
from recsys.core.settings import FrozenModel
from recsys.data.log import InteractionLog
from recsys.features.history import position_decay, weighted_sum
from recsys.features.users import UserBatch
from recsys.recall.head import head_of
from recsys.recall.index import IndexConfig, VectorIndex, build_index
from recsys.recall.moments import Decays, Lives, Moments, add_lives, places_of
from recsys.recall.next_weights import NextWeights, none_kept, quantised
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

    half_life_days: PositiveFloat | None = None
    """Events this much older than the latest day count half; None: all count alike."""

    index: IndexConfig = IndexConfig()
    """The index over the right factors."""

    def length(self, which: int) -> int:
        """Return after how many items the sum ``which`` has forgotten one."""
        return int(np.ceil(-self.time_constants_items[which] * np.log(_NEGLIGIBLE)))

    def decays(self) -> Decays:
        """Return how the two sums forget."""
        short, long = (float(np.exp(-1.0 / constant)) for constant in self.time_constants_items)
        return Decays((short, long), (self.length(0), self.length(1)))

    def row_weights(self, days: NDArray[np.int32], as_of_day: int) -> NDArray[np.float64]:
        """Return what events of these days count on the day ``as_of_day``, shape of ``days``."""
        if self.half_life_days is None:
            return np.ones(len(days))
        weights: NDArray[np.float64] = np.exp2((days - float(as_of_day)) / self.half_life_days)
        return weights


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
    return solve_sequential(count_moments(log, config), log.n_items, config, seed=seed)


def count_moments(log: InteractionLog, config: SequentialConfig) -> Moments:
    """Return the sums of the regression over a whole log."""
    days = days_of(log.times_s)
    weights = config.row_weights(days, days.max(initial=0))
    moments = Moments.none(head_of_log(log.item_rows, weights, log.n_items, config))
    places = places_of(moments.item_rows, log.n_items)
    add_lives(moments, Lives(log.offsets, places[log.item_rows], weights), config.decays())
    return moments


def solve_sequential(
    moments: Moments, n_items: int, config: SequentialConfig, *, seed: int = 0
) -> SequentialSource:
    """Return the weights that the sums make, ready to serve.

    Args:
        moments: of a log, or of one that was brought up to date.
        n_items: of the catalogue whose rows the sums speak of.
        config: the ridge and the sizes.
        seed: of the low-rank factors.
    """
    head = moments.item_rows
    weights = _ridge_weights(*moments.system(), config.ridge)
    left, right = _low_rank(weights, config.rank, seed)
    left_items = np.zeros((2, n_items, left.shape[1]), dtype=np.float32)
    left_items[:, head] = left.reshape(2, len(head), left.shape[1])
    right_items = np.zeros((n_items, left.shape[1]), dtype=np.float32)
    right_items[head] = right
    index = build_index(right_items, config.index, seed=seed)
    return SequentialSource(
        index, left_items, _exact(weights, places_of(head, n_items), head, config), config
    )


def days_of(times_s: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return the day of each moment, counted from 1970, UTC."""
    return np.floor(times_s / SECONDS_PER_DAY).astype(np.int32)


def head_of_log(
    item_rows: NDArray[np.int32], weights: NDArray[np.float64], n_items: int, config: SequentialConfig
) -> NDArray[np.int32]:
    """Return the rows of the items that take part, rising: the most popular with enough events."""
    popularity = np.bincount(item_rows, weights, minlength=n_items)
    return head_of(popularity, max_items=config.max_items, min_events=config.min_events)


def _exact(
    weights: NDArray[np.float32],
    head_of: NDArray[np.int32],
    head: NDArray[np.int32],
    config: SequentialConfig,
) -> NextWeights:
    if 2 * weights.size > config.max_exact_mb * 2**20:  # bytes
        return none_kept(2, head_of, head)
    return quantised(weights.reshape(2, len(head), len(head)), head_of, head)


def _ridge_weights(
    gram: NDArray[np.float32], cross: NDArray[np.float32], ridge: float
) -> NDArray[np.float32]:
    """Solve in single precision: the ridge keeps the problem well conditioned, and it takes half the time.

    Of ``gram`` the lower half is read; both are overwritten.
    """
    gram[np.diag_indices_from(gram)] += ridge
    if gram.size == 0:
        return cross
    factor = scipy.linalg.cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
    solved = scipy.linalg.cho_solve(factor, cross, overwrite_b=True, check_finite=False)
    return np.ascontiguousarray(solved, dtype=np.float32)


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
