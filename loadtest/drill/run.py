"""Scenes on a service: its users, a rollout, and what became of it."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from loadtest.bench.servers import Server, serve
from loadtest.drill.bundles import Prepared
from loadtest.drill.scenes import SCENES, Scene
from loadtest.live.background import playing
from loadtest.live.driver import play
from loadtest.live.result import LiveResult
from loadtest.live.settings import LiveSettings, PopulationSettings
from loadtest.soak.memory import marked
from loadtest.swap.twins import twin_of
from recsys.core.clock import unix_clock
from recsys.core.errors import UnavailableError
from recsys.experiments.interleaving import INTERLEAVED
from recsys.registry.local import LocalRegistry
from recsys.rollout import transitions
from recsys.rollout.names import CANARY
from recsys.rollout.state import Decision, Phase, RolloutState, What
from recsys.rollout.traffic_file import FileTrafficStore

_BEFORE_S = 3.0  # of quiet, before the rollout
_AFTER_S = 5.0  # to see that all users are back
_GIVE_UP_S = 240.0
_POLL_S = 0.2
_KILL_EVERY_S = 0.5
_EXPOSURE_AGE_S = 2.0  # a day's rollout in a minute
_MAX_WAIT_S = 5.0  # a machine that pauses for a second is no canary's fault
_BACK_S = 2.0  # by then nobody gets the canary any more


@dataclass(frozen=True, slots=True)
class Ended:
    """A scene that is over."""

    scene: Scene
    rollout: RolloutState
    live: LiveResult

    @property
    def end(self) -> Decision:
        """The decision that ended it."""
        ends = (What.ABORT, What.PROMOTE)
        return next(one for one in reversed(self.rollout.decisions) if one.what in ends)

    @property
    def back_s(self) -> float:
        """How long after its end the canary still answered, in seconds; 0 when it did not."""
        its = (CANARY, INTERLEAVED)
        met = [step.at_s for path in self.live.paths.values() for step in path if step.arm in its]
        seconds = [one.at_s for one in self.live.seconds if one.arm in its and one.n_answers]
        ended_s = self.end.at_s - self.live.started_unix_s
        return max(0.0, max([*met, *seconds], default=0.0) - ended_s)

    def faults(self) -> list[str]:
        """Return what should not have happened; nothing when all is well."""
        found = []
        if self.live.n_failed:
            found.append(f"{self.live.n_failed} failed requests: {self.live.failures}")
        promoted = self.rollout.phase in (Phase.HOLDING, Phase.PROMOTED)
        if promoted is bool(self.scene.seen_by):
            found.append(f"ended as {self.rollout.phase}: {self.end.why}")
        named = {verdict.metric for verdict in self.end.verdicts if verdict.outcome == "bad"}
        if self.scene.seen_by and not named & self.scene.seen_by:
            found.append(f"taken back by {sorted(named)}, not by any of {sorted(self.scene.seen_by)}")
        if self.back_s > _BACK_S:
            found.append(f"the canary still answered {self.back_s:.1f} s after its end")
        ended_s = self.end.at_s - self.live.started_unix_s
        astray = [move for move in self.live.moves if move.before == CANARY and move.at_s < ended_s]
        if astray:
            found.append(f"{len(astray)} users left the canary while it ramped: {astray[0]}")
        return found


@dataclass(frozen=True, slots=True)
class Drill:
    """A running service on which scenes are played, one after another."""

    prepared: Prepared
    server: Server
    store: FileTrafficStore
    candidates: Mapping[str, str]
    """Name of a scene -> its bundle."""
    rate_per_s: float

    def play(self, scene: Scene, *, on_decision: Callable[[Decision], None] = lambda _: None) -> Ended:
        """Play a scene to its end.

        Args:
            scene: which.
            on_decision: is told of every decision.

        Raises:
            UnavailableError: the rollout did not end within minutes.
        """
        settings = LiveSettings(population=PopulationSettings(rate_per_s=self.rate_per_s))
        run_id = f"{int(unix_clock() * 1e3):x}"
        world, url = self.prepared.world, self.server.url
        with playing(lambda stop: play(world, url, settings, run_id=run_id, stop=stop)) as users:
            time.sleep(_BEFORE_S)
            document = self.store.read()
            begun = transitions.start(
                document,
                self.candidates[scene.name],
                scene.plan,
                rollout_id=f"drill-{scene.name}",
                now_s=unix_clock(),
                by="drill",
            )
            self.store.swap(begun, expected_version=document.version)
            with _dying(self.server, self.store) if scene.dies else nullcontext():
                _wait_for_end(self.store, on_decision)
            time.sleep(_AFTER_S)
            live = users.finish()
        state = self.store.read().rollout
        if state is None:
            raise UnavailableError("rollout", "it is gone")
        return Ended(scene, state, live)


@contextmanager
def drilling(prepared: Prepared, home: Path, *, better: bool, rate_per_s: float) -> Iterator[Drill]:
    """Run the service while the block lasts.

    Args:
        prepared: bundles and world.
        home: an empty folder, for all that the service writes.
        better: for scenes whose candidate is better than what users have; else for those with a twin of it.
        rate_per_s: lists asked for per second.

    Raises:
        UnavailableError: the service did not start.
    """
    home.mkdir(parents=True)
    registry = LocalRegistry(home / "registry")
    shutil.copytree(prepared.registry, registry.root)
    shutil.copyfile(prepared.state, home / "state.db")
    stable = prepared.little if better else prepared.better
    registry.promote(stable, "stable", expected=None, by="drill", now_s=unix_clock())
    best = registry.get(prepared.better)
    candidates = {
        scene.name: prepared.better if better else twin_of(best, registry, number, now_s=0.0)
        for number, scene in enumerate(SCENES)
        if scene.better is better
    }
    faults = {candidates[scene.name]: scene.fault for scene in SCENES if scene.better is better}
    (home / "faults.toml").write_text("\n".join(_toml(*of_bundle) for of_bundle in faults.items()))
    patience = ["--exposure-age", f"{_EXPOSURE_AGE_S:g}", "--max-wait", f"{_MAX_WAIT_S:g}"]
    flags = ["--faults", str(home / "faults.toml"), *patience]
    with serve(registry.root, home, flags) as server:
        yield Drill(prepared, server, FileTrafficStore(home / "traffic.json"), candidates, rate_per_s)


def _wait_for_end(store: FileTrafficStore, on_decision: Callable[[Decision], None]) -> None:
    give_up_s = time.monotonic() + _GIVE_UP_S
    n_told = 0
    while time.monotonic() < give_up_s:
        state = store.read().rollout
        if state is None:
            raise UnavailableError("rollout", "it is gone")
        for decision in state.decisions[n_told:]:
            on_decision(decision)
        n_told = len(state.decisions)
        if not state.under_way:
            return
        time.sleep(_POLL_S)
    raise UnavailableError("rollout", f"it did not end within {_GIVE_UP_S:g} s")


@contextmanager
def _dying(server: Server, store: FileTrafficStore) -> Iterator[None]:
    """Kill the processes of the canary's lane, again and again, from the second step on."""
    stopped = threading.Event()

    def run() -> None:
        while not stopped.wait(_KILL_EVERY_S):
            now = store.read().rollout
            if now is not None and now.phase is Phase.RAMPING and now.step >= 1:
                for pid in _of_lane(server, now.lane):
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=run, name="killer")
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _of_lane(server: Server, lane: str) -> list[int]:
    """Return the ids of the processes that serve a lane; Ray names them after their deployments."""
    found = []
    for pid in marked(server.mark):
        with suppress(OSError):
            if f"-{lane}".encode() in (Path("/proc") / str(pid) / "cmdline").read_bytes():
                found.append(pid)
    return found


def _toml(bundle: str, fault: Mapping[str, float | int | bool]) -> str:
    lines = [f"{name} = {str(value).lower()}" for name, value in fault.items()]
    return "\n".join([f'["{bundle}"]', *lines, ""])
