"""Which arm a user belongs to: a pure function of salt, experiment and user id, with no state anywhere.

A user's *bucket* is a uniform number in [0, 1) that never changes. The arms lie end to end on [0, 1) in the
order given, each as long as its share, and a user belongs to the arm that their bucket falls on. So moving
share from an arm to its neighbour moves users from the one to the other and nobody else; with two arms that
is always so. (With three arms that share with a fourth, no pure function of the shares can promise it for
every pair: hence neighbours.)
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from math import fsum

import numpy as np
from numpy.typing import NDArray

from recsys.core.errors import FieldError
from recsys.core.hashing import hash64, hash64_many

_EDGE_DECIMALS = 9  # so that an edge does not tremble in its last bit when share moves beside it
_TOLERANCE = 1e-9


def bucket(user_id: str, experiment: str, *, salt: str) -> float:
    """Return the user's place in [0, 1): uniform, independent between experiments and between salts.

    Another salt deals the users anew; it is changed only on purpose.

    Source: Kohavi, Tang and Xu, "Trustworthy Online Controlled Experiments", 2020, chapter 14 on hashing with
    the experiment's id.
    """
    return (hash64(user_id, _key(experiment, salt)) >> 11) * 2.0**-53  # a double holds 53 bits


def buckets(user_ids: Iterable[str], experiment: str, *, salt: str) -> NDArray[np.float64]:
    """Return :func:`bucket` of each user, shape (users,)."""
    return (hash64_many(user_ids, _key(experiment, salt)) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def assign(experiment: str, user_id: str, shares: Mapping[str, float], *, salt: str) -> str:
    """Return the arm of a user.

    Args:
        experiment: its name; one user's arms in two experiments have nothing to do with each other.
        user_id: the user; of anonymous traffic the session, else the request.
        shares: arm -> share in [0, 1], together 1; the order counts, see above.
        salt: deals the users.

    Raises:
        FieldError: the shares are not shares of 1.

    >>> assign("ranker", "ada", {"stable": 1.0, "canary": 0.0}, salt="s")
    'stable'
    """
    rows = assign_many(experiment, [user_id], shares, salt=salt)
    return tuple(shares)[int(rows[0])]


def assign_many(
    experiment: str, user_ids: Collection[str], shares: Mapping[str, float], *, salt: str
) -> NDArray[np.intp]:
    """Return for each user the row of their arm in ``shares``, shape (users,); see :func:`assign`."""
    if len(shares) == 1:  # there is nothing to deal
        check_shares(tuple(shares.values()))
        return np.zeros(len(user_ids), dtype=np.intp)
    return arm_rows(buckets(user_ids, experiment, salt=salt), tuple(shares.values()))


def arm_rows(places: NDArray[np.float64], shares: Sequence[float]) -> NDArray[np.intp]:
    """Return on which arm each bucket falls.

    Args:
        places: shape (users,), in [0, 1).
        shares: of the arms in their order, each in [0, 1], together 1.

    Returns:
        shape (users,): row numbers into ``shares``; an arm with share 0 gets nobody.

    Raises:
        FieldError: the shares are not shares of 1.
    """
    return np.searchsorted(edges_of(shares), places, side="right")


def edges_of(shares: Sequence[float]) -> list[float]:
    """Return where each arm but the last ends on [0, 1).

    Raises:
        FieldError: the shares are not shares of 1.
    """
    check_shares(shares)
    edges: list[float] = np.round(np.cumsum(shares[:-1], dtype=np.float64), _EDGE_DECIMALS).tolist()
    return edges


def check_shares(shares: Sequence[float]) -> None:
    """Refuse what are not shares of 1.

    Raises:
        FieldError: there are none, one is outside [0, 1], or their sum is not 1.
    """
    if not all(0.0 <= share <= 1.0 + _TOLERANCE for share in shares):
        raise FieldError("shares", str(list(shares)), "each between 0 and 1")
    if not abs(fsum(shares) - 1.0) <= _TOLERANCE:
        raise FieldError("shares", f"{list(shares)}, together {fsum(shares)}", "a sum of 1")


def _key(experiment: str, salt: str) -> str:
    return f"{len(salt)}:{salt}{experiment}"  # the length keeps ("a", "bc") apart from ("ab", "c")
