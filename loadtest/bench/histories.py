"""User states with a history, made as fast as a store takes them."""

from collections.abc import Iterator

import numpy as np

from recsys.state.record import Ledger, Record, Sort

_LENGTH = 20
_BEGIN_S = 1.69e9
_CHUNK = 10_000


def histories(n_users: int, n_items: int, *, seed: int = 0) -> Iterator[tuple[str, Record]]:
    """Yield users ``0``, ``1``, ... with twenty items each, drawn by a power law.

    Args:
        n_users: how many.
        n_items: item ids run from 0 to this.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, n_items + 1) ** 0.8
    upto = np.cumsum(weights / weights.sum())
    names = [str(item) for item in range(n_items)]
    times_s = [_BEGIN_S + 3_600.0 * place for place in range(_LENGTH)]
    event_ids = [f"filled:{place}" for place in range(_LENGTH)]
    for start in range(0, n_users, _CHUNK):
        drawn = np.searchsorted(upto, rng.random((min(_CHUNK, n_users - start), _LENGTH)))
        for number, items in enumerate(drawn.tolist(), start=start):
            ledgers = [Ledger() for _ in Sort]
            ledgers[Sort.POSITIVE] = Ledger(times_s, event_ids, [names[item] for item in items])
            yield str(number), Record(tuple(ledgers))
