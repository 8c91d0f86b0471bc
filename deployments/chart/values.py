"""All values of the chart, closed at every level. What stands here first is what ``values.yaml`` lists."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, NonNegativeInt, PositiveInt, create_model

from deployments.chart.kubernetes_values import (
    ChartModel,
    ContainerSecurity,
    Labels,
    LocalName,
    PodSecurity,
    Quantity,
    Resources,
    Toleration,
    Variable,
)
from deployments.settings import GraphArgs
from recsys.core.settings import FrozenModel
from recsys.eventlog.exposure_writer import ExposureConfig
from recsys.rollout.plan import RolloutPlan

_PLACED = frozenset({"registry", "traffic", "state_url", "event_log", "metrics", "lanes", "exposures"})
"""Settings of the graph that the chart itself gives their values."""


class Exposures(FrozenModel):
    """What is taken down of what was served."""

    enabled: bool = True
    """False: nothing; then no experiment and no guardrail on engagement can be judged."""
    files: ExposureConfig = ExposureConfig()
    """How files are cut and kept."""


def _serve_settings() -> type[FrozenModel]:
    """Return a model of all settings of the graph that values may set, by the program's own names."""
    fields: dict[str, Any] = {
        name: (field.annotation, field)
        for name, field in GraphArgs.model_fields.items()
        if name not in _PLACED
    }
    fields["exposures"] = (Exposures, Exposures())
    return create_model("ServeSettings", __base__=FrozenModel, __doc__="Settings of the graph.", **fields)


ServeSettings = _serve_settings()
"""The graph's settings: those of :class:`~deployments.settings.GraphArgs` that are not places."""


class Image(ChartModel):
    """The image that does everything."""

    repository: str = Field(min_length=1)
    """Where it is, registry included."""
    tag: str = ""
    """Empty: the chart's appVersion."""
    digest: str = Field(default="", pattern=r"^(sha256:[a-f0-9]{64})?$")
    """Wins over the tag."""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """When a node asks the registry."""


class Model(ChartModel):
    """Which bundle users get."""

    bundle: str = Field(default="stable", pattern=r"^([0-9a-f]{1,16}|stable|candidate)$")
    """Its name, the beginning of one, or a channel of the registry."""
    attempt: PositiveInt = 1
    """Raise it to try the same bundle with the same plan again."""


class Persistence(ChartModel):
    """Where the registry, the event log and the exposures lie."""

    kind: Literal["claim", "existingClaim", "hostPath", "emptyDir"]
    """A claim of the chart's own, one that is there, a folder of the node, or nothing that lasts."""
    size: Quantity
    """Of the claim."""
    storage_class: str
    """Of the claim; empty: the cluster's default."""
    access_modes: tuple[Literal["ReadWriteMany", "ReadWriteOnce"], ...]
    """Of the claim; ReadWriteOnce does where all pods are on one node."""
    existing_claim: str
    """Name, with kind existingClaim."""
    host_path: str
    """Folder, with kind hostPath; user 1000 has to be able to write it."""
    keep: bool
    """Whether the claim stays after ``helm uninstall``."""


class Placement(ChartModel):
    """Where pods may run."""

    node_selector: Labels
    """Labels that a node must have."""
    tolerations: tuple[Toleration, ...]
    """Taints that are no obstacle."""
    affinity: dict[str, Any]
    """As in a pod; the API server checks it."""
    priority_class_name: str
    """Empty: the cluster's default."""


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


class Upgrade(ChartModel):
    """How a change of pods or image comes about."""

    strategy: Literal["NewCluster", "None"]
    """NewCluster: a second cluster beside the first takes over. None: such a change waits."""
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


class Proxy(ChartModel):
    """HAProxy in every worker pod."""

    max_connections: PositiveInt
    """Clients at once; it opens three files for each."""
    threads: Annotated[int, Field(ge=1, le=64)]
    """Of each HAProxy."""


class ServiceValues(ChartModel):
    """The Service that clients ask."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"]
    """How it is reached."""
    annotations: Labels
    """For load balancers."""


class Redis(ChartModel):
    """User state, and the state of Ray's head."""

    enabled: bool
    """A small one of the chart's own."""
    image: str
    """Of the own one, any with ``redis-server``."""
    resources: Resources
    """Of the own one."""
    max_memory: str = Field(pattern=r"^[0-9]+(kb|mb|gb)$")
    """Of the own one."""
    address: str = Field(pattern=r"^([A-Za-z0-9.-]+:[0-9]+)?$")
    """``host:port`` of another one, when not enabled."""
    database: Annotated[int, Field(ge=0, le=15)]
    """In which user state is kept; Ray takes database 0."""


class Controller(Placement):
    """What walks rollouts."""

    replicas: Annotated[int, Field(ge=0, le=3)]
    """One leads, further ones stand by; 0: nobody walks rollouts."""
    every_s: Annotated[float, Field(ge=0.1)]
    """Seconds between two looks."""
    prometheus: str
    """URL of a Prometheus that scrapes the pods; empty: each pod is asked."""
    selector: str
    """Labels of this release in Prometheus."""
    resources: Resources
    """Of its container."""


class ServiceAccounts(ChartModel):
    """In whose name pods talk to the API server."""

    create: bool
    """False: ``ray`` and ``controller`` name accounts that are there."""
    ray: str
    """Empty: ``<fullname>-ray``."""
    controller: str
    """Empty: ``<fullname>-controller``."""
    annotations: Labels
    """For cloud identities."""


class Metrics(ChartModel):
    """Figures for Prometheus."""

    port: Annotated[int, Field(ge=1024, le=65535)]
    """Where each pod's figures are."""


class Demo(ChartModel):
    """A world of simulated users, to see it work."""

    enabled: bool
    """Simulate data and train a bundle when the registry has none in channel stable."""
    scenario: str
    """Of ``marquee data simulate``."""
    users: PositiveInt
    """How many."""
    items: PositiveInt
    """How many."""
    events: PositiveInt
    """How many."""
    resources: Resources
    """Of the job."""


class ChartValues(ChartModel):
    """Values of the chart marquee."""

    name_override: str
    """Instead of the chart's name."""
    fullname_override: str
    """Instead of release and chart name; cut at 47 characters, as KubeRay demands."""
    common_labels: Labels
    """On every object."""
    image: Image
    """The image."""
    image_pull_secrets: tuple[LocalName, ...]
    """For private registries."""
    model: Model
    """Which bundle."""
    rollout: RolloutPlan
    """How a new bundle comes to all users: the program's own settings, by their own names."""
    serve: ServeSettings  # type: ignore[valid-type]  # made above from the graph's own
    """The graph: the program's own settings, by their own names."""
    proxy: Proxy
    """HTTP."""
    service: ServiceValues
    """The way in."""
    ray: Ray
    """Pods."""
    redis: Redis
    """State."""
    persistence: Persistence
    """Files."""
    controller: Controller
    """Rollouts."""
    metrics: Metrics
    """Figures."""
    demo: Demo
    """A first look."""
    service_accounts: ServiceAccounts
    """Rights."""
    pod_security_context: PodSecurity
    """Of every pod."""
    security_context: ContainerSecurity
    """Of every container."""
    global_: Annotated[dict[str, Any], Field(alias="global")] = Field(default_factory=dict)
    """What a parent chart tells all its parts; unused here."""

    model_config = ConfigDict(title="Values of the chart marquee")
