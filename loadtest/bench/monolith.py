"""What the graph is measured against: one plain FastAPI process with the same bundle and the same stages.

Nothing here is made worse than people write it: the stages are called directly on the event loop. A plain
``def`` handler, which FastAPI runs in its thread pool, was tried first and did half as many requests/s at 64
connections (129 against 272 at one): its threads fight for the lock of the interpreter.

No ``from __future__ import annotations``: FastAPI reads the annotations of the handler.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, Field

from recsys.features.users import UserBatch, user_batch
from recsys.pipeline.stages import TwoStage
from recsys.ranking.matrix import FEATURE_SCHEMA
from recsys.recall.blend import best_source
from recsys.recall.candidates import Candidates
from recsys.recall.sources import SOURCE_NAMES
from recsys.registry.bundle import BundleReader
from recsys.registry.local import LocalRegistry
from recsys.registry.reader import open_bundle
from recsys.reranking.rerank import Slate
from recsys.state.open import open_user_state
from recsys.state.store import UserState

_REGISTRY, _STATE_URL = "MARQUEE_BENCH_REGISTRY", "MARQUEE_BENCH_STATE_URL"  # uvicorn's workers begin anew


class Ask(BaseModel):
    """The part of the API's request that the benchmark sends."""

    user_id: str | None = None
    session: list[str] = Field(default=[], max_length=200)
    top_n: int = Field(default=10, ge=1, le=100)


def users_of(model: TwoStage, ask: Ask, state: UserState, now_s: float) -> UserBatch:
    """Return a batch of one user."""
    items = model.recall.catalogue.items
    rows = items.rows([*state.item_ids, *ask.session])
    times_s = np.concatenate([state.times_s, np.full(len(ask.session), now_s)])
    hidden = np.unique(items.rows([*state.seen, *ask.session]))
    hidden = hidden[hidden >= 0]
    known = rows >= 0
    return user_batch(
        rows[known],
        times_s[known],
        np.zeros(1, dtype=np.int64),
        np.array([known.sum()]),
        now_s=np.array([now_s]),
        context_rows=np.zeros(1, dtype=np.int16),
        excluded_offsets=np.array([0, len(hidden)]),
        excluded_rows=hidden,
    )


def items_of(model: TwoStage, candidates: Candidates, slate: Slate) -> list[dict[str, Any]]:
    """Return the list of the one user of a batch, ready for JSON."""
    quotas, ids = model.recall.quotas.as_tuple(), model.recall.catalogue.items.ids
    [numbers] = best_source(candidates.source_ranks[:, slate.columns[0]], quotas).tolist()
    shown = zip(slate.item_rows[0].tolist(), slate.scores[0].tolist(), numbers, strict=True)
    return [
        {
            "item_id": ids[row],
            "score": score,
            "position": place,
            "source": SOURCE_NAMES[number],
            "reason": None,
        }
        for place, (row, score, number) in enumerate(shown, start=1)
        if row >= 0
    ]


def stable_bundle(registry: Path) -> BundleReader:
    """Open the bundle in channel ``stable``."""
    return open_bundle(LocalRegistry(registry).get("stable"), feature_schema=FEATURE_SCHEMA)


def make_app(registry: Path, state_url: str) -> FastAPI:
    """Return the application, its bundle loaded."""
    reader = stable_bundle(registry)
    model = TwoStage.load(reader)
    store = open_user_state(state_url)
    app = FastAPI()

    @app.post("/recommend")
    async def recommend(ask: Ask) -> dict[str, Any]:
        [state] = store.read([ask.user_id or ""])
        users = users_of(model, ask, state, time.time())
        candidates, slate = model.recommend(users, ask.top_n)
        return {"items": items_of(model, candidates, slate), "bundle": reader.name, "degraded": []}

    return app


def app_from_environment() -> FastAPI:
    """Return the application of the settings that :func:`main` left in the environment."""
    return make_app(Path(os.environ[_REGISTRY]), os.environ[_STATE_URL])


def main() -> None:
    """Serve: ``python -m loadtest.bench.monolith REGISTRY STATE_URL PORT WORKERS``."""
    os.environ[_REGISTRY], os.environ[_STATE_URL], port, workers = sys.argv[1:]
    uvicorn.run(
        "loadtest.bench.monolith:app_from_environment",
        factory=True,
        host="127.0.0.1",
        port=int(port),
        workers=int(workers),
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
