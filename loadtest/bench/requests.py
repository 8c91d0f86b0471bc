"""What the benchmarks ask: made-up users, one in ten of them known, each with a short session."""

import numpy as np
import orjson

from loadtest.bench.bundle import N_ITEMS, N_USERS
from loadtest.engine.run import post
from loadtest.transports.exchange import Request

_N = 2_000
_SESSION = 5


def bench_requests() -> list[Request]:
    """Return the same requests every time."""
    rng = np.random.default_rng(0)
    users = rng.integers(0, 10 * N_USERS, _N).astype(str).tolist()
    sessions = rng.integers(0, N_ITEMS, (_N, _SESSION)).astype(str).tolist()
    return [
        post("recommend", "/recommend", orjson.dumps({"user_id": user, "session": session, "top_n": 10}))
        for user, session in zip(users, sessions, strict=True)
    ]
