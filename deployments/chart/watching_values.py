"""Who looks at the figures, as values of the chart."""

from typing import Annotated

from pydantic import Field

from deployments.chart.kubernetes_values import ChartModel, Labels, Resources

Interval = Annotated[str, Field(pattern=r"^[0-9]+(ms|s|m)$")]


class Monitor(ChartModel):
    """What tells the Prometheus operator where figures are."""

    enabled: bool
    """Whether there is one; the cluster has to know its kind."""
    interval: Interval
    """Between two looks."""
    labels: Labels
    """By which your Prometheus chooses."""


class Rules(ChartModel):
    """Alerts, as a PrometheusRule."""

    enabled: bool
    """Whether there is one; the cluster has to know its kind."""
    labels: Labels
    """By which your Prometheus chooses."""
    runbooks: str = Field(min_length=1)
    """Where the page of runbooks is; alerts add their own headings."""


class Dashboards(ChartModel):
    """Pictures, as ConfigMaps that Grafana's sidecar collects."""

    enabled: bool
    """Whether there are any."""
    labels: Labels
    """By which Grafana's sidecar chooses."""
    annotations: Labels
    """For example the folder in Grafana."""


class Metrics(ChartModel):
    """Figures for Prometheus."""

    port: Annotated[int, Field(ge=1024, le=65535)]
    """Where each worker pod's figures are."""
    resources: Resources
    """Of the container that adds them up."""
    pod_monitor: Monitor
    """Every worker pod's figures, by pod."""
    service_monitor: Monitor
    """The same by Service, for who has no PodMonitors; one of both."""
    ray_monitor: Monitor
    """What Ray's own processes say, in head and workers."""
    rules: Rules
    """Alerts."""
    dashboards: Dashboards
    """Pictures."""
