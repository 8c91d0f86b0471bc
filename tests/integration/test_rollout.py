"""Rollouts on the running graph: what people and controllers do to it while users are there."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from deployments.cli.serve import begin_traffic, graph_args
from deployments.launcher import running_graph
from deployments.settings import CacheSettings, Deadlines, GraphArgs
from recsys.core.ports import free_ports
from recsys.experiments.guardrails import Guardrail
from recsys.registry.open import open_registry
from recsys.rollout import transitions
from recsys.rollout.desk import change
from recsys.rollout.plan import RolloutPlan, Step
from recsys.rollout.state import Phase, RolloutState
from recsys.rollout.traffic import TrafficDocument
from recsys.rollout.traffic_file import FileTrafficStore

pytestmark = [pytest.mark.serve, pytest.mark.slow]

_GIVE_UP_S = 180.0
_N_USERS = 500  # by HTTP; test_dealing.py deals 10,000
_MARQUEE = (sys.executable, "-c", "from recsys.cli.main import main; main()")
_PLAN = RolloutPlan(
    steps=tuple(Step(share=share, min_time=2.0, min_exposures=1) for share in (0.05, 0.5, 1.0)),
    guardrails=(Guardrail(metric="degraded_share", compare="difference", limit=0.02, min_sample=1),),
    hold=3.0,
)


def wait_until(is_so: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + _GIVE_UP_S
    while not is_so():
        assert time.monotonic() < give_up_s, "it never came"
        time.sleep(0.05)


@dataclass
class Running:
    """A graph without a controller, and two bundles."""

    url: str
    args: GraphArgs
    stable: str
    other: str

    @property
    def store(self) -> FileTrafficStore:
        return FileTrafficStore(Path(self.args.traffic))

    @property
    def state(self) -> RolloutState:
        state = self.store.read().rollout
        assert state is not None
        return state

    def start(self, name: str, plan: RolloutPlan = _PLAN) -> None:
        """Roll out the bundle that the users do not have."""
        document = self.store.read()
        served = document.bundle_of(document.arms[0])
        bundle = self.other if served == self.stable else self.stable
        self.change(
            lambda now: transitions.start(now, bundle, plan, rollout_id=name, now_s=time.time(), by="test")
        )

    def change(self, how: Callable[[TrafficDocument], TrafficDocument]) -> TrafficDocument:
        return change(self.store, how)

    @contextmanager
    def controller(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run ``marquee rollout control`` while the block lasts."""
        command = [
            *_MARQUEE,
            "rollout",
            "control",
            "--url",
            self.url,
            "--home",
            str(Path(self.args.traffic).parent),
        ]
        process = subprocess.Popen([*command, "--every", "0.2"], stdout=subprocess.DEVNULL)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def running(
    trainer: Callable[[Path], Callable[[int], str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("rollout")
    other = trainer(home / "registry")(6)
    patient = Deadlines(state_s=30.0, recall_s=30.0, ranking_s=30.0)  # a busy machine is no fault of a canary
    args = graph_args(home).model_copy(update={"cache": CacheSettings(enabled=False), "deadlines": patient})
    begin_traffic(args)
    with running_graph(args, host="127.0.0.1", port=free_ports(1)[0]) as graph:
        yield Running(graph.address, args, open_registry(args.registry).resolve("stable"), other)


class Load:
    """One request after another; every answer's arm, bundle and time, and every failure."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(row,)) for row in range(3)]
        self.answers: list[tuple[float, str, str, str]] = []  # when asked, user, arm, bundle
        self.failures: list[str] = []

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _run(self, row: int) -> None:
        user = row
        with httpx.Client(timeout=60.0) as client:
            while not self._stopped.is_set():
                user = (user + 3) % 300
                asked_s = time.time()
                try:
                    answer = client.post(f"{self._url}/recommend", json={"user_id": f"u{user}"})
                    answer.raise_for_status()
                    found = answer.json()
                    self.answers.append((asked_s, f"u{user}", found["arm"], found["bundle"]))
                except httpx.HTTPError as error:
                    self.failures.append(repr(error))


def test_a_controller_killed_in_every_state_leaves_a_rollout_that_the_next_one_ends(
    running: Running,
) -> None:
    seen: list[tuple[Phase, int]] = []
    with Load(running.url) as load:
        running.start("killed")
        while not running.state.settled:
            with running.controller() as process:
                before = running.store.read().version
                wait_until(lambda now=before: running.store.read().version > now)  # type: ignore[misc]
                os.kill(process.pid, signal.SIGKILL)  # behind its first write
            seen.append((running.state.phase, running.state.step))
    assert load.failures == []
    walked = [place for place, after in pairwise([*seen, None]) if place != after]
    steps = [(Phase.RAMPING, step) for step in range(3)]
    assert walked == [*steps, (Phase.HOLDING, 2), (Phase.PROMOTED, 2)]
    assert open_registry(running.args.registry).resolve("stable") == running.state.bundle


def test_two_controllers_walk_a_rollout_as_one(running: Running) -> None:
    with Load(running.url) as load, running.controller(), running.controller():
        running.start("two")
        wait_until(lambda: running.state.settled)
    assert load.failures == []
    decisions = [decision.what for decision in running.state.decisions if decision.what != "hold"]
    assert decisions == ["start", "step", "step", "step", "promote", "settle"]


def test_users_move_only_to_the_canary_and_after_an_abort_are_back_within_two_seconds(
    running: Running,
) -> None:
    plan = RolloutPlan(steps=(Step(share=0.01, min_time=3_600.0),))
    in_force = running.store.read()
    old = in_force.bundle_of(in_force.arms[0])
    running.start("abort", plan)
    state = running.state

    def served() -> dict[str, str]:
        with httpx.Client(timeout=60.0) as client:
            return {
                f"u{user}": client.post(
                    f"{running.url}/recommend", json={"user_id": f"u{user}", "top_n": 1}
                ).json()["arm"]
                for user in range(_N_USERS)
            }

    with running.controller():
        wait_until(lambda: running.state.phase is Phase.RAMPING)
    arms: list[dict[str, str]] = []
    for share in (0.01, 0.1, 0.5):
        stage = Step(share=share, min_time=3_600.0)
        changed = running.change(
            lambda now, stage=stage: now.successor(  # type: ignore[misc]
                updated_s=time.time(), updated_by="test", arms=transitions.arms_of(state, stage)
            )
        )
        wait_until(lambda v=changed.version: _all_at(running, v))  # type: ignore[misc]
        arms.append(served())
    for before, after in pairwise(arms):
        moved = {(before[user], after[user]) for user in before if before[user] != after[user]}
        assert moved == {("stable", "canary")}
    with Load(running.url) as load:
        time.sleep(1.0)
        running.change(lambda now: transitions.abort(now, now_s=time.time(), by="test"))
        aborted_s = time.time()
        time.sleep(4.0)
    late = [answer for answer in load.answers if answer[0] > aborted_s + 2.0]
    assert load.failures == []
    assert late
    assert {(arm, bundle) for _, _, arm, bundle in late} == {("stable", old)}


def test_a_kill_takes_everybody_off_the_canary_with_no_controller_and_none_undoes_it(
    running: Running,
) -> None:
    with running.controller():
        wait_until(lambda: running.state.settled)
    running.start("kill", RolloutPlan(steps=(Step(share=0.5, min_time=3_600.0),)))
    with running.controller():
        wait_until(lambda: running.state.phase is Phase.RAMPING)
    with Load(running.url) as load:
        wait_until(lambda: any(arm == "canary" for _, _, arm, _ in load.answers))
        running.change(lambda now: transitions.kill(now, "canary", now_s=time.time(), by="test"))
        killed_s = time.time()
        time.sleep(3.0)
        assert running.state.phase is Phase.RAMPING  # nobody has told the rollout
        with running.controller():
            wait_until(lambda: running.state.phase is Phase.ABORTED)
        time.sleep(1.0)
    assert load.failures == []
    assert {arm for asked_s, _, arm, _ in load.answers if asked_s > killed_s + 2.0} == {"stable"}
    assert "canary" in running.store.read().killed
    running.change(lambda now: transitions.revive(now, "canary", now_s=time.time(), by="test"))


@pytest.mark.parametrize("damage", ["truncated", "nonsense", "older", "gone"])
def test_with_a_document_that_cannot_be_used_the_last_good_one_stays_and_an_alarm_is_raised(
    running: Running, damage: str
) -> None:
    path = Path(running.args.traffic)
    good = path.read_bytes()
    document = running.store.read()
    wait_until(lambda: _all_at(running, document.version))
    refused = _metric(running, "marquee_traffic_refused_total")
    with Load(running.url) as load:
        if damage == "gone":
            path.unlink()
        else:
            older = document.model_copy(update={"version": document.version - 1}).model_dump_json()
            bad = {"truncated": good[: len(good) // 2], "nonsense": b"\x00" * 100, "older": older.encode()}
            path.write_bytes(bad[damage])
        wait_until(lambda: _metric(running, "marquee_traffic_unusable") == 1.0)
        assert _metric(running, "marquee_traffic_refused_total") > refused
        wait_until(lambda: httpx.get(f"{running.url}/traffic").json()["trouble"])  # of the router asked
        assert httpx.get(f"{running.url}/traffic").json()["in_force"]["version"] == document.version
        path.write_bytes(good)
        wait_until(lambda: _metric(running, "marquee_traffic_unusable") == 0.0)
    assert load.failures == []
    assert {bundle for *_, bundle in load.answers} == {document.bundle_of(document.arms[0])}


def test_an_arm_is_asked_for_by_header_and_refused_by_name(running: Running) -> None:
    for headers, status in (({"X-Marquee-Arm": "stable"}, 200), ({"X-Marquee-Arm": "gold"}, 422)):
        answer = httpx.post(f"{running.url}/recommend", json={"user_id": "u1"}, headers=headers)
        assert answer.status_code == status
        if status == 200:
            assert (answer.json()["arm"], answer.json()["override"]) == ("stable", True)
        else:
            assert "expected one of stable" in answer.json()["detail"]


def _metric(running: Running, name: str) -> float:
    page = httpx.get(f"{running.url}/metrics", timeout=60.0).text
    return sum(float(line.split()[-1]) for line in page.splitlines() if line.startswith(f"{name} "))


def _all_at(running: Running, version: int) -> bool:
    """Tell whether every router has taken a document over, as far as twenty questions can tell."""
    reports = (httpx.get(f"{running.url}/traffic", timeout=60.0).json() for _ in range(20))
    return all(report["in_force"]["version"] >= version for report in reports)
