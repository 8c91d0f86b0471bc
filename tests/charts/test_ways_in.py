"""Who may ask, from where, and what stays while nodes are emptied."""

from collections.abc import Callable
from typing import Any

import pytest

Objects = dict[tuple[str, str], dict[str, Any]]
Rendered = Callable[..., Objects]
BIT_BY_BIT = (
    "ray.upgrade.strategy=NewClusterWithIncrementalUpgrade,ray.upgrade.incremental.gatewayClassName=c"
)
SERVICE = "mq-marquee-serve-svc"


def test_by_default_there_is_no_way_in_from_outside(rendered: Rendered) -> None:
    kinds = {kind for kind, _ in rendered()}
    assert kinds.isdisjoint({"Ingress", "HTTPRoute", "Gateway", "NetworkPolicy"})


def test_an_ingress_leads_every_host_to_the_service(rendered: Rendered) -> None:
    ingress = rendered("--set", "ingress.enabled=true,ingress.hosts={a.example,b.example}")[
        "Ingress", "mq-marquee"
    ]
    rules = ingress["spec"]["rules"]
    assert [rule["host"] for rule in rules] == ["a.example", "b.example"]
    for rule in rules:
        [path] = rule["http"]["paths"]
        assert path["backend"] == {"service": {"name": SERVICE, "port": {"name": "serve"}}}


def test_an_ingress_without_hosts_takes_any(rendered: Rendered) -> None:
    [rule] = rendered("--set", "ingress.enabled=true")["Ingress", "mq-marquee"]["spec"]["rules"]
    assert "host" not in rule


def test_an_ingress_has_the_certificates_it_is_given(rendered: Rendered) -> None:
    tls = '[{"secretName": "t", "hosts": ["a.example"]}]'
    objects = rendered("--set", "ingress.enabled=true", "--set-json", f"ingress.tls={tls}")
    assert objects["Ingress", "mq-marquee"]["spec"]["tls"] == [{"secretName": "t", "hosts": ["a.example"]}]


def test_a_route_hangs_on_gateways_that_are_there(rendered: Rendered) -> None:
    parents = '[{"name": "public", "namespace": "gateways", "sectionName": "https"}]'
    objects = rendered("--set", "route.enabled=true", "--set-json", f"route.parents={parents}")
    route = objects["HTTPRoute", "mq-marquee"]["spec"]
    assert route["parentRefs"] == [{"name": "public", "namespace": "gateways", "sectionName": "https"}]
    assert route["rules"][0]["backendRefs"] == [{"name": SERVICE, "port": 8000}]
    assert ("Gateway", "mq-marquee") not in objects


@pytest.mark.parametrize(("secret", "protocol", "port"), [("", "HTTP", 80), ("cert", "HTTPS", 443)])
def test_a_gateway_of_its_own_sees_to_tls(rendered: Rendered, secret: str, protocol: str, port: int) -> None:
    own = f"enabled=true,route.gateway.className=c,route.gateway.tlsSecret={secret}"
    objects = rendered("--set", f"route.enabled=true,route.gateway.{own}")
    [listener] = objects["Gateway", "mq-marquee"]["spec"]["listeners"]
    assert (listener["protocol"], listener["port"]) == (protocol, port)
    assert ("tls" in listener) == (secret != "")
    assert objects["HTTPRoute", "mq-marquee"]["spec"]["parentRefs"] == [{"name": "mq-marquee"}]


@pytest.mark.parametrize(
    ("given", "what_to_do"),
    [
        ("route.enabled=true", "route.parents: the Gateways"),
        ("route.enabled=true,route.gateway.enabled=true", "route.gateway.className"),
        ("ray.upgrade.strategy=NewClusterWithIncrementalUpgrade", "ray.upgrade.incremental.gatewayClassName"),
        (f"{BIT_BY_BIT},ray.autoscaler.enabled=false", "ray.autoscaler.enabled"),
        (f"{BIT_BY_BIT},ray.upgrade.incremental.maxSurgePercent=10", "at most maxSurgePercent"),
    ],
)
def test_what_a_way_needs_besides_is_asked_for(
    refusal: Callable[..., str], given: str, what_to_do: str
) -> None:
    assert what_to_do in refusal("--set", given)


def test_an_incremental_upgrade_says_how_fast(rendered: Rendered) -> None:
    strategy = rendered("--set", BIT_BY_BIT)["RayService", "mq-marquee"]["spec"]["upgradeStrategy"]
    assert strategy["clusterUpgradeOptions"] == {
        "gatewayClassName": "c",
        "maxSurgePercent": 100,
        "stepSizePercent": 20,
        "intervalSeconds": 10,
    }
    assert rendered()["RayService", "mq-marquee"]["spec"]["upgradeStrategy"] == {"type": "NewCluster"}


class TestClosedNetworks:
    def test_every_pod_has_one_policy_and_only_ours(self, rendered: Rendered) -> None:
        objects = rendered("--set", "networkPolicy.enabled=true,demo.enabled=true")
        meant = [components(one["spec"]["podSelector"]) for one in policies(objects)]
        assert sorted(name for names in meant for name in names) == sorted(
            ["head", "worker", "controller", "test", "demo", "training", "redis"]
        )
        for policy in policies(objects):
            assert policy["spec"]["podSelector"]["matchLabels"] == {
                "app.kubernetes.io/name": "marquee",
                "app.kubernetes.io/instance": "mq",
            }

    def test_rays_pods_reach_each_other_on_all_ports(self, rendered: Rendered) -> None:
        spec = policy_of(rendered("--set", "networkPolicy.enabled=true"), "ray")
        for rules, end in ((spec["ingress"], "from"), (spec["egress"], "to")):
            [free] = [rule for rule in rules if "ports" not in rule]
            [peer] = free[end]
            assert components(peer["podSelector"]) == ["head", "worker"]

    def test_names_can_be_looked_up_everywhere_but_in_redis(self, rendered: Rendered) -> None:
        objects = rendered("--set", "networkPolicy.enabled=true")
        names = {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}
        assert names in policy_of(objects, "ray")["egress"]
        assert names in policy_of(objects, "controller")["egress"]
        assert policy_of(objects, "redis")["egress"] == []

    def test_the_operator_reaches_the_dashboard_and_nobody_else(self, rendered: Rendered) -> None:
        spec = policy_of(rendered("--set", "networkPolicy.enabled=true"), "ray")
        [rule] = [
            rule for rule in spec["ingress"] if {"protocol": "TCP", "port": 8265} in rule.get("ports", [])
        ]
        [peer] = rule["from"]
        assert peer["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": "kuberay-operator"}}

    def test_only_rays_pods_reach_redis(self, rendered: Rendered) -> None:
        spec = policy_of(rendered("--set", "networkPolicy.enabled=true"), "redis")
        [rule] = spec["ingress"]
        assert components(rule["from"][0]["podSelector"]) == ["head", "worker"]

    def test_named_clients_do_not_shut_the_controller_out(self, rendered: Rendered) -> None:
        clients = '[{"podSelector": {"matchLabels": {"app": "shop"}}}]'
        given = ("--set", "networkPolicy.enabled=true", "--set-json", f"networkPolicy.clients={clients}")
        spec = policy_of(rendered(*given), "ray")
        [rule] = [
            rule for rule in spec["ingress"] if {"protocol": "TCP", "port": 8000} in rule.get("ports", [])
        ]
        assert rule["from"][0] == {"podSelector": {"matchLabels": {"app": "shop"}}}
        assert "controller" in components(rule["from"][1]["podSelector"])


def test_worker_pods_stay_while_nodes_are_emptied_where_one_may_go(rendered: Rendered) -> None:
    key = ("PodDisruptionBudget", "mq-marquee-worker")
    assert key not in rendered()  # with one pod at least, it could never leave its node
    assert rendered("--set", "ray.worker.minReplicas=2")[key]["spec"]["minAvailable"] == 1
    assert key not in rendered("--set", "ray.worker.minReplicas=2,disruption.enabled=false")


def test_one_of_several_controllers_stays(rendered: Rendered) -> None:
    key = ("PodDisruptionBudget", "mq-marquee-controller")
    assert key not in rendered()
    assert rendered("--set", "controller.replicas=2")[key]["spec"]["maxUnavailable"] == 1


def policies(objects: Objects) -> list[dict[str, Any]]:
    return [one for (kind, _), one in objects.items() if kind == "NetworkPolicy"]


def policy_of(objects: Objects, part: str) -> dict[str, Any]:
    spec: dict[str, Any] = objects["NetworkPolicy", f"mq-marquee-{part}"]["spec"]
    return spec


def components(selector: dict[str, Any]) -> list[str]:
    """Return the components that a selector of pods means."""
    [expression] = selector["matchExpressions"]
    assert (expression["key"], expression["operator"]) == ("app.kubernetes.io/component", "In")
    named: list[str] = expression["values"]
    return named
