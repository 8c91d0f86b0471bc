"""The serving graph: the only place where Ray Serve deployments are made."""

import warnings
from typing import Any

from ray import serve
from ray.serve import Application
from ray.serve.config import AutoscalingConfig, BackpressureConfig
from ray.serve.schema import LoggingConfig, ServeApplicationSchema

from deployments.autoscaling.settings import AutoscalingSettings, Bounds
from deployments.metrics_files import MULTIPROCESS_VARIABLE
from deployments.ranking import RankingReplica
from deployments.recall import RecallReplica
from deployments.replica import RouterReplica
from deployments.settings import GraphArgs, Replicas

_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
"""Replicas are the unit of scaling: threads of their own would only get into each other's way."""

_POLICY = "deployments.autoscaling.serve_policy:ServePolicy"

_SERVES_OWN = 64
"""Calls of ``/-/healthz`` and the like, which the gate does not count."""

_RETRY_AFTER_S = 2.0


def build(args: GraphArgs) -> Application:
    """Bind the graph; importing this file deploys, downloads and configures nothing.

    One ``router`` deployment, whose replicas answer HTTP, and per lane ``recall-<lane>`` and
    ``ranking-<lane>``. A lane without a bundle in the traffic document loads nothing.
    """
    scaling = args.autoscaling
    of_recall = _options(args, args.recall, _lane_scaling(scaling, scaling.recall) if scaling else None)
    of_ranking = _options(args, args.ranking, _lane_scaling(scaling, scaling.ranking) if scaling else None)
    of_router = _options(args, args.router, _scaling(scaling, scaling.router) if scaling else None)
    recall, ranking = {}, {}
    for lane in args.lanes:
        recall[lane] = serve.deployment(name=f"recall-{lane}", **of_recall)(RecallReplica).bind(args, lane)
        ranking[lane] = serve.deployment(name=f"ranking-{lane}", **of_ranking)(RankingReplica).bind(
            args, lane
        )
    most = max(args.router.in_flight, args.overload.max_inside + _SERVES_OWN)
    in_flight = {
        "max_ongoing_requests": most,
        "max_queued_requests": most,  # by default any number may wait; the gate lets nobody in who would
        "backpressure_config": BackpressureConfig(status_code=503, retry_after_s=_RETRY_AFTER_S),
    }
    router = serve.deployment(name="router", **(of_router | in_flight))(serve.ingress()(RouterReplica))
    return router.bind(args, recall, ranking)


def application(args: GraphArgs, scaling: AutoscalingSettings, name: str) -> ServeApplicationSchema:
    """Describe the graph as Ray Serve wants an application with a scaling policy of its own described."""
    policy = {"settings": scaling.model_dump(mode="json"), "lanes": list(args.lanes)}
    return ServeApplicationSchema(
        name=name,
        import_path=f"{build.__module__}:{build.__name__}",
        args=args.model_dump(mode="json"),
        autoscaling_policy={"policy_function": _POLICY, "policy_kwargs": policy},
    )


def _options(args: GraphArgs, replicas: Replicas, scaling: AutoscalingConfig | None) -> dict[str, Any]:
    environment = _ONE_THREAD | args.environment
    if args.metrics is not None:
        environment[MULTIPROCESS_VARIABLE] = str(args.metrics)
    size = {"num_replicas": replicas.replicas} if scaling is None else {"autoscaling_config": scaling}
    return {
        **size,
        "max_ongoing_requests": replicas.in_flight,
        "max_replicas_per_node": replicas.max_per_node,
        "logging_config": LoggingConfig(log_level="WARNING", enable_access_log=False),  # /metrics counts
        "ray_actor_options": {"num_cpus": replicas.cpus, "runtime_env": {"env_vars": environment}},
    }


def _lane_scaling(settings: AutoscalingSettings, bounds: Bounds) -> AutoscalingConfig:
    """Return what Ray Serve may do with a stage of a lane: down to none, for the lane may be idle."""
    return _scaling(settings, bounds, least=0)


def _scaling(settings: AutoscalingSettings, bounds: Bounds, least: int | None = None) -> AutoscalingConfig:
    """Return settings with which Ray Serve does at once what our policy says; the policy has the patience."""
    with warnings.catch_warnings():
        # metrics_interval_s is deprecated for variables that Ray 2.60 reads as its default only.
        warnings.simplefilter("ignore", DeprecationWarning)
        return AutoscalingConfig(
            min_replicas=bounds.least if least is None else least,
            max_replicas=bounds.most,
            upscale_delay_s=0.0,
            downscale_delay_s=0.0,
            downscale_to_zero_delay_s=0.0,
            metrics_interval_s=settings.decide_every_s,
            look_back_period_s=settings.window_s,
        )
