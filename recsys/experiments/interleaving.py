"""Lists in which two rankings take turns: whose items people choose says which ranking they prefer.

Every user compares both at once, on the same list, so that differences between users drop out: an order of
magnitude fewer lists tell two rankings apart than two arms would need (Chapelle, Joachims, Radlinski and Yue,
"Large-Scale Validation and Analysis of Interleaved Search Evaluation", TOIS 2012). It says which one is
preferred, not by how much a metric would change: for that there are arms.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf, sqrt
from typing import Final

from recsys.core.hashing import hash64
from recsys.experiments.moments import DENOMINATOR, Moments
from recsys.experiments.sequential import boundary

INTERLEAVED: Final = "interleaved"
"""The arm of users whose lists two lanes take turns in; also what chance deals them by."""

_EVEN: Final = 0.5
_COINS: Final = 64


def draft(one: Sequence[str], other: Sequence[str], n: int, coins: Iterator[bool]) -> list[tuple[str, bool]]:
    """Pick ``n`` items in turns; who comes first in a round is a matter of chance.

    Args:
        one: ids of items, the best first, each once.
        other: likewise.
        n: how many to pick; fewer come back when there are fewer.
        coins: True: ``other`` picks first in this round.

    Returns:
        item and whether it is ``other``'s pick, the top first; each item once, whoever else names it.

    Source: Radlinski, Kurup and Joachims, "How Does Clickthrough Data Reflect Retrieval Quality?", CIKM 2008
    (team draft).

    >>> draft(["a", "b", "c"], ["b", "d", "a"], 4, iter([True, False]))
    [('b', True), ('a', False), ('c', False), ('d', True)]
    """
    left = (iter(one), iter(other))
    picked: dict[str, bool] = {}
    n_picked = [0, 0]
    while len(picked) < n:
        others_turn = next(coins) if n_picked[0] == n_picked[1] else n_picked[1] < n_picked[0]
        for team in (others_turn, not others_turn):  # whose list is at its end leaves its turn to the other
            item = next((item for item in left[team] if item not in picked), None)
            if item is not None:
                picked[item] = team
                n_picked[team] += 1
                break
        else:
            break
    return list(picked.items())


def coins_of(request_id: str, salt: str) -> Iterator[bool]:
    """Yield the coins of a request: always the same, fair, and independent of those of all others."""
    bits = hash64(request_id, f"{INTERLEAVED}:{salt}")
    place = 0
    while True:
        yield bool(bits >> (place % _COINS) & 1)
        place += 1


@dataclass(frozen=True, slots=True)
class Preference:
    """What people chose of interleaved lists."""

    users: int
    chosen: float  # items
    share: float | None  # of those, how many the other ranking had picked; None when nothing was chosen
    lower: float  # the share surely lies between, whenever one looks
    upper: float

    @property
    def in_words(self) -> str:
        """Which ranking people prefer, in a few words."""
        if self.lower > _EVEN:
            return "the canary is preferred"
        return "the stable bundle is preferred" if self.upper < _EVEN else "no telling yet"


def preference_of(chosen_by_user: Moments, *, alpha: float, closest: int) -> Preference:
    """Return which ranking is preferred, with an interval that holds at all times; a user's lists are alike.

    Args:
        chosen_by_user: numerator: items chosen that the other ranking had picked; denominator: items chosen.
        alpha: odds of an interval that is ever wrong.
        closest: users at which the interval is narrowest; it holds for any number.
    """
    chosen = chosen_by_user.means[DENOMINATOR] * chosen_by_user.n
    half = inf
    if chosen_by_user.n > 1 and chosen > 0.0:
        coins = _EVEN * (1.0 - _EVEN) / chosen  # at least: the first few users may all choose alike
        squared_error = max(chosen_by_user.variance / chosen_by_user.n, coins)
        half = float(boundary(chosen_by_user.n, alpha, closest)) * sqrt(squared_error)
    share = chosen_by_user.ratio if chosen > 0.0 else None
    middle = _EVEN if share is None else share
    return Preference(chosen_by_user.n, chosen, share, max(0.0, middle - half), min(1.0, middle + half))
