"""The live loop, as values of the chart: events into the lake, and whether the world has moved."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from deployments.chart.kubernetes_values import ChartModel, Resources, Schedule
from deployments.chart.placement import Nodes
from recsys.drift.policy import PolicyConfig
from recsys.lake.place import BUCKET

_ADDRESS = r"^(kafka://[^/@\s]+(/[A-Za-z0-9._-]+)?)?$"
_DURATION = r"^[0-9]+(\.[0-9]+)?(s|m|h|d)$"


class EventLog(ChartModel):
    """Where routers put events, and where ingest reads them."""

    kafka: str = Field(pattern=_ADDRESS)
    """``kafka://HOST:PORT/PREFIX``; empty: files on the volume of all pods."""
    exposures: bool
    """True: what is served is published there, too, and ingest puts it into the lake."""
    existing_secret: str
    """Holds librdkafka's settings (TLS, SASL); empty: none are needed."""
    key: str = Field(min_length=1)
    """Of the Secret: lines of ``key=value``."""
    partitions: PositiveInt
    """Of topics that ingest makes."""
    replicas: PositiveInt
    """Brokers that hold each of them."""


class Ingest(Nodes):
    """A Deployment of ``marquee ingest``."""

    enabled: bool
    """Whether there is one."""
    lake: str = Field(pattern=f"^({BUCKET})?$")
    """``s3://bucket/prefix`` of the lake; empty: a folder on the volume."""
    batch_size: PositiveInt
    """Messages applied at once."""
    batch_seconds: PositiveFloat
    """Longest wait for them."""
    ahead_seconds: PositiveFloat
    """How far ahead clocks of clients may be."""
    resources: Resources
    """Of its container."""


class Leaving(Nodes):
    """A CronJob of ``marquee privacy finish``."""

    schedule: Schedule
    """As for cron; empty: there is none."""
    time_zone: str
    """Of the schedule; empty: that of the cluster."""
    deadline_seconds: PositiveInt
    """It is ended after so long."""
    resources: Resources
    """Of its container."""


class Drift(Nodes):
    """A Deployment of ``marquee drift watch``."""

    enabled: bool
    """Whether there is one."""
    every: Annotated[str, Field(pattern=_DURATION)]
    """How often it looks."""
    grace: Annotated[str, Field(pattern=_DURATION)]
    """How long late events are waited for."""
    false_alarms_per_week: Annotated[float, Field(ge=1e-6, le=0.99)]
    """Windows called moved by accident."""
    policy: PolicyConfig
    """When it raises an alarm and what follows: the program's own settings, by their own names."""
    retrain: Literal["", "inPlace", "rayJob"]
    """How it retrains; empty: it only tells."""
    rollback: bool
    """Whether it may take a canary back."""
    resources: Resources
    """Of its container."""
