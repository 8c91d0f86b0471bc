"""Whether KubeRay is done with a RayService."""

from typing import Any

from deployments.kubernetes.ray_service import unsettled


def service(*, generation: int = 2, seen: int = 2, **conditions: str) -> dict[str, Any]:
    listed = [{"type": name, "status": status, "message": "so"} for name, status in conditions.items()]
    return {
        "metadata": {"generation": generation},
        "status": {"observedGeneration": seen, "conditions": listed},
    }


def test_a_ready_one_without_an_upgrade_has_settled() -> None:
    assert unsettled(service(Ready="True", UpgradeInProgress="False")) is None


def test_a_ready_one_whose_old_cluster_still_answers_has_not() -> None:
    assert unsettled(service(Ready="True", UpgradeInProgress="True")) == "UpgradeInProgress: so"


def test_a_change_that_nobody_has_seen_has_not() -> None:
    assert unsettled(service(seen=1, Ready="True")) == "KubeRay has not seen the latest change"


def test_a_new_one_has_not() -> None:
    assert unsettled({"metadata": {"generation": 1}}) == "KubeRay has not seen the latest change"
    assert unsettled(service(Ready="False")) == "not ready: so"
