"""The Ray cluster, as values of the chart."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from deployments.chart.kubernetes_values import ChartModel, Resources, Variable
from deployments.chart.placement import Placement


class Head(Placement):
    """The pod that directs the others."""

    resources: Resources
    """Of its Ray container."""
    env: tuple[Variable, ...]
    """Further environment variables."""


class Worker(Head):
    """The pods that serve."""

    min_replicas: NonNegativeInt
    """Pods at least."""
    max_replicas: PositiveInt
    """Pods at most; Ray's autoscaler asks for another when replicas do not fit."""
    num_cpus: PositiveInt | None = None
    """Whole cores that Ray counts in each pod; absent: what its limits or requests say."""


class Autoscaler(ChartModel):
    """Ray's autoscaler, which adds and removes worker pods."""

    enabled: bool
    """False: workers stay at minReplicas."""
    idle_timeout_seconds: PositiveInt
    """A pod without replicas is removed after so long."""
    upscaling_mode: Literal["Default", "Aggressive", "Conservative"]
    """How fast."""
    resources: Resources
    """Of its container in the head pod."""


class Incremental(ChartModel):
    """How requests go over to a second cluster bit by bit."""

    gateway_class_name: str
    """Of a Gateway API controller that is there."""
    max_surge_percent: Annotated[int, Field(ge=0, le=100)]
    """So much of the old cluster's capacity is added at once."""
    step_size_percent: Annotated[int, Field(ge=1, le=100)]
    """So much of the requests goes over at once."""
    interval_seconds: PositiveInt
    """Between two steps."""


class Upgrade(ChartModel):
    """How a change of pods or image comes about."""

    strategy: Literal["NewCluster", "NewClusterWithIncrementalUpgrade", "None"]
    """NewCluster: a second cluster beside the first takes over. None: such a change waits."""
    incremental: Incremental
    """With NewClusterWithIncrementalUpgrade."""
    deletion_delay_seconds: NonNegativeInt
    """So long the old cluster stays after the switch."""


class Ray(ChartModel):
    """The Ray cluster."""

    version: str
    """Of Ray in the image."""
    fault_tolerance: bool
    """Keep the head's state in Redis: workers go on serving while the head restarts."""
    head: Head
    """The head pod."""
    worker: Worker
    """The worker pods."""
    autoscaler: Autoscaler
    """Worker pods by need."""
    upgrade: Upgrade
    """Changes of pods."""
