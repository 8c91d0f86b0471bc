"""What became of a RayJob."""

from typing import Any

from deployments.kubernetes.ray_job import failure, has_ended, standing_of


def job(**status: str) -> dict[str, Any]:
    return {"status": status}


def test_one_that_nobody_has_seen_yet_is_new_and_has_not_ended() -> None:
    assert standing_of({"metadata": {"name": "training"}}) == "New"
    assert not has_ended({"metadata": {"name": "training"}})


def test_a_job_that_runs_has_not_ended() -> None:
    running = job(jobDeploymentStatus="Running", jobStatus="RUNNING")
    assert standing_of(running) == "Running, RUNNING"
    assert not has_ended(running)


def test_one_that_is_tried_again_has_not_ended() -> None:
    assert not has_ended(job(jobDeploymentStatus="Retrying", jobStatus="FAILED"))


def test_one_that_did_what_it_should_has_no_failure() -> None:
    done = job(jobDeploymentStatus="Complete", jobStatus="SUCCEEDED")
    assert has_ended(done)
    assert failure(done) is None


def test_one_that_failed_says_why_in_one_line() -> None:
    failed = job(jobDeploymentStatus="Failed", jobStatus="FAILED", message="exit code 1\nthe gate refused")
    assert has_ended(failed)
    assert failure(failed) == "Failed, FAILED, exit code 1 the gate refused"


def test_one_whose_command_ended_badly_has_failed_though_kuberay_is_done() -> None:
    assert failure(job(jobDeploymentStatus="Complete", jobStatus="STOPPED")) == "Complete, STOPPED"
