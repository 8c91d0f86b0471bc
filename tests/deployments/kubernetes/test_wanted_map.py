"""What values want, through a real API server."""

import json

import pytest
from kubernetes.client import CoreV1Api, V1ConfigMap, V1ObjectMeta

from deployments.kubernetes.address import ConfigMapAddress
from deployments.kubernetes.config_map import ConfigMap
from deployments.kubernetes.wanted_map import WantedMap
from recsys.core.errors import DataFormatError, NotFoundError

pytestmark = pytest.mark.cluster


def wanted_map(api: CoreV1Api, namespace: str, data: dict[str, str] | None = None) -> WantedMap:
    if data is not None:
        body = V1ConfigMap(metadata=V1ObjectMeta(name="shop-wanted"), data=data)
        api.create_namespaced_config_map(namespace, body)
    return WantedMap(ConfigMap(api, ConfigMapAddress(namespace, "shop-wanted")))


def test_what_helm_wrote_is_read(cluster: CoreV1Api, namespace: str) -> None:
    wish = {"bundle": "ab12", "plan": {"steps": [{"share": 0.1, "min_time": "10m"}]}, "attempt": 2}
    wanted = wanted_map(cluster, namespace, {"wanted.json": json.dumps(wish)}).read()
    assert (wanted.bundle, wanted.attempt, wanted.plan.steps[0].min_time) == ("ab12", 2, 600.0)


def test_a_change_counts_with_the_next_look(cluster: CoreV1Api, namespace: str) -> None:
    looked_at = wanted_map(cluster, namespace, {"wanted.json": "{}"})
    assert looked_at.read().bundle is None
    cluster.patch_namespaced_config_map(
        "shop-wanted", namespace, {"data": {"wanted.json": '{"bundle": "candidate"}'}}
    )
    assert looked_at.read().bundle == "candidate"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("no json", "content: Invalid JSON"),
        ('{"bundel": "ab"}', "bundel: Extra inputs are not permitted"),
        ('{"bundle": 12}', "bundle: Input should be a valid string"),
        (
            '{"plan": {"steps": [{"share": 2}]}}',
            "plan.steps.0.share: Input should be less than or equal to 1",
        ),
    ],
)
def test_nonsense_is_refused_by_the_name_of_the_field(
    cluster: CoreV1Api, namespace: str, text: str, why: str
) -> None:
    with pytest.raises(DataFormatError, match=why):
        wanted_map(cluster, namespace, {"wanted.json": text}).read()


def test_what_is_not_there_is_said(cluster: CoreV1Api, namespace: str) -> None:
    with pytest.raises(NotFoundError, match=f"configmap://{namespace}/shop-wanted"):
        wanted_map(cluster, namespace).read()
    with pytest.raises(NotFoundError, match=r"there are: other\.json"):
        wanted_map(cluster, namespace, {"other.json": "{}"}).read()
