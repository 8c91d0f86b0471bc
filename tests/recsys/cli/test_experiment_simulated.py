"""Experiments with a known truth, from the records that a service leaves to the sentence that people read."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from typer.testing import CliRunner

from recsys.cli.experiment import app
from recsys.core.clock import SECONDS_PER_DAY
from recsys.data.events import Event, EventKind
from recsys.eventlog.exposure import Exposure, Pseudonyms, chunk_of, frame_of
from recsys.eventlog.exposure_files import write_exposures
from recsys.eventlog.writer import EventLogWriter
from recsys.rollout.dealing import Dealer
from recsys.rollout.declarations import Declarations
from recsys.rollout.experiment_plan import plan_of
from recsys.rollout.experiments import begin
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


def live(home: Path, dealer: Dealer, effect: float, seed: int) -> None:
    """Let users come on some days, see lists, watch by their taste, and skip the rest now and then."""
    rng, pseudonyms = np.random.default_rng(seed), Pseudonyms.of_file(home / "exposures.key")
    tastes, activities = rng.beta(3.0, 5.0, N_USERS), rng.gamma(1.0, 0.7, N_USERS)
    with EventLogWriter(home / "events", "w") as log:
        for day in range(-N_DAYS_BEFORE, N_DAYS):
            answers: list[Exposure] = []
            events: list[Event] = []
            for user in np.flatnonzero(activities > 0.1).tolist():
                arm = dealer.deal(f"u{user}").experiments["variety"]
                p_watch = tastes[user] + (effect if arm == "varied" and day >= 0 else 0.0)
                for _ in range(rng.poisson(activities[user])):
                    at_s = START_S + (day + rng.random()) * SECONDS_PER_DAY
                    name = f"{day}-{len(answers)}"
                    dealt = [f"variety={arm}"] if day >= 0 else []
                    answers.append(answer(name, at_s, pseudonyms.of(f"u{user}"), dealt))
                    events += list(reactions(rng, name, f"u{user}", at_s, p_watch))
            answers.sort(key=lambda one: one.served_at_s)
            write_exposures(home / "exposures", "w", day + 100, frame_of([chunk_of(answers)]))
            log.append_durably(events)


def answer(name: str, at_s: float, pseudonym: str, experiments: list[str]) -> Exposure:
    return Exposure(
        name, at_s, pseudonym, "stable", "b", "recommend", "home", 0, override=False, cached=False,
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


def reported(home: Path, effect: float) -> dict[str, Any]:
    store = FileTrafficStore(home / "traffic.json")
    store.swap(first_document("a" * 16, salt="s", updated_s=0.0), expected_version=0)
    begin(store, Declarations(home / "experiments"), "variety", PLAN, now_s=START_S, by="ada")
    live(home, Dealer(store.read()), effect, seed=3)
    until = f"{START_S + N_DAYS * SECONDS_PER_DAY:.0f}"
    words = ["report", "variety", "--home", str(home), "--until-s", until, "--json"]
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 0, told.exception
    report: dict[str, Any] = json.loads(told.output)
    return report


def test_two_arms_that_are_alike_go_on(tmp_path: Path) -> None:
    result = reported(tmp_path, 0.0)["result"]
    assert result["sample_ratio"]["trusted"]  # false alarm: 1 in 1,000
    assert result["recommendation"]["action"] == "go on"  # false alarm: 1 in 1,000, of all looks
    assert result["recommendation"]["until_users"] > result["n_users"] > 1_000


def test_an_arm_that_is_better_is_shipped_and_the_interval_narrowed_on_the_way(tmp_path: Path) -> None:
    report = reported(tmp_path, 0.1)
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
