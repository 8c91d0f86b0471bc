"""What Helm says at the end, and what `helm test` runs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer.testing
import yaml

from deployments.cli.rollout import app

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "marquee"

Objects = dict[tuple[str, str], dict[str, Any]]
Rendered = Callable[..., Objects]


@pytest.fixture
def notes(helm: Callable[..., Any]) -> Callable[..., str]:
    """Install without a cluster; return what Helm says."""

    def install(*arguments: str) -> str:
        done = helm("install", "mq", str(CHART), "--namespace", "shop", "--dry-run=client", *arguments)
        assert done.returncode == 0, done.stderr
        return str(done.stdout.partition("NOTES:\n")[2])

    return install


def test_the_test_waits_for_what_the_values_want(rendered: Rendered) -> None:
    pod = rendered("--set", "model.bundle=candidate,test.atMostSeconds=7")["Pod", "mq-marquee-test"]
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    [container] = pod["spec"]["containers"]
    assert container["command"] == ["marquee", "rollout", "arrived"]
    assert container["args"] == [
        "--at-most=7",
        "--ray-service=shop/mq-marquee",
        "--report=shop/mq-marquee-rollout",
        "--bundle=candidate",
    ]


def test_without_a_controller_any_bundle_will_do(rendered: Rendered) -> None:
    [container] = rendered("--set", "controller.replicas=0")["Pod", "mq-marquee-test"]["spec"]["containers"]
    assert not [one for one in container["args"] if one.startswith(("--report", "--bundle"))]


def test_where_clients_may_not_choose_any_arm_will_do(rendered: Rendered) -> None:
    [container] = rendered("--set", "serve.limits.choose_arm=false")["Pod", "mq-marquee-test"]["spec"][
        "containers"
    ]
    assert "--any-arm" in container["args"]


def test_the_command_of_the_test_knows_its_options(rendered: Rendered) -> None:
    [container] = rendered("--set", "serve.limits.choose_arm=false")["Pod", "mq-marquee-test"]["spec"][
        "containers"
    ]
    told = typer.testing.CliRunner().invoke(app, ["arrived", "--help"], env={"COLUMNS": "300"}).stdout
    assert all(one.partition("=")[0] in told for one in container["args"])


def test_the_test_may_look_at_the_ray_service(rendered: Rendered) -> None:
    objects = rendered()
    pod = objects["Pod", "mq-marquee-test"]["spec"]
    binding = objects["RoleBinding", "mq-marquee-controller"]
    assert pod["serviceAccountName"] in [subject["name"] for subject in binding["subjects"]]
    [rule] = [
        one for one in objects["Role", "mq-marquee-controller"]["rules"] if one["apiGroups"] == ["ray.io"]
    ]
    assert rule == {
        "apiGroups": ["ray.io"],
        "resources": ["rayservices"],
        "resourceNames": ["mq-marquee"],
        "verbs": ["get"],
    }


def test_the_notes_say_how_to_see_it_answer(notes: Callable[..., str]) -> None:
    said = notes()
    assert "mq-marquee starts in namespace shop" in said
    assert "helm -n shop test mq --logs --timeout 660s" in said
    assert "kubectl -n shop port-forward svc/mq-marquee-serve-svc 8000" in said
    assert "marquee registry list" in said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("demo.enabled=true", "logs -f job/mq-marquee-demo"),
        ("ingress.enabled=true,ingress.hosts={v.example}", "curl -s http://v.example/v1/recommend"),
        ("training.schedule=@daily,training.data=/d", "create job --from=cronjob/mq-marquee-training"),
        (
            "exposuresKey.existingSecret=pseudonyms",
            "exposuresKey.existingSecret: pseudonyms, key exposures.key",
        ),
        ("persistence.kind=emptyDir", "no bundle reaches the service"),
        ("controller.replicas=0", "model.bundle changes nothing"),
    ],
)
def test_the_notes_say_what_a_choice_means(notes: Callable[..., str], given: str, said: str) -> None:
    assert said in notes("--set", given)
    assert said not in notes()


def test_the_chart_is_of_the_projects_version() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert f'\nversion = "{chart["appVersion"]}"\n' in project
