"""The serving graph: the only place where Ray Serve deployments are made."""

from typing import Any

from ray import serve
from ray.serve import Application
from ray.serve.schema import LoggingConfig

from deployments.metrics import MULTIPROCESS_VARIABLE
from deployments.ranking import RankingReplica
from deployments.recall import RecallReplica
from deployments.replica import RouterReplica
from deployments.settings import GraphArgs, Replicas

_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
"""Replicas are the unit of scaling: threads of their own would only get into each other's way."""


def build(args: GraphArgs) -> Application:
    """Bind the graph; importing this file deploys, downloads and configures nothing.

    One ``router`` deployment, whose replicas answer HTTP, and per lane ``recall-<lane>`` and
    ``ranking-<lane>``. A lane without a bundle in the traffic document loads nothing.
    """
    recall, ranking = {}, {}
    for lane in args.lanes:
        recall[lane] = serve.deployment(name=f"recall-{lane}", **_options(args, args.recall))(
            RecallReplica
        ).bind(args, lane)
        ranking[lane] = serve.deployment(name=f"ranking-{lane}", **_options(args, args.ranking))(
            RankingReplica
        ).bind(args, lane)
    router = serve.deployment(name="router", **_options(args, args.router))(serve.ingress()(RouterReplica))
    return router.bind(args, recall, ranking)


def _options(args: GraphArgs, replicas: Replicas) -> dict[str, Any]:
    environment = _ONE_THREAD | args.environment
    if args.metrics is not None:
        environment[MULTIPROCESS_VARIABLE] = str(args.metrics)
    return {
        "num_replicas": replicas.replicas,
        "max_ongoing_requests": replicas.in_flight,
        "logging_config": LoggingConfig(enable_access_log=False),  # a line per request costs; /metrics counts
        "ray_actor_options": {"num_cpus": replicas.cpus, "runtime_env": {"env_vars": environment}},
    }
