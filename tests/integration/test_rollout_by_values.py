"""Values are changed as Helm changes them; controllers in processes of their own follow, with few rights."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from kubernetes.client import (
    AppsV1Api,
    CoordinationV1Api,
    CoreV1Api,
    RbacAuthorizationV1Api,
)

from deployments.kubernetes.address import ConfigMapAddress
from deployments.kubernetes.config_map_store import ConfigMapTrafficStore
from deployments.kubernetes.connection import api_client
from recsys.core.errors import RecsysError
from recsys.ranking.matrix import FEATURE_SCHEMA
from recsys.registry.bundle import BundleWriter
from recsys.registry.local import LocalRegistry
from recsys.rollout.state import Phase
from recsys.rollout.traffic import TrafficDocument

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

RULES = [
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"], "resourceNames": ["shop-wanted"]},
    {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "verbs": ["get", "update"],
        "resourceNames": ["shop-traffic", "shop-traffic-history", "shop-rollout"],
    },
    {"apiGroups": [""], "resources": ["configmaps", "events"], "verbs": ["create"]},
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
    {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "verbs": ["get", "update"],
        "resourceNames": ["shop-controller"],
    },
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"], "resourceNames": ["shop"]},
]
"""All that the controller may do; no right to make something can be limited to a name."""

PLAN = {"steps": [{"share": 0.5, "min_time": "1s"}], "hold": "10m"}
SOON_S = 60.0


class Shop:
    """A namespace with values, a registry of two bundles, and a service whose lanes are always ready."""

    def __init__(self, api: CoreV1Api, namespace: str, folder: Path) -> None:
        self._api = api
        self.namespace = namespace
        self.folder = folder
        self.registry = LocalRegistry(folder / "registry")
        self.a, self.b = (self._published(text) for text in "ab")
        self.store = ConfigMapTrafficStore(api, ConfigMapAddress(namespace, "shop-traffic"))
        self._make_values()
        self._make_deployment()
        self.kubeconfig = self._account()

    def _published(self, text: str) -> str:
        def fill(writer: BundleWriter) -> None:
            writer.json("content", text)

        return self.registry.publish(fill, feature_schema=FEATURE_SCHEMA, created_s=0.0, meta={}).name

    def _make_values(self) -> None:
        body = {"metadata": {"name": "shop-wanted"}, "data": {"wanted.json": "{}"}}
        self._api.create_namespaced_config_map(self.namespace, body)  # type: ignore[arg-type]

    def _make_deployment(self) -> None:
        labels = {"app": "shop"}
        pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "none", "image": "none"}]}}
        spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod}
        body = {"metadata": {"name": "shop"}, "spec": spec}
        AppsV1Api(api_client()).create_namespaced_deployment(self.namespace, body)  # type: ignore[arg-type]

    def _account(self) -> Path:
        """Make the controller's service account; return a kubeconfig of its own."""
        roles = RbacAuthorizationV1Api(api_client())
        named = {"metadata": {"name": "controller"}}
        self._api.create_namespaced_service_account(self.namespace, named)  # type: ignore[arg-type]
        roles.create_namespaced_role(self.namespace, {**named, "rules": RULES})  # type: ignore[arg-type]
        binding = {
            **named,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "controller"},
            "subjects": [{"kind": "ServiceAccount", "name": "controller", "namespace": self.namespace}],
        }
        roles.create_namespaced_role_binding(self.namespace, binding)  # type: ignore[arg-type]
        token = self._api.create_namespaced_service_account_token(
            "controller",
            self.namespace,
            {"spec": {"audiences": [], "expirationSeconds": 3_600}},  # type: ignore[arg-type]
        )
        assert token.status is not None
        path = self.folder / "kubeconfig"
        path.write_text(json.dumps(_kubeconfig(token.status.token)))
        return path

    def values(self, text: str) -> None:
        self._api.patch_namespaced_config_map("shop-wanted", self.namespace, {"data": {"wanted.json": text}})

    def wants(self, bundle: str) -> None:
        self.values(json.dumps({"bundle": bundle, "plan": PLAN}))

    @property
    def document(self) -> TrafficDocument | None:
        try:
            return self.store.read()
        except RecsysError:
            return None

    @property
    def phase(self) -> Phase | None:
        document = self.document
        return None if document is None or document.rollout is None else document.rollout.phase

    @property
    def users_have(self) -> str | None:
        document = self.document
        return None if document is None else document.bundle_of(document.arms[0])

    def told(self) -> dict[str, str]:
        return self._api.read_namespaced_config_map("shop-rollout", self.namespace).data or {}

    def reasons(self) -> list[str]:
        events = self._api.list_namespaced_event(self.namespace).items
        return [one.reason or "" for one in events if one.involved_object.name == "shop-rollout"]

    def leader(self) -> str | None:
        lease = CoordinationV1Api(api_client()).read_namespaced_lease("shop-controller", self.namespace)
        assert lease.spec is not None
        return lease.spec.holder_identity

    def owners(self) -> set[str]:
        maps = self._api.list_namespaced_config_map(self.namespace).items
        return {one.metadata.name or "" for one in maps if one.metadata and one.metadata.owner_references}

    @contextmanager
    def service(self) -> Iterator[str]:
        shop = self

        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                document = shop.document
                lanes = {} if document is None else document.lanes
                body = json.dumps({"ready": lanes, "refused": []}) if self.path == "/traffic" else ""
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}"
            server.shutdown()

    @contextmanager
    def controller(self, url: str) -> Iterator["subprocess.Popen[bytes]"]:
        where = self.namespace
        command = [
            sys.executable,
            "-c",
            "from recsys.cli.main import main; main()",
            "rollout",
            "control",
            "--every",
            "0.5",
        ]
        command += ["--traffic", f"configmap://{where}/shop-traffic", "--url", url]
        command += ["--wanted", f"configmap://{where}/shop-wanted", "--lease", f"{where}/shop-controller"]
        command += ["--report", f"configmap://{where}/shop-rollout", "--owner", f"{where}/shop"]
        environment = {
            **os.environ,
            "KUBECONFIG": str(self.kubeconfig),
            "MARQUEE_HOME": str(self.folder),
        }
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _kubeconfig(token: str | None) -> dict[str, object]:
    ours = api_client().configuration  # type: ignore[attr-defined]  # missing in the stubs
    server = {"server": ours.host, "certificate-authority": ours.ssl_ca_cert}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "controller"}}],
        "clusters": [{"name": "here", "cluster": server}],
        "users": [{"name": "controller", "user": {"token": token}}],
    }


def soon(holds: Callable[[], bool]) -> bool:
    """Wait until something holds; a minute at most."""
    give_up_s = time.monotonic() + SOON_S
    while not holds():
        if time.monotonic() > give_up_s:
            return False
        time.sleep(0.25)
    return True


def test_a_release_lives_by_its_values(cluster: CoreV1Api, namespace: str, tmp_path: Path) -> None:
    shop = Shop(cluster, namespace, tmp_path)
    with ExitStack() as stack:
        url = stack.enter_context(shop.service())
        controllers = [stack.enter_context(shop.controller(url)) for _ in range(2)]
        _check_the_first_bundle(shop)
        _check_a_canary_and_the_way_back(shop)
        _check_refusals(shop)
        _check_whoever_is_left_goes_on(shop, controllers)
        assert shop.owners() == {"shop-traffic", "shop-traffic-history", "shop-rollout"}


def _check_the_first_bundle(shop: Shop) -> None:
    assert soon(lambda: "Refused" in shop.reasons())  # the registry's stable names none
    assert shop.told()["why"] == "no bundle in channel named 'stable'"
    shop.wants(shop.a)
    assert soon(lambda: shop.users_have == shop.a)


def _check_a_canary_and_the_way_back(shop: Shop) -> None:
    shop.wants(shop.b)
    assert soon(lambda: shop.phase is Phase.HOLDING)
    assert soon(lambda: shop.told()["phase"] == "holding")
    assert shop.told()["bundle"] == shop.b
    assert {"RolloutStarted", "RolloutStepped", "RolloutPromoted"} <= set(shop.reasons())
    shop.wants(shop.a)
    assert soon(lambda: shop.users_have == shop.a)
    assert soon(lambda: "RolloutAborted" in shop.reasons())


def _check_refusals(shop: Shop) -> None:
    before = shop.document
    shop.values('{"bundle": "v2"}')
    assert soon(lambda: "bundle: String should match pattern" in shop.told()["why"])
    shop.wants("f" * 16)
    assert soon(lambda: f"no bundle named '{'f' * 16}'" in shop.told()["why"])
    assert shop.told()["what_to_do"].startswith("register the bundle")
    assert before is not None
    assert shop.users_have == shop.a
    assert shop.document is not None
    assert shop.document.arms == before.arms


def _check_whoever_is_left_goes_on(shop: Shop, controllers: list["subprocess.Popen[bytes]"]) -> None:
    first, second = controllers
    first.send_signal(signal.SIGTERM)
    assert first.wait(SOON_S) == 0
    shop.wants(shop.b)  # called off before, not judged
    assert soon(lambda: shop.users_have == shop.b)
    second.send_signal(signal.SIGTERM)
    assert second.wait(SOON_S) == 0
    assert shop.leader() is None
