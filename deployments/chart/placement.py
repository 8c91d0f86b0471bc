"""Where pods run, and how they come about: values that several groups share."""

from typing import Any, Literal

from pydantic import PositiveInt

from deployments.chart.kubernetes_values import ChartModel, Labels, Toleration


class Spread(ChartModel):
    """How evenly pods are laid out over nodes or zones."""

    max_skew: PositiveInt = 1
    """By how many pods two places may differ."""
    topology_key: str
    """Label of nodes that makes a place: ``kubernetes.io/hostname``, ``topology.kubernetes.io/zone``."""
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"] = "ScheduleAnyway"
    """Whether a pod waits where it cannot be so."""
    min_domains: PositiveInt | None = None
    """Places at least, with DoNotSchedule."""


class Nodes(ChartModel):
    """Which nodes pods may run on."""

    node_selector: Labels
    """Labels that a node must have."""
    tolerations: tuple[Toleration, ...]
    """Taints that are no obstacle."""
    affinity: dict[str, Any]
    """As in a pod; the API server checks it."""
    priority_class_name: str
    """Empty: the cluster's default."""


class Placement(Nodes):
    """Where pods may run."""

    topology_spread_constraints: tuple[Spread, ...]
    """How evenly; which pods are meant is filled in."""
