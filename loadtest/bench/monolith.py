"""What the graph is measured against: one plain FastAPI process with the same bundle and the same stages.

Nothing here is made worse than people write it: the stages are called directly on the event loop. A plain
``def`` handler, which FastAPI runs in its thread pool, was tried first and did half as many requests/s at 64
connections (129 against 272 at one): its threads fight for the lock of the interpreter.

No ``from __future__ import annotations``: FastAPI reads the annotations of the handler.
"""

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
from recsys.recall.sources import SOURCE_NAMES
from recsys.registry.local import LocalRegistry
from recsys.registry.reader import open_bundle
from recsys.state.open import open_user_state
from recsys.state.store import UserState


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


def make_app(registry: Path, state_url: str) -> FastAPI:
    """Return the application, its bundle loaded."""
    reader = open_bundle(LocalRegistry(registry).get("stable"), feature_schema=FEATURE_SCHEMA)
    model = TwoStage.load(reader)
    store = open_user_state(state_url)
    quotas = model.recall.quotas.as_tuple()
    ids = model.recall.catalogue.items.ids
    app = FastAPI()

    @app.post("/recommend")
    async def recommend(ask: Ask) -> dict[str, Any]:
        [state] = store.read([ask.user_id or ""])
        users = users_of(model, ask, state, time.time())
        candidates, slate = model.recommend(users, ask.top_n)
        [numbers] = best_source(candidates.source_ranks[:, slate.columns[0]], quotas).tolist()
        sources = [SOURCE_NAMES[number] for number in numbers]
        shown = zip(slate.item_rows[0].tolist(), slate.scores[0].tolist(), sources, strict=True)
        items = [
            {"item_id": ids[row], "score": score, "position": place, "source": source, "reason": None}
            for place, (row, score, source) in enumerate(shown, start=1)
            if row >= 0
        ]
        return {"items": items, "bundle": reader.name, "degraded": []}

    return app


def main() -> None:
    """Serve: ``python -m loadtest.bench.monolith REGISTRY STATE_URL PORT``."""
    registry, state_url, port = sys.argv[1:]
    uvicorn.run(
        make_app(Path(registry), state_url),
        host="127.0.0.1",
        port=int(port),
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
