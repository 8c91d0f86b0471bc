"""Bundles made on a schedule, and the test of a release, as values of the chart."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from deployments.chart.kubernetes_values import ChartModel, Resources, Schedule
from deployments.chart.placement import Placement
from recsys.training.refresh import RankerOf
from recsys.training.two_stage import TrainingConfig


class TrainingRayJob(ChartModel):
    """A Ray cluster of its own for each training."""

    enabled: bool
    """Whether the schedule starts a RayJob; otherwise it trains itself."""
    num_cpus: Annotated[int, Field(ge=1)] | None = None
    """Whole cores that Ray counts; absent: what limits or requests say."""
    kept_seconds: NonNegativeInt
    """So long its cluster stays when it has ended."""
    launcher: Resources
    """Of the container that starts it and waits."""


class Training(Placement):
    """A CronJob that trains, passes the gate and registers."""

    schedule: Schedule
    """As for cron; empty: there is none."""
    time_zone: str
    """Of the schedule; empty: that of the cluster."""
    suspend: bool
    """Whether it pauses."""
    prepare: str
    """Commands of bash before it, for example to fetch the data; they see /data and /tmp."""
    data: str
    """Folder of the data set, on the volume or made by ``prepare``."""
    refresh: bool
    """Whether the stable bundle is made fresher, and not all fitted anew."""
    ranker: RankerOf
    """What becomes of its ranker then."""
    config: TrainingConfig
    """Settings that differ from the program's own."""
    channel: Literal["", "candidate", "stable"]
    """Which channel names the new bundle; empty: none."""
    gate: bool
    """Whether a bundle that does worse than popularity is refused."""
    on_bad_row: Literal["fail", "skip"]
    """What to do about rows that cannot be read."""
    ray_job: TrainingRayJob
    """On a Ray cluster of its own."""
    deadline_seconds: PositiveInt
    """It is ended after so long."""
    retries: NonNegativeInt
    """When it fails."""
    kept_successful: NonNegativeInt
    """So many jobs of the past can be looked at."""
    kept_failed: NonNegativeInt
    """So many that failed, too."""
    resources: Resources
    """Of its container."""


class Test(ChartModel):
    """What ``helm test`` does."""

    at_most_seconds: PositiveInt
    """It waits so long for the wanted bundle to answer."""
    resources: Resources
    """Of its container."""
