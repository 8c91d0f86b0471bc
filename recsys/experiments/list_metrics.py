"""How good a shown list was, by what its user did with it: one number per exposure, in [0, 1]."""

import numpy as np
from numpy.typing import NDArray

from recsys.core.errors import FieldError, ShapeError


def ndcg_at(gains: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Return how near the top of each list the good items stood.

    The ideal is the best order of the same list, so a list is judged by its order and not by how much was
    liked; a list of which nothing was liked is worth 0.

    Args:
        gains: shape (exposures, places), of the item in each place, best place first; 0 where nothing came
            of it or the list is short. 1 for a watch, or graded (2^grade - 1, seconds watched).
        k: places that count.

    Returns:
        shape (exposures,).

    Raises:
        ShapeError: ``gains`` is not a matrix.
        FieldError: a gain is negative or not finite, or ``k`` is below 1.

    Source: Järvelin and Kekäläinen, "Cumulated Gain-based Evaluation of IR Techniques", TOIS 2002.
    """
    _check(gains, k)
    places = gains.shape[1]
    worth = np.where(np.arange(places) < k, 1.0 / np.log2(np.arange(places) + 2.0), 0.0)
    ideal = -np.sort(-gains, axis=1) @ worth
    return np.divide(gains @ worth, ideal, out=np.zeros(len(gains)), where=ideal > 0.0)


def hit_at(gains: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Return 1.0 for each list with a gain in its first ``k`` places, else 0.0; see :func:`ndcg_at`."""
    _check(gains, k)
    return np.asarray((gains[:, :k] > 0.0).any(axis=1), np.float64)


def _check(gains: NDArray[np.float64], k: int) -> None:
    if gains.ndim != 2:
        raise ShapeError("gains", (len(gains), 0), gains.shape)
    if not np.isfinite(gains).all() or (gains < 0.0).any():
        raise FieldError("gains", "a negative number or one that is not finite", "finite, 0 or more")
    if k < 1:
        raise FieldError("k", str(k), "1 or more places")
