"""What only a ConfigMap can do wrong, on a real API server."""

import time
from collections.abc import Callable
from random import Random

import pytest
from kubernetes.client import (
    ApiClient,
    AppsV1Api,
    AuthenticationV1TokenRequest,
    CoreV1Api,
    RbacAuthorizationV1Api,
    RbacV1Subject,
    V1ConfigMap,
    V1Container,
    V1Deployment,
    V1DeploymentSpec,
    V1LabelSelector,
    V1ObjectMeta,
    V1PodSpec,
    V1PodTemplateSpec,
    V1PolicyRule,
    V1Role,
    V1RoleBinding,
    V1RoleRef,
    V1ServiceAccount,
    V1TokenRequestSpec,
)

from deployments.kubernetes.address import ConfigMapAddress
from deployments.kubernetes.config_map_store import KEY, ConfigMapTrafficStore
from deployments.kubernetes.connection import way_in
from deployments.kubernetes.ownership import owning_deployment
from recsys.core.errors import DataFormatError, FieldError, NotFoundError, UnavailableError
from recsys.rollout.traffic import TrafficDocument, first_document

pytestmark = pytest.mark.cluster

FIRST = first_document("a" * 16, salt="s", updated_s=0.0)


def successor(document: TrafficDocument, **changes: object) -> TrafficDocument:
    return document.successor(updated_s=document.updated_s + 1, updated_by="ada", **changes)


@pytest.fixture
def address(namespace: str) -> ConfigMapAddress:
    return ConfigMapAddress(namespace, "traffic")


@pytest.fixture
def store(cluster: CoreV1Api, address: ConfigMapAddress) -> ConfigMapTrafficStore:
    return ConfigMapTrafficStore(cluster, address)


def made(api: CoreV1Api, address: ConfigMapAddress, data: dict[str, str] | None) -> None:
    body = V1ConfigMap(metadata=V1ObjectMeta(name=address.name, annotations={"team": "shop"}), data=data)
    api.create_namespaced_config_map(address.namespace, body)


def eventually(holds: Callable[[], bool]) -> None:
    for _ in range(300):
        if holds():
            return
        time.sleep(0.1)
    pytest.fail("not within 30 s")


def test_a_config_map_without_data_is_filled_and_keeps_what_else_it_has(
    cluster: CoreV1Api, address: ConfigMapAddress, store: ConfigMapTrafficStore
) -> None:
    made(cluster, address, None)
    with pytest.raises(NotFoundError):
        store.read()
    store.swap(FIRST, expected_version=0)
    found = cluster.read_namespaced_config_map(address.name, address.namespace)
    assert found.metadata is not None
    assert found.metadata.annotations == {"team": "shop"}
    assert store.read() == FIRST


def test_a_config_map_of_somebody_else_is_left_alone(
    cluster: CoreV1Api, address: ConfigMapAddress, store: ConfigMapTrafficStore
) -> None:
    made(cluster, address, {"nginx.conf": "x"})
    with pytest.raises(DataFormatError, match=rf"looked for key {KEY}; found nginx\.conf"):
        store.read()
    with pytest.raises(DataFormatError):
        store.swap(FIRST, expected_version=0)


def test_a_namespace_that_is_not_there_is_named(cluster: CoreV1Api) -> None:
    with pytest.raises(NotFoundError, match="no namespace named 'nowhere'"):
        ConfigMapTrafficStore(cluster, ConfigMapAddress("nowhere", "traffic")).swap(FIRST, expected_version=0)


def crowd(n: int, seed: int) -> dict[str, str]:
    chance = Random(seed)
    return {chance.randbytes(20).hex(): "stable" for _ in range(n)}


def test_a_document_too_long_for_a_config_map_is_refused_and_the_one_before_stays(
    store: ConfigMapTrafficStore,
) -> None:
    store.swap(FIRST, expected_version=0)
    with pytest.raises(FieldError, match="may not be more than 1048576 bytes"):
        store.swap(successor(FIRST, overrides=crowd(25_000, 7)), expected_version=1)
    assert store.read() == FIRST


def test_of_long_documents_the_history_keeps_the_latest_that_fit(store: ConfigMapTrafficStore) -> None:
    document = FIRST
    store.swap(document, expected_version=0)
    for version in range(1, 5):
        document = successor(document, overrides=crowd(10_000, version))
        store.swap(document, expected_version=version)
    assert [past.version for past in store.history()] == [3, 4, 5]  # 230 kB each, packed


def deployed(namespace: str) -> None:
    labels = {"app": "controller"}
    pod = V1PodTemplateSpec(
        metadata=V1ObjectMeta(labels=labels),
        spec=V1PodSpec(containers=[V1Container(name="controller", image="none")]),
    )
    spec = V1DeploymentSpec(replicas=0, selector=V1LabelSelector(match_labels=labels), template=pod)
    AppsV1Api(ApiClient(way_in())).create_namespaced_deployment(
        namespace, V1Deployment(metadata=V1ObjectMeta(name="controller"), spec=spec)
    )


def test_what_a_deployment_owns_goes_when_it_goes(cluster: CoreV1Api, address: ConfigMapAddress) -> None:
    apps = AppsV1Api(ApiClient(way_in()))
    with pytest.raises(NotFoundError, match="no deployment named"):
        owning_deployment(apps, address.namespace, "controller")
    deployed(address.namespace)
    owner = owning_deployment(apps, address.namespace, "controller")
    store = ConfigMapTrafficStore(cluster, address, owner=owner)
    store.swap(FIRST, expected_version=0)
    store.swap(successor(FIRST), expected_version=1)
    labelled = "app.kubernetes.io/managed-by=marquee"

    def names() -> list[str]:
        found = cluster.list_namespaced_config_map(address.namespace, label_selector=labelled).items
        return [one.metadata.name or "" for one in found if one.metadata is not None]

    assert names() == ["traffic", "traffic-history"]
    apps.delete_namespaced_deployment("controller", address.namespace)
    eventually(lambda: names() == [])


def as_account_with(rules: list[V1PolicyRule], namespace: str, cluster: CoreV1Api) -> CoreV1Api:
    """Return a client that may do no more than the rules say."""
    roles = RbacAuthorizationV1Api(ApiClient(way_in()))
    metadata = V1ObjectMeta(name="ray")
    cluster.create_namespaced_service_account(namespace, V1ServiceAccount(metadata=metadata))
    roles.create_namespaced_role(namespace, V1Role(metadata=metadata, rules=rules))
    roles.create_namespaced_role_binding(
        namespace,
        V1RoleBinding(
            metadata=metadata,
            role_ref=V1RoleRef(api_group="rbac.authorization.k8s.io", kind="Role", name="ray"),
            subjects=[RbacV1Subject(kind="ServiceAccount", name="ray", namespace=namespace)],
        ),
    )
    token = cluster.create_namespaced_service_account_token(
        "ray", namespace, AuthenticationV1TokenRequest(spec=V1TokenRequestSpec(audiences=[]))
    )
    configuration = way_in()
    vars(configuration).update(cert_file=None, key_file=None)  # missing in the stubs
    configuration.api_key = {"authorization": f"Bearer {token.status.token if token.status else ''}"}
    return CoreV1Api(ApiClient(configuration))


def test_a_follower_needs_no_more_than_to_see_this_one(
    cluster: CoreV1Api, address: ConfigMapAddress, store: ConfigMapTrafficStore
) -> None:
    store.swap(FIRST, expected_version=0)
    only = [
        V1PolicyRule(
            api_groups=[""],
            resources=["configmaps"],
            resource_names=[address.name],
            verbs=["get", "list", "watch"],
        )
    ]
    api = as_account_with(only, address.namespace, cluster)
    with ConfigMapTrafficStore(api, address) as follower:
        assert follower.changed_since(0) == FIRST
        store.swap(successor(FIRST), expected_version=1)
        eventually(lambda: follower.changed_since(1) == successor(FIRST))
        with pytest.raises(UnavailableError, match=r"answers 403: .*cannot update.*see the Role of"):
            follower.swap(successor(successor(FIRST)), expected_version=2)


def test_a_follower_that_may_not_look_says_what_it_lacks(
    cluster: CoreV1Api, address: ConfigMapAddress
) -> None:
    api = as_account_with([], address.namespace, cluster)
    with (
        ConfigMapTrafficStore(api, address, patience_s=1.0) as follower,
        pytest.raises(UnavailableError, match=r"answers 403: .*cannot list.*see the Role of the service"),
    ):
        follower.changed_since(0)
