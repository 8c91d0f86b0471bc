"""What lasts, as values of the chart: files, bundles, user state, secrets."""

from typing import Annotated, Literal

from pydantic import Field

from deployments.chart.kubernetes_values import ChartModel, Quantity, Resources


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


class Registry(ChartModel):
    """Where bundles are."""

    address: str = Field(pattern=r"^((s3|gs|az)://.+)?$")
    """Of a bucket; empty: a folder beside the other files."""
    existing_secret: str
    """Its keys become environment variables: who asks the bucket."""


class RedisPersistence(ChartModel):
    """A disk for the chart's own Redis."""

    enabled: bool
    """False: its log lies on the volume of all pods."""
    size: Quantity
    """Of the claim."""
    storage_class: str
    """Of the claim; empty: the cluster's default."""


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
    persistence: RedisPersistence
    """Of the own one."""
    address: str = Field(pattern=r"^([A-Za-z0-9.-]+:[0-9]+)?$")
    """``host:port`` of another one, when not enabled."""
    tls: bool
    """Whether the other one is asked by TLS."""
    username: str = Field(pattern=r"^[A-Za-z0-9_.-]*$")
    """At the other one; empty: its default user."""
    existing_secret: str
    """Holds the password; empty: none is needed."""
    password_key: str
    """Of the Secret."""
    database: Annotated[int, Field(ge=0, le=15)]
    """In which user state is kept; Ray takes database 0."""


class ExposuresKey(ChartModel):
    """The secret behind the pseudonyms of users."""

    existing_secret: str
    """Holds it; empty: a file beside the exposures, made when missing."""
    key: str = Field(min_length=1)
    """Of the Secret: 16 to 64 bytes, 32 at best."""


class PrivacyKey(ChartModel):
    """The secret behind the names that users have behind the door."""

    existing_secret: str
    """Holds it; empty: a file beside the event log, made when missing."""
    key: str = Field(min_length=1)
    """Of the Secret: 32 bytes, or several keys in lines of 64 hex digits, the current one first."""
