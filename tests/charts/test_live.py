"""The live loop: events into the lake, what watches for drift, and trainings as RayJobs."""

import json
import shlex
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from recsys.drift.policy import Action, PolicyConfig

Objects = dict[tuple[str, str], dict[str, Any]]
Rendered = Callable[..., Objects]

KAFKA = "eventLog.kafka=kafka://k:9092/shop"
INGEST = "ingest.enabled=true"
DRIFT = "drift.enabled=true"
RAY_JOB = "training.rayJob.enabled=true,training.data=/data/lake,training.refresh=true"
NIGHTLY = f"training.schedule=@daily,{RAY_JOB}"


def test_nothing_of_it_is_there_unless_asked_for(rendered: Rendered) -> None:
    assert not [name for _, name in rendered() if name.endswith(("-ingest", "-drift", "-live", "-privacy"))]


class TestIngest:
    def test_it_reads_the_files_that_routers_write(self, rendered: Rendered) -> None:
        objects = rendered("--set", INGEST)
        assert container_of(objects, "ingest")["command"] == ["marquee", "ingest"]
        assert "--from=/data/events" in container_of(objects, "ingest")["args"]
        assert graph(objects)["event_log"] == "/data/events"

    def test_with_kafka_routers_write_there_and_it_reads_there(self, rendered: Rendered) -> None:
        objects = rendered("--set", f"{INGEST},{KAFKA},eventLog.partitions=3,eventLog.replicas=2")
        assert graph(objects)["event_log"] == "kafka://k:9092/shop"
        wanted = {"--from=kafka://k:9092/shop", "--group=shop-mq-marquee", "--partitions=3", "--replicas=2"}
        assert wanted <= set(container_of(objects, "ingest")["args"])

    def test_what_is_served_is_published_in_kafka_when_asked(self, rendered: Rendered) -> None:
        published = graph(rendered("--set", f"{KAFKA},eventLog.exposures=true"))["exposures"]
        assert published["topic"] == "kafka://k:9092/shop"
        assert published["folder"] == "/data/exposures"
        assert graph(rendered("--set", KAFKA))["exposures"]["topic"] is None

    def test_it_applies_to_the_state_of_the_service_and_to_the_lake_on_the_volume(
        self, rendered: Rendered
    ) -> None:
        objects = rendered("--set", INGEST)
        wanted = {f"--state={graph(objects)['state_url']}", "--lake=/data/lake"}
        assert wanted <= set(container_of(objects, "ingest")["args"])
        assert {"name": "data", "mountPath": "/data"} in container_of(objects, "ingest")["volumeMounts"]

    def test_a_lake_in_a_bucket_is_named_to_all_that_use_it(self, rendered: Rendered) -> None:
        lake, secret = "s3://shop/lake", {"secretRef": {"name": "s"}}
        given = f"{DRIFT},{INGEST},{KAFKA},drift.retrain=inPlace,ingest.lake={lake},registry.existingSecret=s"
        objects = rendered("--set", given)
        assert f"--lake={lake}" in container_of(objects, "ingest")["args"]
        assert f"--data={lake}" in container_of(objects, "drift")["args"]
        assert f"--data={lake}" in shlex.split(option(objects, "--retrain"))
        for component in ("ingest", "drift"):
            assert secret in container_of(objects, component)["envFrom"]
        ray = objects["RayService", "mq-marquee"]["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]
        named = {"name": "MARQUEE_LAKE", "value": lake}  # for commands by kubectl exec
        assert named in ray["template"]["spec"]["containers"][0]["env"]

    def test_there_is_never_a_second_writer_of_the_lake(self, rendered: Rendered) -> None:
        spec = rendered("--set", INGEST)["Deployment", "mq-marquee-ingest"]["spec"]
        assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
        assert "--member=mq-marquee-ingest" in container_of(rendered("--set", INGEST), "ingest")["args"]

    def test_whether_it_lives_is_asked_where_its_figures_are(self, rendered: Rendered) -> None:
        container = container_of(rendered("--set", f"{INGEST},metrics.port=9999"), "ingest")
        assert {"--metrics-port=9999", "--host=0.0.0.0"} <= set(container["args"])
        assert container["ports"] == [{"name": "figures", "containerPort": 9999}]
        for probe in ("startupProbe", "livenessProbe"):
            assert container[probe]["httpGet"] == {"path": "/metrics", "port": "figures"}

    def test_settings_of_kafkas_client_come_from_their_secret_to_all_that_asks_it(
        self, rendered: Rendered
    ) -> None:
        objects = rendered("--set", f"{INGEST},{KAFKA},eventLog.existingSecret=s,eventLog.key=k")
        ray = objects["RayService", "mq-marquee"]["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]
        for pod in (pod_of(objects, "ingest"), ray["template"]["spec"]):
            path = {"name": "MARQUEE_KAFKA_PROPERTIES", "value": "/secrets/kafka/properties"}
            assert path in pod["containers"][0]["env"]
            secret = {"secretName": "s", "items": [{"key": "k", "path": "properties"}]}
            assert {"name": "kafka", "secret": secret} in pod["volumes"]

    def test_it_has_no_way_to_the_api_server(self, rendered: Rendered) -> None:
        assert pod_of(rendered("--set", INGEST), "ingest")["automountServiceAccountToken"] is False


class TestLeaving:
    def test_what_calls_began_is_completed_on_a_schedule_where_users_are_known(
        self, rendered: Rendered
    ) -> None:
        objects = rendered(
            "--set", "leaving.schedule=@daily,leaving.timeZone=Europe/Berlin,leaving.deadlineSeconds=60"
        )
        spec = objects["CronJob", "mq-marquee-privacy"]["spec"]
        assert (spec["schedule"], spec["timeZone"], spec["concurrencyPolicy"]) == (
            "@daily",
            "Europe/Berlin",
            "Forbid",
        )
        assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] == 60
        pod = spec["jobTemplate"]["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert container["command"] == ["marquee", "privacy", "finish"]
        assert container["args"] == [f"--state={graph(objects)['state_url']}"]
        assert {"name": "MARQUEE_HOME", "value": "/data"} in container["env"]
        assert {"name": "data", "mountPath": "/data"} in container["volumeMounts"]
        assert pod["automountServiceAccountToken"] is False

    def test_topics_and_the_lake_in_a_bucket_are_reached_too(self, rendered: Rendered) -> None:
        given = f"leaving.schedule=@daily,{KAFKA},eventLog.existingSecret=k,ingest.lake=s3://shop/lake"
        objects = rendered("--set", f"{given},registry.existingSecret=s")
        template = objects["CronJob", "mq-marquee-privacy"]["spec"]["jobTemplate"]["spec"]["template"]
        (container,) = template["spec"]["containers"]
        assert "--event-log=kafka://k:9092/shop" in container["args"]
        assert {"name": "MARQUEE_LAKE", "value": "s3://shop/lake"} in container["env"]
        assert {"secretRef": {"name": "s"}} in container["envFrom"]
        assert {"name": "MARQUEE_KAFKA_PROPERTIES", "value": "/secrets/kafka/properties"} in container["env"]

    def test_networks_let_it_out_to_the_state(self, rendered: Rendered) -> None:
        objects = rendered("--set", "leaving.schedule=@daily,networkPolicy.enabled=true")
        policy = objects["NetworkPolicy", "mq-marquee-live"]["spec"]
        (chosen,) = policy["podSelector"]["matchExpressions"]
        assert "privacy" in chosen["values"]
        (entry,) = objects["NetworkPolicy", "mq-marquee-redis"]["spec"]["ingress"]
        (clients,) = entry["from"][0]["podSelector"]["matchExpressions"]
        assert clients["values"] == ["head", "worker", "privacy"]


def test_the_controller_judges_by_the_log_that_routers_write_to(rendered: Rendered) -> None:
    assert not [one for one in container_of(rendered(), "controller")["args"] if "event-log" in one]
    container = container_of(rendered("--set", f"{INGEST},{KAFKA},eventLog.existingSecret=s"), "controller")
    assert "--event-log=kafka://k:9092/shop" in container["args"]
    settings = {"name": "MARQUEE_KAFKA_PROPERTIES", "value": "/secrets/kafka/properties"}
    assert settings in container["env"]


class TestDrift:
    def test_it_looks_at_the_files_of_the_event_log(self, rendered: Rendered) -> None:
        arguments = container_of(rendered("--set", f"{DRIFT},drift.every=5m"), "drift")["args"]
        assert {"--events=/data/events", "--every=5m", "--bundle=stable"} <= set(arguments)

    def test_with_kafka_it_looks_at_the_lake(self, rendered: Rendered) -> None:
        arguments = container_of(rendered("--set", f"{DRIFT},{INGEST},{KAFKA}"), "drift")["args"]
        assert "--data=/data/lake" in arguments
        assert not [one for one in arguments if one.startswith("--events")]

    def test_its_policy_is_the_programs_own(self, rendered: Rendered) -> None:
        objects = rendered("--set", f"{DRIFT},drift.policy.n_over=3,drift.policy.on_served=rollback")
        written = objects["ConfigMap", "mq-marquee-drift"]["data"]["policy.json"]
        expected = PolicyConfig(n_over=3, on_served=Action.ROLLBACK)
        assert PolicyConfig.model_validate_json(written) == expected

    def test_it_only_tells_and_has_no_way_to_the_api_server_unless_it_may_act(
        self, rendered: Rendered
    ) -> None:
        objects = rendered("--set", DRIFT)
        arguments = container_of(objects, "drift")["args"]
        assert not [one for one in arguments if one.startswith(("--retrain", "--rollback"))]
        assert pod_of(objects, "drift")["automountServiceAccountToken"] is False
        assert ("Role", "mq-marquee-live") not in objects

    def test_it_starts_the_ray_job_that_a_schedule_starts(self, rendered: Rendered) -> None:
        objects = rendered("--set", f"{DRIFT},drift.retrain=rayJob,{NIGHTLY}")
        launched = job_container(objects)
        words = shlex.split(option(objects, "--retrain"))
        assert words == [*launched["command"], *launched["args"]]

    def test_a_ray_job_needs_no_schedule(self, rendered: Rendered) -> None:
        objects = rendered("--set", f"{DRIFT},drift.retrain=rayJob,{RAY_JOB}")
        assert ray_job(objects)["kind"] == "RayJob"
        assert not [name for kind, name in objects if kind == "CronJob"]

    def test_in_place_it_refreshes_on_the_lake(self, rendered: Rendered) -> None:
        objects = rendered("--set", f"{DRIFT},{INGEST},drift.retrain=inPlace")
        words = shlex.split(option(objects, "--retrain"))
        assert words[:2] == ["marquee", "retrain"]
        assert {"--data=/data/lake", "--from-bundle=stable", "--channel=candidate"} <= set(words)
        mounted = {one["mountPath"] for one in container_of(objects, "drift")["volumeMounts"]}
        assert {"/config/policy.json", "/config/config.json"} <= mounted
        assert "config.json" in objects["ConfigMap", "mq-marquee-training"]["data"]

    def test_it_may_take_a_canary_back_in_the_traffic_document_alone(self, rendered: Rendered) -> None:
        objects = rendered("--set", f"{DRIFT},drift.rollback=true")
        assert shlex.split(option(objects, "--rollback"))[:3] == ["marquee", "rollout", "abort"]
        assert pod_of(objects, "drift")["serviceAccountName"] == "mq-marquee-live"
        [rule] = objects["Role", "mq-marquee-live"]["rules"]
        assert rule["resourceNames"] == ["mq-marquee-traffic", "mq-marquee-traffic-history"]
        assert "create" not in rule["verbs"]

    def test_its_figures_are_served_beside_it(self, rendered: Rendered) -> None:
        [sidecar] = pod_of(rendered("--set", DRIFT), "drift")["initContainers"]
        assert sidecar["restartPolicy"] == "Always"
        assert "--text=/data/drift/metrics.prom" in sidecar["args"]
        assert sidecar["ports"] == [{"name": "figures", "containerPort": 9464}]


class TestRayJob:
    def test_the_schedule_starts_it_and_waits_longer_than_it_may_take(self, rendered: Rendered) -> None:
        objects = rendered("--set", f"{NIGHTLY},training.deadlineSeconds=1000,training.retries=2")
        container = job_container(objects)
        assert container["command"] == ["marquee", "rayjob"]
        assert container["args"] == [
            "shop/mq-marquee-training",
            "--template=shop/mq-marquee-training",
            "--at-most=1600",
        ]
        job = objects["CronJob", "mq-marquee-training"]["spec"]["jobTemplate"]["spec"]
        assert (job["backoffLimit"], job["activeDeadlineSeconds"]) == (0, 1_900)
        spec = ray_job(objects)["spec"]
        assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (2, 1_000)

    def test_it_runs_what_the_job_would_run(self, rendered: Rendered) -> None:
        objects = rendered(
            "--set", f"{NIGHTLY},training.ranker=continue", "--set", "training.prepare=fetch it"
        )
        script = objects["ConfigMap", "mq-marquee-training"]["data"]["train.sh"].splitlines()
        assert script[0] == "fetch it"
        words = shlex.split(script[1])
        assert words[:3] == ["exec", "marquee", "retrain"]
        itself = rendered("--set", f"{NIGHTLY},training.ranker=continue,training.rayJob.enabled=false")
        assert words[3:] == job_container(itself)["args"]

    def test_its_pod_has_all_that_a_training_needs(self, rendered: Rendered) -> None:
        objects = rendered("--set", f"{NIGHTLY},training.rayJob.numCpus=2,training.nodeSelector.pool=batch")
        group = ray_job(objects)["spec"]["rayClusterSpec"]["headGroupSpec"]
        assert group["rayStartParams"] == {"num-cpus": "2"}
        pod = group["template"]["spec"]
        assert pod["nodeSelector"] == {"pool": "batch"}
        assert pod["securityContext"]["runAsNonRoot"] is True
        mounts = pod["containers"][0]["volumeMounts"]
        assert {"name": "config", "mountPath": "/config", "readOnly": True} in mounts
        assert {"name": "data", "mountPath": "/data"} in mounts

    def test_its_launcher_may_start_that_one_and_no_other(self, rendered: Rendered) -> None:
        rules = rendered("--set", NIGHTLY)["Role", "mq-marquee-live"]["rules"]
        assert [(rule["resources"], rule.get("resourceNames"), rule["verbs"]) for rule in rules] == [
            (["configmaps"], ["mq-marquee-training"], ["get"]),
            (["rayjobs"], ["mq-marquee-training"], ["get", "delete"]),
            (["rayjobs"], None, ["create"]),  # RBAC cannot limit by name what is still to be made
        ]

    def test_its_name_leaves_room_for_those_that_kuberay_makes(self, rendered: Rendered) -> None:
        objects = rendered("--set", f"{NIGHTLY},fullnameOverride={'a' * 80}")
        [job] = [one for (kind, _), one in objects.items() if kind == "CronJob"]
        template = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        assert template["containers"][0]["args"][0] == f"shop/{'a' * 36}-training"


@pytest.mark.parametrize(
    ("given", "what_to_do"),
    [
        (f"{DRIFT},drift.retrain=rayJob", "training.rayJob.enabled is false"),
        (f"{DRIFT},drift.retrain=inPlace", "training.data: the folder of the data set"),
        (f"{DRIFT},{INGEST},drift.retrain=inPlace,training.prepare=fetch", "use rayJob"),
        (f"{DRIFT},{KAFKA}", "set ingest.enabled"),
        ("eventLog.kafka=k:9092", "eventLog/kafka"),
        ("eventLog.exposures=true", "set eventLog.kafka"),
        (f"{KAFKA},eventLog.exposures=true,serve.exposures.enabled=false", "leave serve.exposures.enabled"),
        (f"{DRIFT},drift.policy.n_ovr=2", "n_ovr"),
        (f"{DRIFT},drift.every=often", "drift/every"),
        (f"{DRIFT},drift.retrain=now", "drift/retrain"),
        ("ingest.enabled=true,ingest.replicas=2", "replicas"),
    ],
)
def test_what_could_not_work_is_refused(refusal: Callable[..., str], given: str, what_to_do: str) -> None:
    assert what_to_do in refusal("--set", given)


def test_one_monitor_finds_all_of_our_figures(rendered: Rendered) -> None:
    objects = rendered("--set", f"{DRIFT},{INGEST},metrics.podMonitor.enabled=true")
    [chosen] = objects["PodMonitor", "mq-marquee"]["spec"]["selector"]["matchExpressions"]
    assert chosen["values"] == ["worker", "ingest", "drift"]


def test_closed_networks_let_them_do_what_they_have_to(rendered: Rendered) -> None:
    objects = rendered("--set", f"{DRIFT},{INGEST},drift.retrain=rayJob,{NIGHTLY},networkPolicy.enabled=true")
    live = objects["NetworkPolicy", "mq-marquee-live"]["spec"]
    ports = {port["port"] for rule in live["egress"] for port in rule.get("ports", [])}
    assert {53, 6379, 443} <= ports
    redis = objects["NetworkPolicy", "mq-marquee-redis"]["spec"]["ingress"][0]["from"][0]["podSelector"]
    assert "ingest" in redis["matchExpressions"][0]["values"]
    trains = objects["NetworkPolicy", "mq-marquee-training"]["spec"]
    of = ray_job(objects)["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["metadata"]["labels"]
    assert trains["podSelector"]["matchExpressions"][0]["values"] == [of["app.kubernetes.io/component"]]


def pod_of(objects: Objects, component: str) -> dict[str, Any]:
    pod: dict[str, Any] = objects["Deployment", f"mq-marquee-{component}"]["spec"]["template"]["spec"]
    return pod


def container_of(objects: Objects, component: str) -> dict[str, Any]:
    [container] = pod_of(objects, component)["containers"]
    assert isinstance(container, dict)
    return container


def option(objects: Objects, name: str) -> str:
    """Return the value of an option of the watcher."""
    [value] = [one for one in container_of(objects, "drift")["args"] if one.startswith(f"{name}=")]
    return str(value).removeprefix(f"{name}=")


def job_container(objects: Objects) -> dict[str, Any]:
    job = objects["CronJob", "mq-marquee-training"]["spec"]["jobTemplate"]["spec"]
    [container] = job["template"]["spec"]["containers"]
    assert isinstance(container, dict)
    return container


def ray_job(objects: Objects) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(objects["ConfigMap", "mq-marquee-training"]["data"]["rayjob.json"])
    return read


def graph(objects: Objects) -> dict[str, Any]:
    config = yaml.safe_load(objects["RayService", "mq-marquee"]["spec"]["serveConfigV2"])
    args: dict[str, Any] = config["applications"][0]["args"]
    return args
