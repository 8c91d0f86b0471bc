"""The chart of jobs that run once."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

CHART = Path(__file__).parents[2] / "charts" / "marquee-job"
SCENARIOS = sorted(path.name for path in (CHART / "ci").glob("*-values.yaml"))

Job = Callable[..., dict[str, Any]]


@pytest.fixture
def job(helm: Callable[..., Any]) -> Job:
    """Render the chart; return the RayJob, its only object."""

    def render(*arguments: str) -> dict[str, Any]:
        done = helm("template", "j", str(CHART), "--namespace", "shop", *arguments)
        assert done.returncode == 0, done.stderr
        [found] = [one for one in yaml.safe_load_all(done.stdout) if one]
        assert isinstance(found, dict)
        return found

    return render


@pytest.mark.parametrize("scenario", SCENARIOS)
class TestEveryScenario:
    def test_passes_the_strict_linter(self, helm: Callable[..., Any], scenario: str) -> None:
        done = helm("lint", "--strict", str(CHART), "--values", str(CHART / "ci" / scenario))
        assert done.returncode == 0, done.stdout

    @pytest.mark.parametrize("version", ["1.29.0", "1.37.0"])
    def test_has_pods_that_kubernetes_takes(self, job: Job, scenario: str, version: str) -> None:
        for template in templates(job("--values", str(CHART / "ci" / scenario))):
            metadata = {"name": "pod", **template.get("metadata", {})}
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
            kubernetes_validate.validate(pod, version, strict=True)

    def test_runs_nothing_as_root(self, job: Job, scenario: str) -> None:
        for template in templates(job("--values", str(CHART / "ci" / scenario))):
            assert template["spec"]["securityContext"]["runAsNonRoot"] is True
            for container in template["spec"]["containers"]:
                assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_the_command_reaches_the_shell_word_by_word(job: Job) -> None:
    found = job("--set-json", 'command=["train", "--data", "/data/my set; $(x)"]')
    assert shlex.split(found["spec"]["entrypoint"]) == ["marquee", "train", "--data", "/data/my set; $(x)"]


def test_another_release_is_another_job_and_its_name_fits(job: Job, helm: Callable[..., Any]) -> None:
    assert job()["metadata"]["name"] == "j-marquee-job-1"
    long = job("--set", f"fullnameOverride={'a' * 80}")["metadata"]["name"]
    assert (len(long), long[-2:]) == (44, "-1")
    done = helm("template", "j", str(CHART), "--is-upgrade")
    assert done.returncode == 0


def test_it_runs_once_and_cleans_up_behind_itself(job: Job) -> None:
    spec = job("--set", "retries=0,keptSeconds=0")["spec"]
    assert (spec["backoffLimit"], spec["shutdownAfterJobFinishes"], spec["ttlSecondsAfterFinished"]) == (
        0,
        True,
        0,
    )


def test_without_workers_the_head_does_it_all(job: Job) -> None:
    assert "workerGroupSpecs" not in job()["spec"]["rayClusterSpec"]
    [group] = job("--set", "ray.workers.replicas=2")["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    assert (group["replicas"], group["minReplicas"], group["maxReplicas"]) == (2, 2, 2)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("comand={train}", "comand"),
        ("command=train", "command"),
        ("command={it's}", "command/0"),
        ("persistence.kind=existingClaim", "persistence.existingClaim: a claim's name"),
        ("persistence.kind=claim", "persistence/kind"),
        ("ray.head.numCpus=0.5", "ray/head/numCpus"),
        ("deadlineSeconds=0", "deadlineSeconds"),
    ],
)
def test_what_could_not_run_is_refused(helm: Callable[..., Any], given: str, named: str) -> None:
    done = helm("template", "j", str(CHART), "--set", given)
    assert done.returncode != 0
    assert named in done.stderr


def templates(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all pods that a RayJob makes."""
    cluster = found["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster.get("workerGroupSpecs", [])]
    return [found["spec"]["submitterPodTemplate"], *(group["template"] for group in groups)]
