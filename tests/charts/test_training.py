"""Bundles made on a schedule."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from recsys.training.two_stage import TrainingConfig

Objects = dict[tuple[str, str], dict[str, Any]]
Rendered = Callable[..., Objects]
DAILY = "training.schedule=@daily,training.data=/data/set"


def test_nothing_is_trained_unless_it_says_when(rendered: Rendered) -> None:
    assert not [name for _, name in rendered() if "training" in name]


def test_one_training_at_a_time_and_a_few_to_look_at(rendered: Rendered) -> None:
    job = cron_job(rendered("--set", f"{DAILY},training.keptSuccessful=0"))
    assert job["schedule"] == "@daily"
    assert job["concurrencyPolicy"] == "Forbid"
    assert (job["successfulJobsHistoryLimit"], job["failedJobsHistoryLimit"]) == (0, 3)
    assert "timeZone" not in job


def test_it_trains_passes_the_gate_and_names_a_candidate(rendered: Rendered) -> None:
    container = container_of(rendered("--set", DAILY))
    assert container["command"] == ["marquee", "train"]
    assert {"--gate", "--data=/data/set", "--channel=candidate", "--on-bad-row=fail"} <= set(
        container["args"]
    )


def test_without_a_channel_and_a_gate_it_only_registers(rendered: Rendered) -> None:
    arguments = container_of(rendered("--set", f"{DAILY},training.channel=,training.gate=false"))["args"]
    assert "--no-gate" in arguments
    assert not [one for one in arguments if one.startswith("--channel")]


def test_what_fetches_the_data_comes_first_and_its_failure_is_the_jobs(rendered: Rendered) -> None:
    container = container_of(rendered("--set", DAILY, "--set-string", "training.prepare=fetch {{ x }}"))
    assert container["command"] == ["bash", "-euo", "pipefail", "-c"]
    script, name, *arguments = container["args"]
    assert script.split("\n") == ["fetch {{ x }}", 'exec marquee train "$@"', ""]
    assert name == "training"
    assert "--data=/data/set" in arguments


def test_a_refresh_begins_with_the_stable_bundle_and_from_scratch_where_there_is_none(
    rendered: Rendered,
) -> None:
    container = container_of(rendered("--set", f"{DAILY},training.refresh=true,training.ranker=continue"))
    assert container["command"] == ["marquee", "retrain"]
    wanted = {"--from-bundle=stable", "--full-if-none", "--ranker=continue", "--channel=candidate"}
    assert wanted <= set(container["args"])
    prepared = rendered("--set", f"{DAILY},training.refresh=true", "--set-string", "training.prepare=fetch")
    assert 'exec marquee retrain "$@"' in container_of(prepared)["args"][0]


def test_settings_are_the_programs_own(rendered: Rendered) -> None:
    objects = rendered("--set", DAILY, "--set-json", 'training.config={"n_candidates": 300}')
    written = objects["ConfigMap", "mq-marquee-training"]["data"]["config.json"]
    assert TrainingConfig.model_validate(json.loads(written)) == TrainingConfig(n_candidates=300)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("training.schedule=@daily", "training.data: the folder of the data set"),
        ("training.schedule=tomorrow", "training/schedule"),
        ("training.config.n_candidate=3", "n_candidate"),
        ("training.channel=previous", "training/channel"),
        ("training.ranker=bend", "training/ranker"),
    ],
)
def test_a_training_that_could_not_be_is_refused(refusal: Callable[..., str], given: str, named: str) -> None:
    assert named in refusal("--set", given)


def test_its_name_leaves_room_for_those_of_its_jobs(rendered: Rendered) -> None:
    [name] = [
        name for kind, name in rendered("--set", f"{DAILY},fullnameOverride={'a' * 80}") if kind == "CronJob"
    ]
    assert len(name) <= 52


def cron_job(objects: Objects) -> dict[str, Any]:
    spec: dict[str, Any] = objects["CronJob", "mq-marquee-training"]["spec"]
    return spec


def container_of(objects: Objects) -> dict[str, Any]:
    [container] = cron_job(objects)["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert isinstance(container, dict)
    return container
