"""All values of the chart, closed at every level. What stands here first is what ``values.yaml`` lists."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, PositiveInt, create_model

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
from deployments.chart.live_values import Drift, EventLog, Ingest, Leaving
from deployments.chart.network_values import Disruption, Ingress, NetworkPolicy, Route, ServiceValues
from deployments.chart.placement import Placement
from deployments.chart.ray_values import Ray
from deployments.chart.storage_values import ExposuresKey, Persistence, PrivacyKey, Redis, Registry
from deployments.chart.training_values import Test, Training
from deployments.chart.watching_values import Metrics
from deployments.settings import GraphArgs
from recsys.core.settings import FrozenModel
from recsys.eventlog.exposure_writer import ExposureConfig
from recsys.rollout.plan import RolloutPlan

_PLACED = frozenset(
    {"registry", "traffic", "state_url", "event_log", "metrics", "lanes", "exposures", "privacy"}
)
"""Settings of the graph that the chart itself gives their values."""


class Exposures(FrozenModel):
    """What is taken down of what was served."""

    enabled: bool = True
    """False: nothing; then no experiment and no guardrail on engagement can be judged."""
    files: ExposureConfig = ExposureConfig()
    """How files are cut and kept."""


class Privacy(FrozenModel):
    """What users are called behind the door; the key is ``privacyKey``."""

    pseudonymise: bool = False
    """True: by keyed hashes of their ids; nothing that is kept sees an id. Begin with it."""


def _serve_settings() -> type[FrozenModel]:
    """Return a model of all settings of the graph that values may set, by the program's own names."""
    fields: dict[str, Any] = {
        name: (field.annotation, field)
        for name, field in GraphArgs.model_fields.items()
        if name not in _PLACED
    }
    fields["exposures"] = (Exposures, Exposures())
    fields["privacy"] = (Privacy, Privacy())
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


class Proxy(ChartModel):
    """HAProxy in every worker pod."""

    max_connections: PositiveInt
    """Clients at once; it opens three files for each."""
    balance: Literal["leastconn", "random", "roundrobin", "first"]
    """Which router gets a request."""
    threads: Annotated[int, Field(ge=1, le=64)]
    """Of each HAProxy."""


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
    """False: ``ray``, ``controller`` and ``live`` name accounts that are there."""
    ray: str
    """Empty: ``<fullname>-ray``."""
    controller: str
    """Empty: ``<fullname>-controller``."""
    live: str
    """Of what starts trainings and takes canaries back; empty: ``<fullname>-live``."""
    annotations: Labels
    """For cloud identities."""


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

    name_override: ObjectName
    """Instead of the chart's name."""
    fullname_override: ObjectName
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
    ingress: Ingress
    """From outside."""
    route: Route
    """From outside, by the Gateway API."""
    network_policy: NetworkPolicy
    """Who may talk to whom."""
    disruption: Disruption
    """While nodes are emptied."""
    ray: Ray
    """Pods."""
    redis: Redis
    """State."""
    persistence: Persistence
    """Files."""
    registry: Registry
    """Bundles."""
    exposures_key: ExposuresKey
    """Pseudonyms."""
    privacy_key: PrivacyKey
    """Names behind the door."""
    event_log: EventLog
    """Events."""
    extra_env: tuple[EnvironmentVariable, ...]
    """Further environment variables of all that runs our image."""
    extra_env_from: tuple[EnvironmentSource, ...]
    """Secrets and ConfigMaps whose keys become environment variables of all that runs our image."""
    check_secrets: bool
    """Refuse to install while a Secret that is named is not there; asks the API server for it."""
    controller: Controller
    """Rollouts."""
    metrics: Metrics
    """Figures."""
    training: Training
    """New bundles."""
    ingest: Ingest
    """Events into the lake."""
    leaving: Leaving
    """Who asked to be forgotten."""
    drift: Drift
    """Whether the world has moved."""
    test: Test
    """``helm test``."""
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
