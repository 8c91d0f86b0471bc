"""What the controller finds around it on Kubernetes: wishes, a Lease, people to tell, whose all is."""

import socket
from dataclasses import dataclass, replace
from uuid import uuid4

from kubernetes.client import AppsV1Api, CoordinationV1Api, CoreV1Api

from deployments.control.surroundings import Surroundings
from deployments.kubernetes.address import ConfigMapAddress
from deployments.kubernetes.config_map import ConfigMap
from deployments.kubernetes.connection import api_client
from deployments.kubernetes.lease import Lease
from deployments.kubernetes.ownership import owning_deployment
from deployments.kubernetes.reports import KubernetesReports
from deployments.kubernetes.wanted_map import WantedMap
from recsys.core.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where everything is; None: there is no such thing."""

    wanted: ConfigMapAddress | None = None
    report: ConfigMapAddress | None = None
    lease: ConfigMapAddress | None = None
    owner: ConfigMapAddress | None = None  # a Deployment, whose all is that is made here


def open_surroundings(addresses: Addresses, *, clock: Clock) -> Surroundings:
    """Open what the addresses name.

    Raises:
        FieldError: this is no pod with a service account, and there is no kubeconfig that can be used.
        NotFoundError: there is no such owner.
        UnavailableError: the owner cannot be asked for.
    """
    client = api_client()
    core = CoreV1Api(client)
    whose, wanted, report = addresses.owner, addresses.wanted, addresses.report
    owner = None if whose is None else owning_deployment(AppsV1Api(client), whose.namespace, whose.name)
    around = Surroundings(
        wishes=None if wanted is None else WantedMap(ConfigMap(core, wanted)),
        reports=None if report is None else KubernetesReports(core, report, owner=owner, clock=clock),
        owner=None if owner is None else owner.model_dump(by_alias=True),
    )
    if addresses.lease is None:
        return around
    lease = Lease(CoordinationV1Api(client), addresses.lease, holder=_who(), owner=owner, clock=clock)
    return replace(around, lease=lease, leads=lease.held)


def _who() -> str:
    """Return a name of this process, which begins with the pod's."""
    return f"{socket.gethostname()}_{uuid4().hex[:8]}"
