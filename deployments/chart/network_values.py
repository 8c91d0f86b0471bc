"""Who may ask, and how, as values of the chart."""

from typing import Annotated, Literal

from pydantic import Field

from deployments.chart.kubernetes_values import ChartModel, Labels

PortNumber = Annotated[int, Field(ge=1, le=65535)]


class ServiceValues(ChartModel):
    """The Service that clients ask."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"]
    """How it is reached."""
    annotations: Labels
    """For load balancers."""


class Tls(ChartModel):
    """Hosts with a certificate."""

    secret_name: str
    """Holds certificate and key."""
    hosts: tuple[str, ...] = ()
    """For which it is."""


class Ingress(ChartModel):
    """From outside, by an Ingress."""

    enabled: bool
    """Whether there is one."""
    class_name: str
    """Empty: the cluster's default."""
    annotations: Labels
    """For its controller."""
    hosts: tuple[str, ...]
    """Empty: any."""
    path: str = Field(pattern="^/")
    """What is below it; it stays part of the address."""
    tls: tuple[Tls, ...]
    """Certificates."""


class Parent(ChartModel):
    """A Gateway, or one listener of it."""

    name: str
    """Of the Gateway."""
    namespace: str | None = None
    """Of the Gateway."""
    section_name: str | None = None
    """Of the listener."""
    port: PortNumber | None = None
    """Of the listener."""


class OwnGateway(ChartModel):
    """A Gateway for this release alone."""

    enabled: bool
    """False: ``parents`` names those that are there."""
    class_name: str
    """Of its controller."""
    annotations: Labels
    """For its controller."""
    tls_secret: str
    """Holds certificate and key of all hosts; empty: plain HTTP."""


class Route(ChartModel):
    """From outside, by the Gateway API."""

    enabled: bool
    """Whether there is an HTTPRoute."""
    annotations: Labels
    """For its controller."""
    hosts: tuple[str, ...]
    """Empty: any."""
    parents: tuple[Parent, ...]
    """Gateways that it hangs on; they see to TLS."""
    gateway: OwnGateway
    """One of the chart's own."""


class Requirement(ChartModel):
    """What a label has to be."""

    key: str
    """Of the label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """How it is compared."""
    values: tuple[str, ...] | None = None
    """With what."""


class Selector(ChartModel):
    """Objects by their labels; all when it is empty."""

    match_labels: Labels | None = None
    """Every one of these."""
    match_expressions: tuple[Requirement, ...] | None = None
    """And these."""


class Block(ChartModel):
    """Addresses."""

    cidr: str
    """Of all."""
    except_: Annotated[tuple[str, ...] | None, Field(alias="except")] = None
    """But not these."""


class Peer(ChartModel):
    """Who is at the other end."""

    namespace_selector: Selector | None = None
    """Pods there; without it, pods of this namespace."""
    pod_selector: Selector | None = None
    """Which pods."""
    ip_block: Block | None = None
    """Or addresses."""


class PeerPort(ChartModel):
    """A port, or some in a row."""

    port: PortNumber | str | None = None
    """Number or name."""
    end_port: PortNumber | None = None
    """The last of them."""
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"
    """Of it."""


class Egress(ChartModel):
    """Where pods may go as well."""

    to: tuple[Peer, ...] = ()
    """Empty: anywhere."""
    ports: tuple[PeerPort, ...] = ()
    """Empty: all."""


class NetworkPolicy(ChartModel):
    """Nothing but what is needed gets in or out."""

    enabled: bool
    """Whether there are such policies; the cluster's network has to know them."""
    clients: tuple[Peer, ...]
    """Who may ask the service; empty: anybody."""
    operator: tuple[Peer, ...]
    """KubeRay's operator."""
    prometheus: tuple[Peer, ...]
    """Who reads figures; empty: anybody."""
    api_server: tuple[Peer, ...]
    """Empty: any address, at the ports below."""
    api_server_ports: tuple[PortNumber, ...]
    """Of the API server, before and behind its Service."""
    egress: tuple[Egress, ...]
    """Where our pods may go as well: a bucket, a Redis or a Prometheus elsewhere."""


class Disruption(ChartModel):
    """What voluntary evictions leave standing."""

    enabled: bool
    """For workers where there are more than stay, and for the controller where there are several."""
    min_workers: Annotated[int, Field(ge=1)]
    """So many worker pods stay while nodes are emptied."""
