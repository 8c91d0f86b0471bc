"""What every server is asked: the same requests, by users of whom most are known to nobody."""

import numpy as np
import orjson

from loadtest.bench.bundle import N_ITEMS, N_USERS
from loadtest.engine.run import post
from loadtest.transports.exchange import Request

_N_REQUESTS = 2_000
_SESSION = 5
_TOP_N = 10


def requests_for(n_users: int = 10 * N_USERS, n_items: int = N_ITEMS, *, seed: int = 0) -> list[Request]:
    """Return requests for ten items, each by a user drawn from all, with a session of five items.

    Args:
        n_users: ids run from 0 to this.
        n_items: ids run from 0 to this.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    users = rng.integers(0, n_users, _N_REQUESTS).astype(str).tolist()
    sessions = rng.integers(0, n_items, (_N_REQUESTS, _SESSION)).astype(str).tolist()
    return [
        post(
            "recommend",
            "/recommend",
            orjson.dumps({"user_id": user, "session": session, "top_n": _TOP_N}),
        )
        for user, session in zip(users, sessions, strict=True)
    ]
