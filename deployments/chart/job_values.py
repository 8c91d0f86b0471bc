"""All values of the chart marquee-job, closed at every level."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, NonNegativeInt, PositiveInt

from deployments.chart.kubernetes_values import (
    ChartModel,
    ContainerSecurity,
    EnvironmentSource,
    EnvironmentVariable,
    Labels,
    LocalName,
    ObjectName,
    PodSecurity,
    Resources,
)
from deployments.chart.placement import Nodes
from deployments.chart.storage_values import Registry
from deployments.chart.values import Image

Word = Annotated[str, Field(pattern="^[^']+$")]
"""Of a command: anything but a single quote, which would end it."""


class Files(ChartModel):
    """What the job sees at /data."""

    kind: Literal["existingClaim", "hostPath", "emptyDir"]
    """The claim of a release of marquee, a folder of the node, or nothing that lasts."""
    existing_claim: str
    """Name, with kind existingClaim."""
    host_path: str
    """Folder, with kind hostPath; user 1000 has to be able to write it."""


class JobPods(Nodes):
    """A pod of Ray, or several."""

    num_cpus: Annotated[int, Field(ge=0)] | None = None
    """Whole cores that Ray counts; absent: what its limits or requests say."""
    resources: Resources
    """Of its Ray container."""


class JobWorkers(JobPods):
    """Pods beside the head, for what spreads over several."""

    replicas: NonNegativeInt
    """How many."""


class JobRay(ChartModel):
    """The job's own Ray cluster."""

    version: str
    """Of Ray in the image."""
    head: JobPods
    """Runs the command."""
    workers: JobWorkers
    """Run its tasks."""


class JobValues(ChartModel):
    """Values of the chart marquee-job."""

    name_override: ObjectName
    """Instead of the chart's name."""
    fullname_override: ObjectName
    """Instead of release and chart name."""
    common_labels: Labels
    """On every object."""
    image: Image
    """The image."""
    image_pull_secrets: tuple[LocalName, ...]
    """For private registries."""
    command: Annotated[tuple[Word, ...], Field(min_length=1)]
    """Words behind ``marquee``."""
    url: str = Field(pattern="^(https?://.+)?$")
    """Of a service, for a load test."""
    persistence: Files
    """Files."""
    registry: Registry
    """Bundles."""
    extra_env: tuple[EnvironmentVariable, ...]
    """Further environment variables."""
    extra_env_from: tuple[EnvironmentSource, ...]
    """Secrets and ConfigMaps whose keys become environment variables."""
    retries: NonNegativeInt
    """When it fails; each with a cluster of its own."""
    deadline_seconds: PositiveInt
    """It is ended after so long."""
    kept_seconds: NonNegativeInt
    """So long its cluster stays when it has ended."""
    ray: JobRay
    """Pods."""
    service_account: str
    """Empty: the namespace's default."""
    pod_security_context: PodSecurity
    """Of every pod."""
    security_context: ContainerSecurity
    """Of every container."""
    global_: Annotated[dict[str, Any], Field(alias="global")] = Field(default_factory=dict)
    """What a parent chart tells all its parts; unused here."""

    model_config = ConfigDict(title="Values of the chart marquee-job")
