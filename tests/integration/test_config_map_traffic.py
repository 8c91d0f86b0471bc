"""The graph of this machine, its traffic document on a real API server."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from kubernetes.client import CoreV1Api

from deployments.cli.serve import begin_traffic, graph_args
from deployments.launcher import running_graph
from deployments.traffic_stores import open_traffic_store
from recsys.core.ports import free_ports

pytestmark = [pytest.mark.serve, pytest.mark.cluster]


def eventually(what: Callable[[], object], wanted: object) -> None:
    for _ in range(300):
        if (found := what()) == wanted:
            return
        time.sleep(0.1)
    pytest.fail(f"not {wanted} within 30 s, but {found}")


def test_a_bundle_named_in_the_config_map_is_served_and_stays_when_the_map_is_deleted(
    cluster: CoreV1Api, namespace: str, trainer: Callable[[Path], Callable[[int], str]], tmp_path: Path
) -> None:
    train = trainer(tmp_path / "registry")
    args = graph_args(tmp_path, traffic=f"configmap://{namespace}/traffic")
    begin_traffic(args)
    with (
        running_graph(args, host="127.0.0.1", port=free_ports(1)[0]) as graph,
        httpx.Client(base_url=graph.address) as client,
    ):

        def traffic() -> dict[str, Any]:
            found: dict[str, Any] = client.get("/v1/traffic").raise_for_status().json()
            return found

        def served() -> str:
            answer = client.post("/v1/recommend", json={"user_id": "ada"}).raise_for_status().json()
            assert answer["degraded"] == []
            return str(answer["bundle"])

        store = open_traffic_store(args.traffic)
        document = store.read()
        assert served() == document.lanes["blue"]
        other = train(6)
        new = document.successor(
            updated_s=document.updated_s, updated_by="test", lanes={**document.lanes, "blue": other}
        )
        store.swap(new, expected_version=1)
        eventually(served, other)
        cluster.delete_namespaced_config_map("traffic", namespace)
        eventually(lambda: "no traffic document" in str(traffic()["trouble"]), wanted=True)
        assert served() == other
