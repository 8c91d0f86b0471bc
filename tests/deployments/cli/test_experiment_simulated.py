"""Experiments with a known truth, from the records that a service leaves to the sentence that people read."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from typer.testing import CliRunner

from deployments.cli.experiment import app
from recsys.core.clock import SECONDS_PER_DAY
from recsys.core.pseudonyms import Pseudonyms
from recsys.data.events import Event, EventKind
from recsys.eventlog.exposure import Exposure, chunk_of, frame_of
from recsys.eventlog.exposure_files import write_exposures
from recsys.eventlog.writer import EventLogWriter
from recsys.rollout import transitions
from recsys.rollout.dealing import Dealer
from recsys.rollout.declarations import Declarations
from recsys.rollout.desk import change
from recsys.rollout.experiment_plan import plan_of
from recsys.rollout.experiments import begin
from recsys.rollout.plan import RolloutPlan, Step
from recsys.rollout.traffic import first_document
from recsys.rollout.traffic_file import FileTrafficStore

START_S = 20_000 * SECONDS_PER_DAY
N_DAYS, N_DAYS_BEFORE, N_USERS = 7, 4, 2_000
ITEMS = ["a", "b", "c", "d", "e"]
PLAN = plan_of(
    {
        "arms": {"control": {"share": 0.5}, "varied": {"share": 0.5, "variety": 0.3}},
        "further": ["lists"],
        "guardrails": [{"name": "skip_rate", "tolerance": 0.05}],
        "planned_users": 50_000,
        "minimum_effect": 0.004,  # so small that it stays open whatever chance does
        "alpha": 0.001,
    }
)


Deal = Callable[[str, int], tuple[str, list[str]]]
"""User and day -> the arm that decides how much they watch, and what exposures say of experiments."""


def live(home: Path, deal: Deal, effects: Mapping[str, float], seed: int) -> None:
    """Let users come on some days, see lists, watch by their taste, and skip the rest now and then."""
    rng, pseudonyms = np.random.default_rng(seed), Pseudonyms.of_file(home / "exposures.key")
    tastes, activities = rng.beta(3.0, 5.0, N_USERS), rng.gamma(1.0, 0.7, N_USERS)
    with EventLogWriter(home / "events", "w") as log:
        for day in range(-N_DAYS_BEFORE, N_DAYS):
            answers: list[Exposure] = []
            events: list[Event] = []
            for user in np.flatnonzero(activities > 0.1).tolist():
                arm, dealt = deal(f"u{user}", day)
                p_watch = tastes[user] + (effects.get(arm, 0.0) if day >= 0 else 0.0)
                for _ in range(rng.poisson(activities[user])):
                    at_s = START_S + (day + 0.01 + 0.99 * rng.random()) * SECONDS_PER_DAY
                    name = f"{day}-{len(answers)}"
                    answers.append(answer(name, at_s, pseudonyms.of(f"u{user}"), arm, dealt))
                    events += list(reactions(rng, name, f"u{user}", at_s, p_watch))
            answers.sort(key=lambda one: one.served_at_s)
            write_exposures(home / "exposures", "w", day + 100, frame_of([chunk_of(answers)]))
            log.append_durably(events)


def answer(name: str, at_s: float, pseudonym: str, arm: str, experiments: list[str]) -> Exposure:
    return Exposure(
        name, at_s, pseudonym, arm, "b", "recommend", "home", 0, override=False, cached=False,
        degraded=[], item_ids=ITEMS, scores=[1.0] * 5, sources=["svd"] * 5, propensities=[1.0] * 5,
        experiments=experiments,
    )  # fmt: skip


def reactions(
    rng: np.random.Generator, name: str, user_id: str, at_s: float, p_watch: float
) -> Iterator[Event]:
    for item_id, chance in zip(ITEMS, rng.random(5).tolist(), strict=True):
        kind = EventKind.WATCH if chance < p_watch else EventKind.SKIP if chance > 0.9 else None
        if kind is not None:
            yield Event(
                event_id=f"{name}-{item_id}",
                user_id=user_id,
                kind=kind,
                time_s=at_s + 5.0,
                item_id=item_id,
                request_id=name,
            )


def store_of(home: Path) -> FileTrafficStore:
    store = FileTrafficStore(home / "traffic.json")
    store.swap(first_document("a" * 16, salt="s", updated_s=0.0), expected_version=0)
    return store


def reported(home: Path, *words: str) -> dict[str, Any]:
    until = f"{START_S + N_DAYS * SECONDS_PER_DAY:.0f}"
    told = CliRunner().invoke(app, ["report", *words, "--home", str(home), "--until-s", until, "--json"])
    assert told.exit_code == 0, told.exception
    report: dict[str, Any] = json.loads(told.output)
    return report


def experiment(home: Path, effect: float) -> dict[str, Any]:
    store = store_of(home)
    begin(store, Declarations(home / "experiments"), "variety", PLAN, now_s=START_S, by="ada")
    dealer = Dealer(store.read())

    def deal(user_id: str, day: int) -> tuple[str, list[str]]:
        arm = dealer.deal(user_id).experiments["variety"]
        return arm, [f"variety={arm}"] if day >= 0 else []

    live(home, deal, {"varied": effect}, seed=3)
    return reported(home, "variety")


def canary(home: Path, effect: float) -> dict[str, Any]:
    """Let a canary walk from 10 to 50 % of the users, a step every two days."""
    store = store_of(home)
    plan = RolloutPlan(steps=tuple(Step(share=share) for share in (0.1, 0.25, 0.5)), promote=False)
    change(
        store,
        lambda now: transitions.start(now, "b" * 16, plan, rollout_id="r1", now_s=START_S - 60.0, by="ada"),
    )
    dealers = {-1: Dealer(store.read())}
    for step in range(3):
        at_s = START_S + 2.0 * step * SECONDS_PER_DAY
        take = partial(transitions.to_step, step=step, why="", baseline=None, now_s=at_s, by="c")
        dealers[step] = Dealer(change(store, take))

    def deal(user_id: str, day: int) -> tuple[str, list[str]]:
        return dealers[-1 if day < 0 else min(day // 2, 2)].deal(user_id).arm.arm, []

    live(home, deal, {"canary": effect}, seed=4)
    return reported(home, "rollout", "--planned-users", "50000", "--min-effect", "0.004")


def test_two_arms_that_are_alike_go_on(tmp_path: Path) -> None:
    result = experiment(tmp_path, 0.0)["result"]
    assert result["sample_ratio"]["trusted"]  # false alarm: 1 in 1,000
    assert result["recommendation"]["action"] == "go on"  # false alarm: 1 in 1,000, of all looks
    assert result["recommendation"]["until_users"] > result["n_users"] > 1_000


def test_an_arm_that_is_better_is_shipped_and_the_interval_narrowed_on_the_way(tmp_path: Path) -> None:
    report = experiment(tmp_path, 0.1)
    result = report["result"]
    assert (result["recommendation"]["action"], result["recommendation"]["arm"]) == ("ship", "varied")
    watch_rate = result["comparisons"][0]
    assert watch_rate["variance_removed"] > 0.1
    span = watch_rate["adjusted"]["at_all_times"]
    assert span["lower"] < 0.1 < span["upper"]  # misses: 1 in 1,000, of all looks
    widths = [
        span["upper"] - span["lower"]
        for span in (look["effects"]["varied"]["at_all_times"] for look in report["looks"])
    ]
    assert len(widths) == N_DAYS
    assert widths[-1] < 0.6 * widths[0]
    assert report["crossed"] == 0


def test_a_canary_that_grows_and_is_alike_goes_on(tmp_path: Path) -> None:
    report = canary(tmp_path, 0.0)
    result = report["result"]
    assert result["sample_ratio"]["trusted"]  # false alarm: 1 in 1,000
    assert result["recommendation"]["action"] == "go on"  # false alarm: 5 in 100 at most, of all looks
    assert report["crossed"] > 100
    assert 0.1 < result["design"]["arms"]["canary"] < 0.5


def test_a_canary_that_grows_and_is_better_is_shipped(tmp_path: Path) -> None:
    report = canary(tmp_path, 0.1)
    assert report["result"]["recommendation"]["arm"] == "canary"
    span = report["result"]["comparisons"][0]["raw"]["at_all_times"]
    assert span["lower"] < 0.1 < span["upper"]  # misses: 5 in 100 at most, of all looks
