"""Everything that can be set about the graph: closed, ranged, explained."""

from pathlib import Path

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from deployments.autoscaling.settings import AutoscalingSettings
from deployments.faults import Fault
from deployments.overload_settings import OverloadSettings, RateLimits
from deployments.traffic_stores import TrafficAddress
from recsys.core.settings import FrozenModel
from recsys.eventlog.exposure_writer import ExposureConfig
from recsys.registry.open import RegistryAddress
from recsys.rollout.names import LANES, BundleName, Name
from recsys.streams.address import EventLogPlace, KafkaPlace


class Replicas(FrozenModel):
    """How many processes do a job, and how much of a machine each is counted for."""

    replicas: PositiveInt = 1
    """Processes that do the same; one may die while others answer."""

    cpus: NonNegativeFloat = 0.25
    """Cores that Ray sets aside for each; a share of a core is fine."""

    max_per_node: PositiveInt | None = None
    """So many of them at most in one pod (or on one machine): with fewer pods the others wait for one. Else
    all may end up together when pods come and go, and be lost together. None: wherever there is room."""

    in_flight: PositiveInt = 256
    """Calls that one replica has at the same time. More wait at a router, and are refused by a stage."""


class BatchSettings(FrozenModel):
    """How requests that come at the same time share one call per stage."""

    max_size: PositiveInt = 64
    """Requests in one batch."""

    max_in_flight: PositiveInt = 3
    """Batches under way at once; requests gather while all are taken."""

    max_s: PositiveFloat = 0.25
    """While requests wait, batches are made so small that none should take longer than this."""

    company: PositiveInt = 8
    """So many requests make a batch while another is under way; fewer would cost more than they save."""

    linger_s: NonNegativeFloat = 0.02
    """How long they wait for that company at most."""


class Deadlines(FrozenModel):
    """How long each stage may take before the answer does without it, in seconds."""

    state_s: PositiveFloat = 0.15
    """Reading the histories of all users of a batch."""

    recall_s: PositiveFloat = 0.4
    """Naming the candidates."""

    ranking_s: PositiveFloat = 0.4
    """Scoring them, from the moment they are named."""


class BreakerSettings(FrozenModel):
    """When a stage that keeps failing is left alone for a while."""

    failures: PositiveInt = 3
    """So many failures one after another, and the stage is skipped."""

    rest_s: PositiveFloat = 0.5
    """So long; then one batch tries again."""


class Limits(FrozenModel):
    """What a client may send."""

    max_body_bytes: PositiveInt = 1 << 20
    """A longer body is refused without reading it all."""

    body_s: PositiveFloat = 10.0
    """How long a client may take for a body before it gets a 408."""

    max_clock_skew_s: NonNegativeFloat = 300.0
    """How far ahead of ours the clock of a client may be."""

    max_events: PositiveInt = 1_000
    """Events in one call."""

    choose_arm: bool = True
    """Whether a client may ask for an arm with the header ``X-Marquee-Arm``."""


class ExposureSettings(FrozenModel):
    """Where it is taken down what was served to whom."""

    folder: Path | None = None
    """Routers write files into it, side by side; None: nothing is taken down."""

    key: Path | None = None
    """File of the secret behind the pseudonyms of users; made when missing. None: the one that the
    environment variable ``MARQUEE_EXPOSURES_KEY`` names, else beside the folder."""

    files: ExposureConfig = ExposureConfig()
    """How files are cut, how much may wait, how long they are kept."""

    topic: KafkaPlace | None = None
    """``kafka://HOST:PORT/PREFIX``: published in Kafka's topic PREFIX.exposures, too; None: files alone."""


class PrivacySettings(FrozenModel):
    """What users are called behind the door."""

    pseudonymise: bool = False
    """True: a keyed hash stands for a user id as soon as a request or an event is read; nothing that is kept
    sees the id. Begin with it: users who were there before begin anew, for their pseudonyms are unknown."""

    key: Path | None = None
    """File of the secret keys, the current one first; made when missing. None: the one that the environment
    variable ``MARQUEE_PRIVACY_KEY`` names, else beside the event log."""


class CacheSettings(FrozenModel):
    """Lists that are kept for whoever asks the same again."""

    enabled: bool = True  # not "on", which YAML takes for true
    """False: every list is computed afresh."""

    ttl_s: PositiveFloat = 10.0
    """How old a list may get while nothing that it was made from changes: hours and days since the last
    choices enter into it. A change is seen at once, however young the list is."""

    max_entries: PositiveInt = 20_000
    """Lists in one router."""

    max_bytes: PositiveInt = 64 << 20
    """About what they may take in memory."""


class CatalogueSettings(FrozenModel):
    """How changes of the catalogue reach what is served, before a bundle knows of them."""

    enabled: bool = True
    """False: items stay as the bundle has them."""

    every_s: PositiveFloat = 5.0
    """Changes that come one after another are let in together, so often at most: each time empties the cache
    of lists. The first after a quiet time counts at once."""

    share: float = Field(default=0.05, gt=0.0, le=0.5)
    """Of the candidates of every user, for items that no model knows yet. Where there are none, nothing is
    kept free."""


class GraphArgs(FrozenModel):
    """What the graph is built from; Ray Serve hands the ``args`` of a Serve config to this model."""

    registry: RegistryAddress
    """A folder, or ``s3://bucket/prefix`` and the like."""

    traffic: TrafficAddress
    """Where the traffic document is: a file, or ``configmap://NAMESPACE/NAME``."""

    state_url: str
    """Where user state lives, ``sqlite:////path`` or ``redis://host:port/0``."""

    event_log: EventLogPlace
    """Folder of the event log, or ``kafka://HOST:PORT/PREFIX`` for Kafka's topic PREFIX.events."""

    metrics: Path | None = None
    """Folder in which the processes of one machine add up their metrics; None: each router counts alone."""

    lanes: tuple[Name, ...] = LANES
    """Each has recall and ranking deployments of its own, ``recall-blue`` and so on."""

    poll_s: PositiveFloat = 0.5
    """How often the traffic document is looked at."""

    retry_refused_s: PositiveFloat = 30.0
    """After so long a bundle that was refused is looked at again."""

    router: Replicas = Replicas(replicas=2)
    """Two, so that requests go on being answered when one dies."""

    recall: Replicas = Replicas()
    """Per lane."""

    ranking: Replicas = Replicas()
    """Per lane."""

    autoscaling: AutoscalingSettings | None = None
    """How the graph grows and shrinks, whatever ``replicas`` says above; None: it keeps its size."""

    batch: BatchSettings = BatchSettings()
    """Micro-batching in the router."""

    deadlines: Deadlines = Deadlines()
    """Per stage."""

    breaker: BreakerSettings = BreakerSettings()
    """Per stage and lane."""

    limits: Limits = Limits()
    """Per request."""

    cache: CacheSettings = CacheSettings()
    """Per router."""

    exposures: ExposureSettings = ExposureSettings()
    """Per router."""

    catalogue: CatalogueSettings = CatalogueSettings()
    """Per process; the overlay lies beside the user state."""

    privacy: PrivacySettings = PrivacySettings()
    """Per router, and the same for all."""

    overload: OverloadSettings = OverloadSettings()
    """What each router does when more is asked than it can answer."""

    rate_limits: RateLimits | None = None
    """How often each client may ask; None: as often as it likes."""

    faults: dict[BundleName, Fault] = Field(default_factory=dict)
    """What stages do wrong on purpose while they serve a bundle: for game days and tests."""

    environment: dict[str, str] = Field(default_factory=dict)
    """Environment variables of every replica."""
