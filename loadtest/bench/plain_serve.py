"""The same three stages as Ray Serve's documentation composes them: its defaults, a handle call per request.

No micro-batches, no HAProxy, no throughput-optimised mode. ``main`` takes REGISTRY STATE_URL PORT, prints
``ready`` when it answers, and ends with SIGTERM.

No ``from __future__ import annotations``: FastAPI reads the annotations of the handler.
"""

import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import ray
from fastapi import FastAPI
from numpy.typing import NDArray
from ray import serve
from ray.serve.handle import DeploymentHandle

from loadtest.bench.monolith import Ask, items_of, stable_bundle, users_of
from recsys.features.users import UserBatch
from recsys.pipeline.stages import RankingStage, RecallStage, RerankingStage, TwoStage
from recsys.recall.candidates import Candidates
from recsys.state.open import open_user_state

app = FastAPI()

_CPUS = 0.25
_OBJECT_STORE_BYTES = 100 << 20
_N_CANDIDATES = 200


class Recall:
    """Names candidates for one user per call."""

    def __init__(self, registry: str) -> None:
        self._stage = RecallStage.load(stable_bundle(Path(registry)))

    async def __call__(self, users: UserBatch) -> Candidates:
        """Name them."""
        return self._stage.recall(users, _N_CANDIDATES)


class Ranking:
    """Scores the candidates of one user per call."""

    def __init__(self, registry: str) -> None:
        self._stage = RankingStage.load(stable_bundle(Path(registry)))

    async def __call__(self, users: UserBatch, candidates: Candidates) -> NDArray[np.float32]:
        """Score them."""
        return self._stage.rank(users, candidates)


@serve.ingress(app)
class Ingress:
    """Reads the state, asks both stages, puts the list together."""

    def __init__(
        self,
        registry: str,
        state_url: str,
        recall: DeploymentHandle[Recall],
        ranking: DeploymentHandle[Ranking],
    ) -> None:
        reader = stable_bundle(Path(registry))
        self._recall, self._ranking = recall, ranking
        self._model = TwoStage(
            RecallStage.load(reader), RankingStage.load(reader), RerankingStage.load(reader), _N_CANDIDATES
        )
        self._bundle = reader.name
        self._store = open_user_state(state_url)

    @app.post("/recommend")
    async def recommend(self, ask: Ask) -> dict[str, Any]:
        """Recommend."""
        [state] = self._store.read([ask.user_id or ""])
        users = users_of(self._model, ask, state, time.time())
        found = self._recall.remote(users)
        scores = await self._ranking.remote(users, found)
        candidates = await found
        slate = self._model.reranking.rerank(candidates.item_rows, scores, ask.top_n)
        return {"items": items_of(self._model, candidates, slate), "bundle": self._bundle, "degraded": []}


def main() -> None:
    """Serve until SIGTERM."""
    registry, state_url, port = sys.argv[1:]
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    ray.init(
        address="local",
        num_cpus=8,
        include_dashboard=False,
        object_store_memory=_OBJECT_STORE_BYTES,
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
    )
    options: dict[str, Any] = {"ray_actor_options": {"num_cpus": _CPUS}, "max_ongoing_requests": 256}
    recall = serve.deployment(name="recall", **options)(Recall).bind(str(Path(registry).absolute()))
    ranking = serve.deployment(name="ranking", **options)(Ranking).bind(str(Path(registry).absolute()))
    ingress = serve.deployment(name="ingress", **options)(Ingress)
    serve.start(http_options={"host": "127.0.0.1", "port": int(port)})
    serve.run(ingress.bind(str(Path(registry).absolute()), state_url, recall, ranking), name="plain")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    ended.wait()
    ray.shutdown()
